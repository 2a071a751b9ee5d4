"""An experiment and models without TensorFlow, for tests of what drives experiments."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys

from official.core import experiment

# What tests may look at or change: calls in order, and an error to raise in `train`.
calls: list[tuple[str, str, int]] = []
failure: Exception | None = None
constant = 7


@contextlib.contextmanager
def signals_heard():
    """Has this process hear what tests in the background, or under `nohup`, are told to ignore."""
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


class Model:
    """Remembers its arguments."""

    def __init__(self, seed=0, units=4, noise_std=0.3, inner=None, layers=(10, 20)):
        self.seed, self.units, self.noise_std, self.inner = seed, units, noise_std, inner
        self.layers = layers


class Kept:
    """Keeps two factories for later: the one it is given, and what that one makes at once."""

    def __init__(self, model):
        self.model = model
        self.now = model()


class Forwarding(Model):
    """Passes keywords on to its base."""

    def __init__(self, width=1, **kwargs):
        super().__init__(**kwargs)
        self.width = width


class Toy(experiment.Experiment):
    """Its error in percent is 10 x seed + bias."""

    changeable = ('notes',)

    def __init__(self, run_dir, seed, data_dir, strategy, *, model, bias=1.0, notes=None):
        super().__init__(run_dir, seed, data_dir, strategy)
        self.notes = notes
        self.model = model(seed=seed)
        self.bias = bias

    def _called(self, method):
        calls.append((method, self.run_dir, self.seed))

    def _write(self, name, value):
        if 'TOY_WORKER' in os.environ:  # Which process of several this is.
            name = f'{name}.{os.environ["TOY_WORKER"]}'
        with open(os.path.join(self.run_dir, name), 'w') as f:
            json.dump(value, f)

    def train(self):
        self._called('train')
        if failure:
            raise failure
        os.makedirs(self.run_dir, exist_ok=True)
        self._write('weights.json', [self.seed])

    def evaluate(self):
        self._called('evaluate')
        result = {
            'step': 5,
            'seed': self.seed,
            'test_error_percent': 10.0 * self.seed + self.bias,
            'test_loss': 0.5,
            'confusion_matrix': [[1]],
            'class_names': ['a'],
            'reference': {'cell': 'Table 1', 'test_error_percent': 1.06, 'std': 0.37},
            'baseline': {'seed': self.seed, 'test_error_percent': 20.0 + self.seed},
            'train_seconds': 2.0,
        }
        self._write('result.json', result)
        return result

    def export(self):
        self._called('export')
        return os.path.join(self.run_dir, 'saved_model')

    def report(self):
        self._called('report')
        self._write('modules.json', sorted(sys.modules))
        return os.path.join(self.run_dir, 'report.html')


GIN = """\
# A toy, to be run in no time.
# Second line.
from __gin__ import dynamic_registration
from official.core import runner
from tests.official.core import toy
runner.Run.experiment = @toy.Toy
toy.Toy.model = @toy.Model
"""


def write_gin(folder, text: str = '', name: str = 'toy.gin') -> str:
    """Writes GIN and further lines into a file and returns its path."""
    path = os.path.join(folder, name)
    with open(path, 'w') as f:
        f.write(GIN + text)
    return path
