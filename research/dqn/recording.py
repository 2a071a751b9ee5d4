"""What a player saw, did and scored, step by step; its own or somebody else's."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from research.dqn import environment as dqn_environment


class Recording(NamedTuple):
    """A game as one player played it, T agent steps; also a file of these arrays (`numpy.savez`).

    Attributes:
      observations: uint8 [T, size, size, history], phi's stacks.
      screens: uint8 [T, height, width, 3], RGB, without flicker.
      actions: int32 [T], chosen in these states.
      rewards: float32 [T], of these actions, in points of the game.
      last: bool [T], the action ended an episode.
    """

    observations: np.ndarray
    screens: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    last: np.ndarray

    @property
    def first_episode(self) -> slice:
        """The steps of the first episode, or all of them if it did not end."""
        ends = np.flatnonzero(self.last)
        return slice(0, int(ends[0]) + 1 if len(ends) else len(self.last))


def record(env: dqn_environment.GameEnvironment, act: Callable, agent_steps: int) -> Recording:
    """Plays and records one game.

    Args:
      env: of one game.
      act: takes a time step, gives actions int [1].
      agent_steps: how many.
    """
    rows = []
    step = env.reset()
    while len(rows) < agent_steps:
        action = act(step)
        state = (step.observation[0], env.screens[0].max(axis=0), int(action[0]))
        following = env.step(action)
        if not following.is_first()[0]:
            rows.append((*state, float(following.reward[0]), bool(following.is_last()[0])))
        step = following
    columns = list(zip(*rows, strict=True))
    return Recording(
        *(
            np.array(column, dtype)
            for column, dtype in zip(
                columns, (np.uint8, np.uint8, np.int32, np.float32, np.bool_), strict=True
            )
        )
    )


def save(recording: Recording, path: str) -> None:
    """Writes a recording, whole or not at all."""
    with open(path + '.partial', 'wb') as file:
        np.savez_compressed(file, **recording._asdict())
    os.replace(path + '.partial', path)


def load(path: str, observation_shape: tuple[int, ...]) -> Recording:
    """Reads a recording.

    Args:
      path: the file.
      observation_shape: size, size and history of the network that is to look at it.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no recording, or of other observations.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f'The recording {path} does not exist.')
    try:
        with open(path, 'rb') as file:
            arrays = np.load(io.BytesIO(file.read()), allow_pickle=False)
        recording = Recording(*(arrays[name] for name in Recording._fields))
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is no recording of a game: {error}.') from error
    if recording.observations.shape[1:] != tuple(observation_shape):
        raise ValueError(
            f'The recording {path} has observations {recording.observations.shape[1:]}'
            f', not {tuple(observation_shape)} as the network.'
        )
    if len({len(column) for column in recording}) > 1:
        raise ValueError(f'The recording {path} has columns of different lengths.')
    return recording
