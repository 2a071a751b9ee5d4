"""Images and training steps of this project's S3GAN (Lucic et al. 2019) on BigGAN.

What benchmarks/s3gan.py runs, a process at a time; by hand:

    ./garden python benchmarks/s3gan_tensorflow.py forward small [--dtype=bfloat16] [--xla]
    ./garden python benchmarks/s3gan_tensorflow.py step full [--unfused]
    ./garden python benchmarks/s3gan_tensorflow.py peak         convolutions alone

Everything is the product's: networks, model, optimizers, average of the generator's weights and
`fit`, as gin files wire them; only the images are random, made once. `forward` is the generator by
its moving statistics, as for samples. `step` is two updates of the discriminator and one of the
generator. `--unfused` resamples and convolves one after the other.

Prints one JSON object: 'ms', the mean image batch or step of each block, milliseconds; 'first_s',
of the block to warm up, which has the compilation; 'parameters', 'memory' and 'libraries'. For
`peak`: 'gflop_per_s', of each type of numbers the highest rate.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks import contest, peak, s3gan, step_clock
from official.modeling import optimizers
from research.s3gan import discriminator, generator
from research.s3gan import model as model_lib

MODES = ('forward', 'step', 'peak')
AVERAGE_DECAY = 0.9999
LEARNING_RATES = 5e-5, 2e-4  # Of the generator and of the discriminator.
BATCHES = 4  # Of random images.
# Channels, height, width and images of the convolutions that the peak is measured with.
PEAKS = ((192, 64, 64, 8), (384, 32, 32, 8), (768, 16, 16, 8))


def sizes(config: s3gan.Config) -> dict:
    """The arguments that both networks have in common."""
    return {
        'image_size': config.image_size,
        'ch': config.ch,
        'num_classes': config.classes,
        'channels': config.channels,
    }


def training(config: s3gan.Config, fused: bool = True) -> model_lib.S3GAN:
    """Both networks and the average of the generator's weights, not yet compiled."""
    common = {**sizes(config), 'fused': fused}
    model = model_lib.S3GAN(
        generator=functools.partial(generator.Generator, **common),
        discriminator=functools.partial(discriminator.Discriminator, **common),
        discriminator_steps=2,
        rotation_losses=True,
        # Every 16th image, one at least.
        rotated_share=math.ceil(config.batch / s3gan.ROTATION_STRIDE) / config.batch,
    )
    model.average_weights(AVERAGE_DECAY)
    return model


def players() -> list[optimizers.FusedAdam]:
    """The optimizers of the generator and of the discriminator."""
    return [optimizers.FusedAdam(rate, beta_1=0.0, beta_2=0.999) for rate in LEARNING_RATES]


def step_ms(
    config: s3gan.Config, repetitions: int, blocks: int, fused: bool = True, xla: bool = False
) -> dict:
    """Times training steps.

    Args:
      config: of the networks and the batch.
      repetitions: steps in one block, which is one call of the compiled function.
      blocks: how many are timed, after one to warm up.
      fused: see `SpectralConv2D`.
      xla: compile the step with XLA.

    Returns:
      'ms', 'first_s' and 'parameters', see the module.

    Raises:
      SystemExit: the losses are not finite.
    """
    model = training(config, fused)
    ours, theirs = players()
    model.compile(
        ours, discriminator_optimizer=theirs, steps_per_execution=repetitions, jit_compile=xla
    )
    model.build_optimizers()
    rng = np.random.default_rng(0)
    shape = 2 * config.batch, config.image_size, config.image_size, config.channels
    images = rng.integers(256, size=(BATCHES, *shape), dtype=np.uint8)
    labels = rng.integers(config.classes, size=(BATCHES, shape[0]), dtype=np.int32)
    clock = step_clock.StepClock()
    contest.forget_peak()
    model.fit(
        tf.data.Dataset.from_tensor_slices((images, labels)).repeat(),
        steps_per_epoch=(1 + blocks) * repetitions,
        callbacks=[clock],
        verbose=0,
    )
    _check(int(model.first_bad_step) < 0)
    first_s, *seconds = np.diff(clock.seconds).tolist()
    return {
        'ms': [1000 * block / repetitions for block in seconds],
        'first_s': first_s,
        'parameters': _parameters(model),
    }


def forward_ms(
    config: s3gan.Config, repetitions: int, blocks: int, fused: bool = True, xla: bool = False
) -> dict:
    """Times the generator; see `step_ms`."""
    net = generator.Generator(**sizes(config), fused=fused)
    rng = np.random.default_rng(0)
    z = tf.constant(rng.normal(size=(config.batch, net.z_dim)), tf.float32)
    y = tf.constant(rng.integers(config.classes, size=config.batch), tf.int32)
    make = tf.function(lambda z, y: net(z, y), jit_compile=xla)
    contest.forget_peak()
    marks = [time.perf_counter()]
    for _ in range(1 + blocks):
        for _ in range(repetitions):
            images = make(z, y).numpy()
        marks.append(time.perf_counter())
    _check(math.isfinite(images.sum()))
    first_s, *seconds = np.diff(marks).tolist()
    return {
        'ms': [1000 * block / repetitions for block in seconds],
        'first_s': first_s,
        'parameters': _parameters(net),
    }


def _parameters(net: tf.keras.Model) -> int:
    return sum(variable.shape.num_elements() for variable in net.trainable_variables)


def _check(finite: bool) -> None:
    if not finite:
        raise SystemExit('The result is not finite: these times do not count.')


def gflop_per_s(dtype: str) -> float:
    """The highest rate of 3 x 3 convolutions of the sizes of the large networks."""
    return peak.convolution_gflop_per_s(PEAKS, dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('mode', choices=MODES)
    parser.add_argument('config', choices=list(s3gan.CONFIGS), nargs='?', default='small')
    parser.add_argument('--batch', type=contest.positive, help="by default the configuration's")
    parser.add_argument('--dtype', choices=s3gan.DTYPES, default=s3gan.DTYPES[0])
    parser.add_argument('--xla', action='store_true', help='compile with XLA')
    parser.add_argument('--unfused', action='store_true', help='resample and convolve apart')
    parser.add_argument('--repetitions', type=contest.positive, default=10, help='in a block')
    parser.add_argument(
        '--blocks', type=contest.positive, default=3, help='timed, after one to warm up'
    )
    arguments = parser.parse_args()
    tf.config.experimental.enable_op_determinism()  # As every run of the project.
    tf.keras.utils.set_random_seed(0)
    if arguments.mode == 'peak':
        result = {'gflop_per_s': {dtype: gflop_per_s(dtype) for dtype in s3gan.DTYPES}}
    else:
        if arguments.dtype == 'bfloat16':
            tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
        config = s3gan.CONFIGS[arguments.config]
        timed: Callable = {'forward': forward_ms, 'step': step_ms}[arguments.mode]
        result = timed(
            config._replace(batch=arguments.batch or config.batch),
            arguments.repetitions,
            arguments.blocks,
            not arguments.unfused,
            arguments.xla,
        )
        result['memory'] = contest.memory_mb()
    print(json.dumps(result | {'libraries': {'tensorflow': tf.__version__}}))


if __name__ == '__main__':
    main()
