"""Games as an environment of tf-agents: frame skip, phi, stacks, no-op starts, lives."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from official.core import checks
from research.dqn import phi


class GameFailed(RuntimeError):
    """A game raised something in the middle of an episode."""


class GameEnvironment(py_environment.PyEnvironment):
    """Some instances of a game, stepped together (Mnih et al. 2015, Methods).

    An observation is phi's stack of `history` frames, uint8 [num_games, size, size, history]; those
    from before the episode are zeros. A reward is the change of the score, as it is. A game that is
    over gives a last time step with discount 0; its next step begins an episode and ignores the
    action. A life that is lost gives discount 0 in the middle of an episode: terminal for the
    target, while the game goes on.

    - The paper counts "do nothing" actions at an episode's start; here they are emulator frames,
      0 to `max_noop_frames` of them with equal chances.
    - The first observation of an episode encodes the last frame of these and the one before it.
    - A stack reaches back over the loss of a life: evaluation, where lives do not count, sees the
      same.

    Args:
      game: called as game(seed=), gives a `game.Game`.
      num_games: how many play.
      frame_skip: frames an action is repeated for, the paper's k; an agent step is so many emulator
        frames. The last two that were played are encoded, also where the game ends before.
      frame_size: height and width of an encoded frame.
      history: frames in an observation, the paper's m.
      max_noop_frames: most "do nothing" frames at the start of an episode.
      max_episode_frames: emulator frames after which an episode is cut off; None never does.
      life_loss_is_terminal: whether the loss of a life gives discount 0; in training.
      seed: of the starts and of the games.

    Raises:
      ValueError: a number is out of range; from `step`, if an action is.
      GameFailed: from `step`, if a game raises.
    """

    def __init__(
        self,
        game: Callable,
        num_games: int = 1,
        frame_skip: int = 4,
        frame_size: int = 84,
        history: int = 4,
        max_noop_frames: int = 30,
        max_episode_frames: int | None = None,
        life_loss_is_terminal: bool = True,
        seed: int = 0,
    ):
        checks.positive(
            'GameEnvironment',
            num_games=num_games,
            frame_skip=frame_skip,
            frame_size=frame_size,
            history=history,
        )
        checks.at_least('GameEnvironment', 0, max_noop_frames=max_noop_frames)
        if max_episode_frames is not None:
            checks.positive('GameEnvironment', max_episode_frames=max_episode_frames)
        super().__init__(handle_auto_reset=False)
        self._players = [
            _Player(
                game(seed=_mixed(seed, index)),
                frame_skip,
                frame_size,
                history,
                max_noop_frames,
                max_episode_frames,
                (seed, index),
            )
            for index in range(num_games)
        ]
        self._life_loss_is_terminal = life_loss_is_terminal
        self._observation_shape = (frame_size, frame_size, history)
        first = self._players[0].game
        self.game_name = first.name
        self.frame_skip = frame_skip
        self.action_names = first.action_names

    @property
    def batched(self) -> bool:
        return True

    @property
    def batch_size(self) -> int:
        return len(self._players)

    def observation_spec(self) -> array_spec.BoundedArraySpec:
        return array_spec.BoundedArraySpec(
            self._observation_shape, np.uint8, 0, 255, name='observation'
        )

    def action_spec(self) -> array_spec.BoundedArraySpec:
        return array_spec.BoundedArraySpec((), np.int32, 0, len(self.action_names) - 1, 'action')

    @property
    def screens(self) -> np.ndarray:
        """The last two frames of every game, RGB uint8 [num_games, 2, height, width, 3]."""
        return np.stack([player.screens for player in self._players])

    def _reset(self) -> ts.TimeStep:
        return self._time_step([player.reset() for player in self._players])

    def _step(self, action) -> ts.TimeStep:
        actions = len(self.action_names)
        if (
            np.shape(action) != (self.batch_size,)
            or np.min(action) < 0
            or np.max(action) >= actions
        ):
            raise ValueError(
                f'Actions {action} are not one from 0 to {actions - 1} for each of '
                f'{self.batch_size} games.'
            )
        over = self._current_time_step.is_last()
        results = []
        for player, begin, choice in zip(self._players, over, action, strict=True):
            try:
                results.append(player.reset() if begin else player.step(int(choice)))
            except Exception as error:
                # What it raises is anybody's guess; the user gets one sentence and the cause.
                raise GameFailed(
                    f'The game {player.game.name} failed in frame '
                    f'{player.episode_frames} of an episode: {error!r}.'
                ) from error
        return self._time_step(results)

    def _time_step(self, results) -> ts.TimeStep:
        step_type, reward, life_lost, over = (
            np.array(column) for column in zip(*results, strict=True)
        )
        terminal = over | (life_lost & self._life_loss_is_terminal)
        return ts.TimeStep(
            step_type=step_type.astype(np.int32),
            reward=reward.astype(np.float32),
            discount=np.where(terminal, 0, 1).astype(np.float32),
            observation=np.stack([player.observation() for player in self._players]),
        )

    # Checkpoints.

    def get_state(self) -> bytes:
        """All that decides what happens next."""
        step = self.current_time_step()
        arrays = {'step_type': step.step_type, 'reward': step.reward, 'discount': step.discount}
        for index, player in enumerate(self._players):
            arrays |= {f'{name}_{index}': value for name, value in player.state().items()}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    def set_state(self, state: bytes) -> None:
        """Goes back to the moment of `get_state`."""
        arrays = dict(np.load(io.BytesIO(state)))
        for index, player in enumerate(self._players):
            player.restore(
                {
                    name.removesuffix(f'_{index}'): value
                    for name, value in arrays.items()
                    if name.endswith(f'_{index}')
                }
            )
        self._current_time_step = ts.TimeStep(
            arrays['step_type'],
            arrays['reward'],
            arrays['discount'],
            np.stack([player.observation() for player in self._players]),
        )


class _Player:
    """One game and the stack of its frames."""

    def __init__(
        self, game, frame_skip, frame_size, history, max_noop_frames, max_episode_frames, seed
    ):
        self.game = game
        self._frame_skip = frame_skip
        self._size = frame_size
        self._max_noop_frames = max_noop_frames
        self._max_episode_frames = max_episode_frames
        self._seed = seed
        self._episode = 0
        self._lives = 0
        self.episode_frames = 0
        self._screens = np.zeros((2, *game.screen_shape), np.uint8)
        self._newest = 0
        self._stack = [np.zeros((frame_size, frame_size), np.uint8)] * history

    def reset(self):
        """Begins an episode: step type, reward, life lost, game over."""
        random = np.random.Generator(np.random.Philox(key=[_mixed(*self._seed), self._episode]))
        self._episode += 1
        self.game.reset()
        self._screens[:] = 0
        self._shoot()
        self.episode_frames = 0
        for _ in range(random.integers(self._max_noop_frames + 1)):
            self.game.act(0)
            self.episode_frames += 1
            if self.game.is_over():
                self.game.reset()
                self._screens[:] = 0  # Of an episode that nobody has seen.
            self._shoot()
        self._stack = [np.zeros_like(frame) for frame in self._stack]
        self._encode()
        self._lives = self.game.lives()
        return ts.StepType.FIRST, 0.0, False, False

    def step(self, action):
        """Repeats an action: step type, reward, life lost, game over."""
        reward = 0.0
        for _ in range(self._frame_skip):
            reward += self.game.act(action)
            self.episode_frames += 1
            over = self.game.is_over()
            # Every frame: any may be the one before the end.
            self._shoot()
            if over:
                break
        self._encode()
        lives, before = self.game.lives(), self._lives
        self._lives = lives
        cut = (
            self._max_episode_frames is not None and self.episode_frames >= self._max_episode_frames
        )
        kind = ts.StepType.LAST if over or cut else ts.StepType.MID
        return kind, reward, lives < before, over

    @property
    def screens(self):
        return self._screens[[1 - self._newest, self._newest]]

    def _shoot(self):
        self._newest = 1 - self._newest
        self.game.screen(self._screens[self._newest])

    def _encode(self):
        frame = phi.encode(self._screens[self._newest], self._screens[1 - self._newest], self._size)
        self._stack = [*self._stack[1:], frame]

    def observation(self):
        return cv2.merge(self._stack) if len(self._stack) > 1 else self._stack[0][..., np.newaxis]

    def state(self):
        return {
            'game': np.frombuffer(self.game.state(), np.uint8),
            'stack': np.stack(self._stack),
            'screen': self._screens[self._newest],
            'counters': np.array([self._episode, self._lives, self.episode_frames]),
        }

    def restore(self, state):
        self.game.restore(state['game'].tobytes())
        self._stack = list(state['stack'])
        self._screens[self._newest] = state['screen']
        self._episode, self._lives, self.episode_frames = map(int, state['counters'])


def _mixed(seed: int, index: int) -> int:
    """One seed from two."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0])
