"""Experiments that take seconds: the digits at 16 pixels, networks of two blocks each."""

import contextlib
import functools
from unittest import mock

import numpy as np
import tensorflow as tf

from official.core import keras_experiment
from official.data import digits, image_sources, labelling
from official.modeling import optimizers
from research.s3gan import data, discriminator, evaluation, export, generator, model

SIZE = 16
SOURCE = functools.partial(
    image_sources.ArraySource, load=digits.load, image_size=SIZE, resize=True
)
# Every block more is traced five times in an update. Two of either network are a resampling step by
# step and one that is fused, a block with a shortcut and one without.
_WIDTHS = {generator: (4, 4, 4), discriminator: (2, 2)}


@contextlib.contextmanager
def sizes():
    """Has the two networks know 16 pixels, a size of the tests only."""
    with contextlib.ExitStack() as stack:
        for module, widths in _WIDTHS.items():
            stack.enter_context(mock.patch.dict(module._WIDTHS, {SIZE: widths}))
            stack.enter_context(mock.patch.dict(module._ATTENTION, {SIZE: None}))
        yield


def make_generator(**arguments):
    """A `Generator` of 16 pixels with `arguments` of the class."""
    with sizes():
        return generator.Generator(image_size=SIZE, **arguments)


def make_discriminator(**arguments):
    """A `Discriminator` of 16 pixels with `arguments` of the class."""
    with sizes():
        return discriminator.Discriminator(image_size=SIZE, **arguments)


class Features(tf.keras.Model):
    """Means over the quarters of an image, and how they compare; no training needed."""

    about = 'means of quarters'

    def __init__(self, source):
        super().__init__()
        self.size = source.image_size

    def call(self, images):
        half = self.size // 2
        means = tf.nn.avg_pool2d(tf.reduce_mean(images, 3, keepdims=True), half, half, 'VALID')
        means = tf.reshape(means, [-1, 4])
        return means, tf.nn.softmax(10 * means)


def make_data(seed=0, **overrides):
    """`GanData` of the digits with batches of 8."""
    return data.GanData(
        **{
            'seed': seed,
            'source': SOURCE,
            'batch_size': 8,
            'evaluation_batch': 100,
            'calibration_batches': 3,
            **overrides,
        }
    )


def make_evaluation(**overrides):
    """Scores of few samples over `Features`."""
    return evaluation.GanEvaluation(
        **{
            'features': Features,
            'num_samples': 150,
            'num_sets': 2,
            'checkpoint_samples': 100,
            'neighbour_samples': 60,
            **overrides,
        }
    )


def make(run_dir, strategy=None, model_overrides=None, **overrides):
    """S3GAN-CO with everything on, four steps, a checkpoint at 2.

    One of the eight images of an update is rotated: of two devices only the first has one.

    Adam has an epsilon that is not tiny, which keeps gradients of nearly zero from being blown up.
    """
    sizes = {'ch': 2, 'channels': 1, 'num_classes': 10}
    adam = functools.partial(optimizers.FusedAdam, beta_1=0.0, beta_2=0.999, epsilon=1e-3)
    arguments = dict(
        seed=3,
        train_steps=4,
        save_every_steps=2,
        calibrate=True,
        average_decay=0.5,
        average_start_step=1,
        monitor_split='test',
        signatures=export.signatures,
        model=functools.partial(
            model.S3GAN,
            **{
                'generator': functools.partial(make_generator, **sizes),
                'discriminator': functools.partial(make_discriminator, **sizes),
                'rotation_losses': True,
                'rotated_share': 0.125,
                'label_loss': 0.2,
                **(model_overrides or {}),
            },
        ),
        optimizer=lambda: adam(1e-3),
        discriminator_optimizer=lambda: adam(1e-3),
        data=functools.partial(
            data.GanData,
            source=SOURCE,
            batch_size=8,
            evaluation_batch=100,
            calibration_batches=3,
            labelling=functools.partial(labelling.partial_labels, percent=20),
        ),
        evaluator=make_evaluation(),
    )
    return keras_experiment.KerasExperiment(
        run_dir, strategy=strategy, **{**arguments, **overrides}
    )


def z_and_labels(number, z_dim, num_classes=10, seed=0):
    """Normal z, float32, and uniform labels, int32."""
    random = np.random.RandomState(seed)
    return (
        random.randn(number, z_dim).astype(np.float32),
        random.randint(0, num_classes, number).astype(np.int32),
    )
