"""One training update of this project's Ladder network, Gamma model and supervised baseline.

What benchmarks/ladder.py runs, a process at a time; by hand:

    ./garden python benchmarks/ladder_tensorflow.py ladder --updates=40 --blocks=3

Everything is the product's: model, optimizer, schedule, `fit` and pipeline, as the gin files of
Table 1 (Rasmus et al. 2015) wire them; only the images are random. Prints one JSON object:
'update_ms', the mean update of each block, milliseconds; and 'libraries'.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import tensorflow as tf

from benchmarks import ladder, step_clock
from official.modeling import optimizers, schedules
from research.ladder import data
from research.ladder import model as model_lib

NUM_IMAGES = 60_000
NUM_LABELS = 100
# lambda_l for l = 0..L, and the noise above the input.
SETTINGS = {
    'ladder': ((1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1), 0.3),
    'gamma': ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), 0.3),
    'baseline': ((0.0,) * 7, 0.5),
}


def compiled(name: str, steps_per_execution: int) -> model_lib.LadderNetwork:
    """The network `name` of SETTINGS, ready for `fit`."""
    denoising_costs, hidden_noise_std = SETTINGS[name]
    model = model_lib.LadderNetwork(
        encoder=ladder.WIDTHS[1:],
        input_shape=ladder.WIDTHS[:1],
        denoising_costs=denoising_costs,
        hidden_noise_std=hidden_noise_std,
    )
    rate = schedules.ConstantThenLinear(0.002, decay_start=60_000, decay_end=90_000)
    model.compile(optimizers.FusedAdam(rate), steps_per_execution=steps_per_execution)
    return model


def update_ms(
    model: model_lib.LadderNetwork, updates: int, blocks: int, num_images: int = NUM_IMAGES
) -> list[float]:
    """Times training.

    Args:
      model: compiled with `updates` steps an execution.
      updates: in one block, which is one call of the compiled function.
      blocks: how many are timed, after one to warm up.
      num_images: random unlabelled images; the first NUM_LABELS are labelled.

    Returns:
      The mean update of each block, milliseconds.
    """
    rng = np.random.default_rng(0)
    x = rng.integers(256, size=(num_images, ladder.WIDTHS[0]), dtype=np.uint8)
    y = np.arange(NUM_LABELS) % ladder.WIDTHS[-1]
    clock = step_clock.StepClock()
    model.fit(
        data.two_stream(x[:NUM_LABELS], y, x, ladder.BATCH, ladder.BATCH, max_value=255),
        steps_per_epoch=(1 + blocks) * updates,
        callbacks=[clock],
        verbose=0,
    )
    return [1000 * seconds / updates for seconds in np.diff(clock.seconds)[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('contestant', choices=list(SETTINGS))
    parser.add_argument('--updates', type=int, default=40, help='in a block')
    parser.add_argument('--blocks', type=int, default=3, help='timed, after one to warm up')
    arguments = parser.parse_args()
    model = compiled(arguments.contestant, steps_per_execution=arguments.updates)
    measured = update_ms(model, arguments.updates, arguments.blocks)
    print(json.dumps({'update_ms': measured, 'libraries': {'tensorflow': tf.__version__}}))


if __name__ == '__main__':
    main()
