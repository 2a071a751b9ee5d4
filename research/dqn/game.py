"""What an environment asks of a game, one emulator frame at a time."""

from __future__ import annotations

import abc

import numpy as np


class Game(abc.ABC):
    """A game with a screen, a score and, perhaps, lives.

    Attributes:
      name: for messages.
      action_names: a name for every action, the "do nothing" action first.
      screen_shape: height, width and 3.
    """

    name: str
    action_names: tuple[str, ...]
    screen_shape: tuple[int, int, int]

    @abc.abstractmethod
    def reset(self) -> None:
        """Begins an episode."""

    @abc.abstractmethod
    def act(self, action: int) -> float:
        """Plays one frame with an index of `action_names`; returns the change of the score."""

    @abc.abstractmethod
    def is_over(self) -> bool:
        """Whether the episode has ended."""

    @abc.abstractmethod
    def lives(self) -> int:
        """Lives left; 0 always where the game has none."""

    @abc.abstractmethod
    def screen(self, out: np.ndarray) -> None:
        """Writes the screen, RGB, to uint8 [*screen_shape]."""

    @abc.abstractmethod
    def state(self) -> bytes:
        """All that decides what happens next, random numbers included."""

    @abc.abstractmethod
    def restore(self, state: bytes) -> None:
        """Goes back to the moment of `state`."""
