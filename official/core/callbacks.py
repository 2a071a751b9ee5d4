"""Callbacks beside the steps of `fit`: progress, the guard against NaN, preemption."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tqdm

from official.compat import keras_private


def signals_to_end() -> list[signal.Signals]:
    """Returns the signals that ask a process to end, without those that it is told to ignore."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def handling_signals(handler: Callable) -> Iterator[None]:
    """Handles the signals to end with `handler(number, frame)`; outside the main thread, none."""
    previous = {}
    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.signal(number, handler) for number in signals_to_end()}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)


def end(number: int, place: str) -> None:
    """Ends the process, as a signal asked, with a line that says where it goes on.

    Args:
      number: number of the signal.
      place: end of the sentence "Stopped by SIGTERM ...".
    """
    with contextlib.suppress(OSError):  # After SIGHUP the terminal is gone.
        print(f'\nStopped by {signal.Signals(number).name} {place}', file=sys.stderr, flush=True)
    raise SystemExit(128 + number)


class NanGuard(keras_private.TensorLogsCallback):
    """Stops training when a loss was NaN or infinite.

    Args:
      last_checkpoint: function that gives the last good checkpoint's path or None.
    """

    def __init__(self, last_checkpoint: Callable[[], str | None]):
        super().__init__()
        self._last_checkpoint = last_checkpoint

    def check(self) -> None:
        """Raises FloatingPointError, naming the step and the last checkpoint."""
        step = int(self.model.first_bad_step.numpy())
        if step >= 0:
            checkpoint = self._last_checkpoint()
            raise FloatingPointError(
                f'The loss of step {step} is not finite; the last good checkpoint is '
                f'{checkpoint or "none: training had not come to its first one"}.'
            )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.check()


class Progress(keras_private.TensorLogsCallback):
    """One bar over all steps of a training, wherever it resumes.

    Args:
      first_step: steps done before.
      last_step: steps in all.
      description: text before the bar.
    """

    def __init__(self, first_step: int, last_step: int, description: str):
        super().__init__()
        # In a log file a line every half minute is enough.
        interval = 0.2 if sys.stderr.isatty() else 30
        self._bar = tqdm.tqdm(
            total=last_step,
            initial=first_step,
            desc=description,
            unit='step',
            mininterval=interval,
            maxinterval=interval,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.advance(int(self.model.global_step.numpy()))

    def advance(self, step: int) -> None:
        """Moves the bar to `step`; for training without `fit`."""
        self._bar.update(step - self._bar.n)

    def show(self, values: dict) -> None:
        """Shows the latest numbers beside the bar."""
        self._bar.set_postfix(
            {name: f'{value:.4g}' for name, value in values.items()}, refresh=False
        )

    def close(self) -> None:
        """Ends the bar's line."""
        self._bar.close()


class Preemption(keras_private.TensorLogsCallback):
    """Saves a checkpoint on a signal to end, after the step that runs, and ends the process.

    The signals are SIGTERM, Ctrl-C, SIGQUIT and SIGHUP, the last not under `nohup`. A second one
    ends the process without waiting for the step.

    Args:
      save: function that saves a checkpoint and returns its path.
      step: function that gives the step; by default the model's.
    """

    def __init__(self, save: Callable[[], Any], step: Callable[[], int] | None = None):
        super().__init__()
        self._save = save
        self._step = step or (lambda: int(self.model.global_step.numpy()))
        self._signal: Any = None
        self._handling: Any = None

    def __enter__(self):
        self._handling = handling_signals(self._note)
        self._handling.__enter__()
        return self

    def __exit__(self, kind, *others):
        self._handling.__exit__(kind, *others)
        if kind is None and self._signal is not None:  # It came after the last step.
            self._stop()

    def _note(self, number, frame):
        del frame
        if self._signal is not None:  # Asked twice: do not wait for the step.
            raise KeyboardInterrupt
        self._signal = number

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # The last step of an interval has its evaluation and its checkpoint yet to come.
        if self._signal is not None and batch + 1 < self.params['steps']:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.check()

    def check(self) -> None:
        """Saves and ends the process if it was asked to; for training without `fit`."""
        if self._signal is not None:
            self._stop()

    def _stop(self) -> None:
        path = self._save()
        end(self._signal, f'at step {self._step()}; the same command goes on from {path}.')
