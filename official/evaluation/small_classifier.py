"""Features for FID and Inception Score where no Inception network is at hand.

A small convolutional classifier, trained on the labelled training images of the data set itself.
Scores over its features compare models on the same data set with each other, and with nothing else:
neither with published figures nor across data sets.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from official.core import checks
from official.data import image_sources, pipeline
from official.modeling import random

_WIDTHS = (32, 64, 128, 128)
_FEATURES = 128
_ERROR = re.compile(r'\(test error ([\d.]+) %\)')
_POOR_PERCENT = 20  # Test error from which on there is a warning.


class SmallClassifier(tf.keras.Model):
    """Four 3 x 3 convolutions, of which three halve, and a hidden layer of 128 features.

    Args:
      image_size: height and width of an image.
      channels: of an image.
      num_classes: classes.
      seed: of the initial weights.
    """

    def __init__(self, image_size: int, channels: int, num_classes: int, seed: int = 0):
        super().__init__(name='small_classifier')
        self.about, self.warning = '', ''
        key = random.make_key(seed)
        layers = tf.keras.layers
        self._convs = [
            layers.Conv2D(width, 3, 1 if not number else 2, 'same', activation='relu')
            for number, width in enumerate(_WIDTHS)
        ]
        self._hidden = layers.Dense(_FEATURES, activation='relu')
        self._output = layers.Dense(num_classes)
        shape = [1, image_size, image_size, channels]
        self(tf.zeros(shape))
        for number, kernel in enumerate(v for v in self.trainable_variables if len(v.shape) > 1):
            inputs = np.prod(kernel.shape[:-1])
            kernel.assign(
                random.normal(random.fold_in(key, number), kernel.shape, (2 / inputs) ** 0.5)
            )

    def call(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images in [0, 1], [n, size, size, channels], to features [n, 128] and probabilities."""
        features, logits = self._forward(images)
        return features, tf.nn.softmax(logits)

    def _forward(self, images):
        x = images
        for conv in self._convs:
            x = conv(x)
        features = self._hidden(tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]]))
        return features, self._output(features)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        images, labels = data
        with tf.GradientTape() as tape:
            logits = self._forward(tf.cast(images, tf.float32) / 255)[1]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        self.optimizer.minimize(loss, self.trainable_variables, tape)
        return {'loss': loss}


def trained(
    source: image_sources.ImageSource,
    folder: str,
    seed: int = 0,
    epochs: int = 4,
    batch_size: int = 128,
    learning_rate: float = 0.001,
) -> SmallClassifier:
    """The classifier of a data set, trained, or read from a file if it has been before.

    Args:
      source: of the images; all training images and labels are used.
      folder: where the weights are kept; experiments that share it share the features, so that
        their scores compare.
      seed: of the classifier, not of an experiment.
      epochs: passes over the training images.
      batch_size: images of a step.
      learning_rate: of Adam, falling to 0 along a cosine.

    Returns:
      A model whose `about` says what it is and how well it classifies the test images, and whose
      `warning` is empty unless it errs on more than 20 % of them.

    Raises:
      ValueError: if the file is damaged.
    """
    checks.positive('small_classifier.trained', epochs=epochs, batch_size=batch_size)
    labels = source.labels('train')
    model = SmallClassifier(source.image_size, source.channels, len(source.class_names), seed)
    settings = {
        'size': source.image_size,
        'channels': source.channels,
        'seed': seed,
        'epochs': epochs,
        'batch_size': batch_size,
        'learning_rate': learning_rate,
        'images': _fingerprint(source, labels),
    }
    name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    path = os.path.join(folder, f'classifier_{name}.npz')
    if os.path.exists(path):
        _read(path, model)
        _warn(model)
        return model
    numbers = pipeline.batch_indices(len(labels), batch_size, seed)
    on_host = pipeline.on_host(labels)
    batches = source.images(tf.data.Dataset.zip((numbers, numbers)), 'train').map(
        lambda images, number: (images, tf.gather(on_host, number))
    )
    steps = max(1, epochs * len(labels) // batch_size)
    model.compile(
        tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps))
    )
    print(f'Training a classifier of {source.name} for features, {steps} steps, once.', flush=True)
    model.fit(
        pipeline.finish(batches, source.in_memory), steps_per_epoch=steps, epochs=1, verbose=0
    )
    error = _test_error_percent(model, source, batch_size)
    model.about = f'a small classifier trained on the data set itself (test error {error:.2f} %)'
    os.makedirs(folder, exist_ok=True)
    partial = f'{path}.{os.getpid()}.partial'
    with open(partial, 'wb') as file:
        np.savez(
            file,
            about=model.about,
            **{f'weight_{i}': value for i, value in enumerate(model.get_weights())},
        )
    os.replace(partial, path)
    _warn(model)
    return model


def _warn(model: SmallClassifier) -> None:
    """Sets `warning`, and logs it, if the classifier is so poor that its features say little."""
    told = _ERROR.search(model.about)
    error = float(told[1]) if told else 0.0
    if error > _POOR_PERCENT:
        model.warning = (
            f'Scores over a classifier that errs on {error:.0f} % of the test images '
            'say little: a better one is needed'
        )
        logging.warning('%s.', model.warning)


def _fingerprint(source: image_sources.ImageSource, labels: np.ndarray) -> str:
    first = np.arange(min(len(labels), 64), dtype=np.int64)
    images = next(iter(source.images(tf.data.Dataset.from_tensors((first, first)), 'train')))[0]
    digest = hashlib.sha256(np.ascontiguousarray(labels, '<i4').tobytes())
    digest.update(images.numpy().tobytes())
    return digest.hexdigest()


def _read(path: str, model: SmallClassifier) -> None:
    try:
        with np.load(path, allow_pickle=False) as file:
            model.set_weights([file[f'weight_{i}'] for i in range(len(model.weights))])
            model.about = str(file['about'])
            if not _ERROR.search(model.about):
                raise ValueError(f'no test error in {model.about!r}')
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is damaged: no weights of a classifier ({error}).') from None


def _test_error_percent(model, source, batch_size: int) -> float:
    predict = tf.function(lambda x: tf.argmax(model(tf.cast(x, tf.float32) / 255)[1], 1, tf.int32))
    wrong = sum(
        float(tf.reduce_sum(weights * tf.cast(predict(images) != labels, tf.float32)))
        for images, labels, weights in image_sources.in_order(source, 'test', batch_size)
    )
    return 100 * wrong / len(source.labels('test'))
