"""The random players of all games, beside the paper's.

./garden python -m research.dqn.random_play --output_dir=runs/dqn/random_play
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence

import tqdm
from absl import app, flags

from official.core import checks, page, run_folder
from research.dqn import atari, evaluation
from research.dqn import environment as environment_lib
from research.dqn import games as games_lib

_SCORES = 'scores.json'


class RandomPlay:
    """Plays games at random, 10 and 60 times a second (Mnih et al. 2015, "Evaluation procedure").

    A game that has been played is not played again.

    Args:
      output_dir: folder of the scores, of `result.json` and of `report.html`.
      seed: seed of the games and the actions.
      games: names of the games; by default those of Extended Data Table 2.
      hertz: rates of the players.
      episodes: episodes of each game and player.
      environment: makes a `GameEnvironment`, called with game=, num_games=, seed= and more.
      game: called as game(name, seed=), gives a game.

    Raises:
      ValueError: a game is unknown, or a number is out of range.
    """

    def __init__(
        self,
        output_dir: str,
        seed: int = 0,
        *,
        games: Sequence[str] = games_lib.GAMES,
        hertz: Sequence[int] = (10, 60),
        episodes: int = 30,
        environment: Callable = environment_lib.GameEnvironment,
        game: Callable = atari.AtariGame,
    ):
        self.output_dir, self.seed = output_dir, seed
        for name in games:
            games_lib.check_game(name)
        for rate in hertz:
            evaluation.check_hertz(rate)
        checks.positive('RandomPlay', episodes=episodes)
        self._environment = environment
        self._game = game
        self.games = tuple(games)
        self.hertz = tuple(hertz)
        self.episodes = episodes

    @property
    def _path(self) -> str:
        return os.path.join(self.output_dir, _SCORES)

    def _scores(self) -> dict[str, dict]:
        return run_folder.read_json(self._path) if os.path.exists(self._path) else {}

    def play(self) -> None:
        """Plays the games that have not been played."""
        os.makedirs(self.output_dir, exist_ok=True)
        scores = self._scores()
        for name in tqdm.tqdm(self.games, unit='game'):
            if name in scores:
                continue
            make = functools.partial(self._environment, game=functools.partial(self._game, name))
            scores[name] = {
                str(hertz): evaluation.random_play(make, hertz, self.seed, self.episodes).result()
                for hertz in self.hertz
            }
            run_folder.write_text(self._path, json.dumps(scores, indent=2) + '\n')

    def result(self) -> dict:
        """Writes `result.json`: the scores of each rate, and the distance from the paper's table.

        Returns:
          For each rate '<hertz>hz': {game: score}; with 10 Hz, 'games_within_5_points', how many
          of the 'games_in_the_table' have a human-normalised score within 5 points of 0, the
          paper's random player. With 10 and 60 Hz, 'dqn_changes_60hz': by how many points the
          human-normalised score of the paper's DQN is another one with the random player of 60 Hz,
          of the games where these are more than 5 (in the paper `games.CHANGED_BY_60_HZ`).
        """
        scores = self._scores()
        result: dict = {'seed': self.seed}
        for hertz in self.hertz:
            result[f'{hertz}hz'] = {name: scores[name][str(hertz)]['score'] for name in self.games}
        if 10 in self.hertz:
            known = [name for name in self.games if name in games_lib.table()]
            percent = [
                games_lib.human_normalized_percent(result['10hz'][name], name) for name in known
            ]
            result['games_within_5_points'] = sum(abs(value) <= 5 for value in percent)
            result['games_in_the_table'] = len(known)
            if 60 in self.hertz:
                changes = {
                    name: _change(name, result['10hz'][name], result['60hz'][name])
                    for name in known
                }
                result['dqn_changes_60hz'] = {
                    name: change for name, change in changes.items() if abs(change) > 5
                }
        run_folder.write_text(
            os.path.join(self.output_dir, run_folder.RESULT), json.dumps(result, indent=2) + '\n'
        )
        return result

    def report(self) -> str:
        """Writes `report.html`, the paper's random player beside those here; returns its path."""
        scores, rows = self._scores(), []
        for name in self.games:
            row = games_lib.table().get(name)
            measured = [scores[name][str(hertz)] for hertz in self.hertz]
            rows.append(
                (
                    row.name if row else name,
                    f'{row.random:g}' if row else '',
                    *(f'{value["score"]:.1f} ± {value["score_std"]:.1f}' for value in measured),
                    f'{games_lib.human_normalized_percent(measured[0]["score"], name):.1f} %'
                    if row
                    else '',
                )
            )
        head = (
            'game',
            'paper, 10 Hz',
            *(f'here, {hertz} Hz' for hertz in self.hertz),
            f'{self.hertz[0]} Hz, human-normalised',
        )
        text = ''
        if {10, 60} <= set(self.hertz):
            known = [name for name in self.games if name in games_lib.table()]
            changed = {
                name: _change(name, *(scores[name][hertz]['score'] for hertz in ('10', '60')))
                for name in known
            }
            text = page.paragraph(
                'With the random player of 60 Hz in place of that of 10 Hz, the human-normalised '
                "score of the paper's DQN changes by more than 5 points in "
                + (
                    ', '.join(
                        f'{games_lib.table()[name].name} ({change:+.1f})'
                        for name, change in changed.items()
                        if abs(change) > 5
                    )
                    or 'no game'
                )
                + '; in the paper in '
                + ', '.join(games_lib.table()[name].name for name in games_lib.CHANGED_BY_60_HZ)
                + '.'
            )
        section = page.Section(
            'Random players',
            page.table(rows, head)
            + text
            + page.paragraph(
                f'Mean and standard deviation of {self.episodes} episodes of up to 5 minutes; 0 % '
                "is the paper's random player, 100 % its human tester.",
                note=True,
            ),
        )
        return page.write_report(
            os.path.join(self.output_dir, 'report.html'), 'Random players', '', [section]
        )


def _change(game: str, random_10hz: float, random_60hz: float) -> float:
    """Points by which the normalised score of the paper's DQN changes with the random player."""
    row = games_lib.table()[game]
    slow, fast = (
        100 * (row.dqn - random) / (row.human - random) for random in (random_10hz, random_60hz)
    )
    return fast - slow


def _define_flags() -> None:
    flags.DEFINE_string('output_dir', 'runs/dqn/random_play', 'Folder of the scores.')
    flags.DEFINE_integer('seed', 0, 'Seed of the games and the actions.', lower_bound=0)
    flags.DEFINE_list('games', list(games_lib.GAMES), 'Games to play.')
    flags.DEFINE_integer('episodes', 30, 'Episodes of each game and player.')


def main(arguments: list[str]) -> None:
    """Plays the games and writes result and report, as the flags say."""
    del arguments
    values = flags.FLAGS
    try:
        run = RandomPlay(
            values.output_dir, values.seed, games=values.games, episodes=values.episodes
        )
        run.play()
        run.result()
        print(run.report())
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    _define_flags()
    app.run(main)
