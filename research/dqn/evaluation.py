"""Playing for the score (Mnih et al. 2015, Methods, "Evaluation procedure")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from official.core import checks
from research.dqn import environment as dqn_environment
from research.dqn import games
from research.dqn import policy as dqn_policy

FRAMES_PER_SECOND = 60
FIVE_MINUTES_FRAMES = 5 * 60 * FRAMES_PER_SECOND


class Scores(NamedTuple):
    """What some episodes came to.

    Attributes:
      scores: of each whole episode, in points of the game.
      agent_steps: of each whole episode.
    """

    scores: list[float]
    agent_steps: list[int]

    def result(self, prefix: str = '') -> dict[str, float]:
        """Mean, standard deviation over the episodes and more, as numbers by name."""
        std = float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0
        return {
            f'{prefix}score': float(np.mean(self.scores)),
            f'{prefix}score_std': std,
            f'{prefix}score_median': float(np.median(self.scores)),
            f'{prefix}episodes': len(self.scores),
            f'{prefix}episode_agent_steps': float(np.mean(self.agent_steps)),
        }


class Evaluation:
    """The protocol of an evaluation; the defaults are the paper's of Extended Data Table 2.

    Several games are played at once. With `episodes`, each plays its share of them to the end, so
    that short episodes are not seen more often than long ones. With `agent_steps`, as in Fig. 2 and
    Extended Data Tables 3 and 4, the whole episodes of one stream of so many steps count. Several
    games play the stream together:

    - Episodes are numbered in the order in which they begin, in whichever game. They count up to
      the last one at whose end the steps of all of them are at most `agent_steps`.
    - The games play until that is decided. An episode gets its number before anything is known of
      it, so the sequence has the distribution of one game's, for any number of games.
    - The mean has no bias if every episode is shorter than `agent_steps`. Given that n episodes
      were whole, they are exchangeable: in any order they fit as well. The expectation of their
      mean is thus that of the first one, E[score | its length <= agent_steps].
    - With a share of the steps for each game, an episode longer than a share would never count.
      With the episode in progress at the end, long ones would count too often.
    - If no episode is whole, the first one counts as far as it came.

    Args:
      episodes: whole episodes; None to go by `agent_steps`.
      agent_steps: steps of the stream, over the games.
      max_episode_frames: emulator frames after which an episode is cut off: 5 minutes at 60 Hz;
        None never does.
      epsilon: of the policy.
      num_games: games at once.

    Raises:
      ValueError: both or none of `episodes` and `agent_steps` are given, or a number is out of
        range.
    """

    def __init__(
        self,
        episodes: int | None = 30,
        agent_steps: int | None = None,
        max_episode_frames: int | None = FIVE_MINUTES_FRAMES,
        epsilon: float = 0.05,
        num_games: int = 10,
    ):
        if (episodes is None) == (agent_steps is None):
            raise ValueError(
                f'Evaluation needs one of episodes = {episodes} and agent_steps = '
                f'{agent_steps}, the other None.'
            )
        counts = {
            'episodes': episodes,
            'agent_steps': agent_steps,
            'max_episode_frames': max_episode_frames,
            'num_games': num_games,
        }
        checks.positive(
            'Evaluation', **{name: count for name, count in counts.items() if count is not None}
        )
        checks.within('Evaluation', 0, 1, epsilon=epsilon)
        self.episodes = episodes
        self.agent_steps = agent_steps
        self.max_episode_frames = max_episode_frames
        self.epsilon = epsilon
        self.num_games = min(num_games, episodes) if episodes else num_games

    def make_environment(
        self, environment: Callable, seed: int, **overrides: Any
    ) -> dqn_environment.GameEnvironment:
        """The environment of training, as evaluation plays it: a lost life ends nothing.

        Args:
          environment: makes the environment.
          seed: of the games.
          **overrides: arguments that replace others.
        """
        return environment(
            **{
                'num_games': self.num_games,
                'seed': seed,
                'life_loss_is_terminal': False,
                'max_episode_frames': self.max_episode_frames,
                **overrides,
            }
        )

    def __call__(self, env: dqn_environment.GameEnvironment, act: Callable) -> Scores:
        """Plays.

        Args:
          env: as `make_environment` gives it.
          act: takes a time step, gives actions int [num_games].
        """
        return play(env, act, self.episodes, self.agent_steps)


class Actor:
    """An `EpsilonGreedyPolicy` as a function of the time step, for one number of games.

    Args:
      policy: the policy.
    """

    def __init__(self, policy: dqn_policy.EpsilonGreedyPolicy):
        self._policy = policy
        self._function = None
        self._first = 0
        self._state = None

    def start(self, seed: int) -> Actor:
        """Begins anew, with random numbers that depend on a seed."""
        # The policy's state is how often it has acted: another part of its random numbers.
        self._first = int(np.random.SeedSequence(seed).generate_state(1)[0]) >> 2
        self._state = None
        return self

    def __call__(self, time_step: Any) -> np.ndarray:
        """The actions of all games."""
        if self._function is None:
            self._function, _ = dqn_policy.acting(self._policy, time_step)
        if self._state is None:
            self._state = np.full(len(time_step.step_type), self._first, np.int32)
        action, self._state = self._function(time_step, self._state)
        return action


def play(
    env: dqn_environment.GameEnvironment,
    act: Callable,
    episodes: int | None = None,
    agent_steps: int | None = None,
    observer: Callable | None = None,
) -> Scores:
    """Plays whole episodes, or a stream of some steps; see `Evaluation`.

    Args:
      env: the games.
      act: takes a time step, gives actions int [num_games].
      episodes: how many, over the games.
      agent_steps: length of the stream, over the games.
      observer: called as observer(time_step, action, next_time_step).
    """
    count = (
        _Shares(episodes, env.batch_size)
        if episodes is not None
        else _Stream(agent_steps, env.batch_size)
    )
    step = env.reset()
    while not count.is_done():
        action = act(step)
        following = env.step(action)
        if observer is not None:
            observer(step, action, following)
        step = following
        count.add(~step.is_first(), step.reward, step.is_last())
    return count.scores()


class _Shares:
    """A fixed number of episodes, a share for each game."""

    def __init__(self, episodes: int, num_games: int):
        # What each game has left to play.
        self._left = np.array(
            [episodes // num_games + (index < episodes % num_games) for index in range(num_games)]
        )
        self._score = np.zeros(num_games)
        self._steps = np.zeros(num_games, int)
        self._done: list[list[tuple[float, int]]] = [[] for _ in range(num_games)]

    def add(self, acted, reward, ended) -> None:
        """Takes a step of every game into account: bool, float and bool [num_games]."""
        self._score += np.where(acted, reward, 0)
        self._steps += acted
        for game in np.flatnonzero(ended):
            if self._left[game] > 0:
                self._done[game].append((float(self._score[game]), int(self._steps[game])))
        self._left -= ended
        self._score[ended] = 0
        self._steps[ended] = 0

    def is_done(self) -> bool:
        """Returns True if every game has played its share."""
        return not np.any(self._left > 0)

    def scores(self) -> Scores:
        """The episodes by game, whichever finished first."""
        done = [episode for game in self._done for episode in game]
        return Scores([score for score, _ in done], [steps for _, steps in done])


class _Stream:
    """The whole episodes of one stream of steps, played by several games; see `Evaluation`."""

    def __init__(self, agent_steps: int, num_games: int):
        self._left = agent_steps  # After the episodes at the head that are whole.
        # Episodes in the order of their beginning: score, steps and whether it has ended.
        self._episodes: list[list] = [[0.0, 0, False] for _ in range(num_games)]
        self._current = list(range(num_games))  # Each game's episode.
        self._whole = 0  # Episodes at the head that count.
        self._is_done = False

    def add(self, acted, reward, ended) -> None:
        """Takes a step of every game into account: bool, float and bool [num_games]."""
        for game, begins in enumerate(~acted):
            if begins:
                self._current[game] = len(self._episodes)
                self._episodes.append([0.0, 0, False])
                continue
            episode = self._episodes[self._current[game]]
            episode[0] += float(reward[game])
            episode[1] += 1
            episode[2] = bool(ended[game])
        self._advance()

    def _advance(self) -> None:
        while not self._is_done and self._whole < len(self._episodes):
            _, steps, ended = self._episodes[self._whole]
            if ended and steps <= self._left:
                self._left -= steps
                self._whole += 1
                continue
            # Not whole within the steps, whatever comes.
            self._is_done = steps >= self._left
            break

    def is_done(self) -> bool:
        """Returns True if nothing that comes can change the episodes that count."""
        return self._is_done

    def scores(self) -> Scores:
        """The episodes in the order of their beginning."""
        counted = self._episodes[: max(self._whole, 1)]
        return Scores([score for score, _, _ in counted], [steps for _, steps, _ in counted])


def random_play(
    environment: Callable,
    hertz: int,
    seed: int,
    episodes: int = 30,
    max_episode_frames: int | None = FIVE_MINUTES_FRAMES,
) -> Scores:
    """The random agent: a uniformly random action `hertz` times a second (Methods).

    The paper's baseline has 10 Hz, every sixth frame; it also looked at 60 Hz.

    Args:
      environment: makes the environment of training.
      hertz: a divisor of 60.
      seed: of the games and the actions.
      episodes: how many.
      max_episode_frames: see `Evaluation`.

    Raises:
      ValueError: `hertz` does not divide 60.
    """
    check_hertz(hertz)
    env = Evaluation(episodes, max_episode_frames=max_episode_frames).make_environment(
        environment, seed, frame_skip=FRAMES_PER_SECOND // hertz
    )
    random = np.random.Generator(np.random.Philox(key=[seed, hertz]))
    number = len(env.action_names)
    return play(env, lambda step: random.integers(number, size=env.batch_size), episodes)


def check_hertz(hertz: int) -> None:
    """Raises ValueError if a random player cannot act `hertz` times a second."""
    if hertz not in range(1, FRAMES_PER_SECOND + 1) or FRAMES_PER_SECOND % hertz:
        raise ValueError(
            f'A random player at {hertz!r} Hz: it does not divide the '
            f'{FRAMES_PER_SECOND} frames of a second.'
        )


def against_paper(score: float, game: str) -> dict:
    """The human-normalised score of a game and what Extended Data Table 2 has of it.

    Args:
      score: in points of the game.
      game: name of its ROM.

    Returns:
      {'human_normalized_percent', 'reference'}, or {} if the game is not in the table.
    """
    if game not in games.table():
        return {}
    row = games.table()[game]
    return {
        'human_normalized_percent': games.human_normalized_percent(score, game),
        'reference': {
            'cell': f'Extended Data Table 2, {row.name}',
            'score': row.dqn,
            'std': row.dqn_std,
        },
    }


def held_out_states(environment: Callable, number: int, seed: int) -> np.ndarray:
    """States for the average predicted action-value (Fig. 2), from random play.

    Args:
      environment: makes the environment of training.
      number: how many.
      seed: of the games and the actions.

    Returns:
      uint8 [number, size, size, history]; one of every ten steps.
    """
    env = environment(num_games=1, seed=seed)
    random = np.random.Generator(np.random.Philox(key=[seed, 1]))
    step, states = env.reset(), []
    while len(states) < number:
        for _ in range(10):
            step = env.step(random.integers(len(env.action_names), size=1))
        states.append(step.observation[0])
    return np.stack(states)
