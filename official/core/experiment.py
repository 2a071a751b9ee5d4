"""The interface that the launcher drives."""

from __future__ import annotations

import abc
from typing import Any


class Experiment(abc.ABC):
    """One experiment in one run folder.

    Gin names a subclass; the launcher calls it with these arguments, gin binds the rest. A finished
    run may go on, or be evaluated and reported anew, with other values of the parameters that
    `changeable` names: they do not decide the bits of what was trained.

    Args:
      run_dir: folder of everything the experiment leaves.
      seed: source of all randomness.
      data_dir: folder of the data, or None for data that comes with a package.
      strategy: the `tf.distribute` strategy to build models under.
    """

    changeable: tuple[str, ...] = ()

    def __init__(self, run_dir: str, seed: int, data_dir: str | None, strategy: Any):
        self.run_dir = run_dir
        self.seed = seed
        self.data_dir = data_dir
        self.strategy = strategy

    @abc.abstractmethod
    def train(self) -> None:
        """Trains to the end, from the last checkpoint in the run folder if there is one."""

    @abc.abstractmethod
    def evaluate(self) -> dict:
        """Evaluates a checkpoint, writes `result.json` and returns its contents."""

    @abc.abstractmethod
    def export(self) -> str:
        """Writes a SavedModel and returns its path."""

    @abc.abstractmethod
    def report(self) -> str:
        """Writes `report.html` and returns its path."""
