"""The 49 games of Extended Data Table 2, and the games that can be played at all.

Mnih et al. 2015, "Human-level control through deep reinforcement learning". The table is
`extended_data_table_2.csv` beside this module, each number as printed, also where it looks like a
slip: a standard deviation of 3024 in Amidar, or scores of the contingency learner below 100 in
games whose random player makes thousands.
"""

from __future__ import annotations

import csv
import functools
import os
import pathlib
import re
import types
from collections.abc import Mapping
from typing import NamedTuple

from official.core import errors

_TABLE = pathlib.Path(__file__).with_name('extended_data_table_2.csv')


class Scores(NamedTuple):
    """A row of Extended Data Table 2; scores are points of the game, means of an episode.

    Attributes:
      name: the game's name as printed.
      random: of the player that chooses a random action at 10 Hz.
      linear: of the best linear function approximator.
      contingency: of Sarsa with features of contingency awareness.
      human: of the professional games tester.
      dqn: of the paper's agent.
      dqn_std: standard deviation of `dqn` over the 30 evaluation episodes.
      printed_percent: the table's last column, `human_normalized_percent` of `dqn`. It does not
        always follow from the other columns: Double Dunk's 17.1 is 16.1 by them, and Boxing,
        Robotank, Tennis and Video Pinball are off by less than 1.
    """

    name: str
    random: float
    linear: float
    contingency: float
    human: float
    dqn: float
    dqn_std: float
    printed_percent: float


@functools.cache
def table() -> Mapping[str, Scores]:
    """Extended Data Table 2 by ROM id, in the table's order."""
    with open(_TABLE, encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    # Cached, so what one caller gets all get: nobody may write to it.
    return types.MappingProxyType(
        {
            row['game']: Scores(row['name'], *(float(row[key]) for key in Scores._fields[1:]))
            for row in rows
        }
    )


GAMES = tuple(table())
# Where a random player at 60 Hz in place of 10 Hz changes DQN's normalised score by more than 5 %
# (Methods, "Evaluation procedure").
CHANGED_BY_60_HZ = ('boxing', 'breakout', 'crazy_climber', 'demon_attack', 'krull', 'robotank')


def human_normalized_percent(score: float, game: str) -> float:
    """100 (score - random) / (human - random), as in Figure 3: 0 is random play, 100 the human.

    Args:
      score: points of the game.
      game: ROM id, one of `GAMES`.

    Raises:
      ValueError: the table has no such game.
    """
    if game not in table():
        raise ValueError(f'Extended Data Table 2 has no game {game}{_near(game, GAMES)}')
    scores = table()[game]
    return 100 * (score - scores.random) / (scores.human - scores.random)


def check_game(name: str) -> str:
    """The path of a game's ROM.

    Args:
      name: ROM id of any game that ale-py ships, such as 'space_invaders', in the table or not.

    Raises:
      ValueError: ale-py has no such game.
      FileNotFoundError: the ROM's file is missing.
      OSError: the ROM's file is not what ale-py expects.
    """
    from ale_py import roms

    known = roms.get_all_rom_ids()
    if name not in known:
        raise ValueError(f'ale-py has no game {name}{_near(name, known)}')
    chosen = os.environ.get('ALE_ROMS_DIR')
    path = os.path.join(chosen or os.path.dirname(roms.__file__), f'{name}.bin')
    remedy = (
        'set ALE_ROMS_DIR to a folder that has it, or unset it' if chosen else 'reinstall ale-py'
    )
    if not os.path.isfile(path):
        raise FileNotFoundError(f'the ROM {path} is missing; {remedy}.')
    try:
        return str(roms.get_rom_path(name))
    except OSError as error:
        raise OSError(f'the ROM {path} cannot be read or is damaged; {remedy}.') from error


def _near(name: str, games: tuple[str, ...] | list[str]) -> str:
    """The end of a sentence that names the games `name` may mean.

    Understands the names of Gym ('PongNoFrameskip-v4', 'ALE/MsPacman-v5') and of the paper's
    tables ('Ms. Pacman'), which are not ids of ROMs.
    """
    word = re.sub(r'(-ram)?((NoFrameskip|Deterministic)?-v\d+)?$', '', name.split('/')[-1])
    by_letters = {_letters(game): game for game in games}
    by_letters.update({_letters(scores.name): game for game, scores in table().items()})
    meant = by_letters.get(_letters(word))
    if meant in games:
        return errors.did_you_mean(meant, [meant])
    words = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', word)
    return errors.did_you_mean(re.sub(r'\W+', '_', words).strip('_'), games)


def _letters(name: str) -> str:
    return re.sub(r'[^a-z0-9]', '', name.lower())
