"""What a GAN's report shows beside the common parts: pictures, as Figures 9 to 20 of the paper."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks, figures, page
from official.core.page import Section
from official.modeling import random

_BATCH = 100  # Images made at once.
_SMALL = 64  # Pixels; larger images are photographs.
_SAMPLES, _BESIDE_REAL, _IN_Z, _BETWEEN = range(4)  # Streams of random numbers.


class GanReport:
    """The sections with pictures of a report on an `S3GAN` (Lucic et al. 2019, App. A).

    Every picture follows from the weights and the key; none is chosen. All are without truncation.

    - Samples of a label in a row (Figures 17 to 20).
    - Real and generated images of a label beside each other (Figures 14 to 16), where labels are
      not the classes with the commonest class of the real ones.
    - Interpolations (Figures 9 to 13). The paper does not say along which path. Here a path in z is
      ((1 - t) a + t b) / sqrt((1 - t)^2 + t^2), each point of which is N(0, I) as a and b are; a
      path from one label to another mixes the embedded labels linearly and leaves z as it is.

    Args:
      rows: rows of a grid, and labels shown: of more labels so many, at equal distances.
      columns: samples in a row.
      real_columns: real images in a row, beside as many generated ones.
      interpolations: rows of interpolations of each kind.
      steps: images of an interpolation, the two ends among them.

    Raises:
      ValueError: if one of these is too small.
    """

    def __init__(
        self,
        rows: int = 10,
        columns: int = 10,
        real_columns: int = 6,
        interpolations: int = 5,
        steps: int = 8,
    ):
        checks.positive(
            'GanReport',
            rows=rows,
            columns=columns,
            real_columns=real_columns,
            interpolations=interpolations,
        )
        checks.at_least('GanReport', 2, steps=steps)
        self.rows, self.columns, self.real_columns = rows, columns, real_columns
        self.interpolations, self.steps = interpolations, steps

    def __call__(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[Section]:
        """The sections.

        Args:
          model: an `S3GAN` with the weights and statistics that are reported.
          data: its `GanData`.
          key: int32 [1, 2], of z.
        """
        labels, names = self.labels(data), _Names(data)
        return [
            self._samples(model, data, key, names, labels),
            self._beside_real(model, data, key, names, labels),
            self._interpolations(model, data, key, names, labels),
        ]

    def labels(self, data: Any) -> list[int]:
        """The label of each row: all there are, some of many, or the only one again and again."""
        if data.num_labels == 1:
            return [0] * self.rows
        number = min(self.rows, data.num_labels)
        return np.linspace(0, data.num_labels - 1, number).round().astype(int).tolist()

    def samples(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> np.ndarray:
        """Generated images in [0, 1], [rows, columns, size, size, channels]."""
        return self._of_labels(model, self.labels(data), self.columns, key, _SAMPLES)

    def paths_in_z(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> np.ndarray:
        """Generated images [interpolations, steps, size, size, channels], labels as in `labels`."""
        labels = self.labels(data)[: self.interpolations]
        a, b = (_z(model, key, _IN_Z, end, len(labels))[:, np.newaxis] for end in range(2))
        t = np.linspace(0, 1, self.steps, dtype=np.float32)[:, np.newaxis]
        z = ((1 - t) * a + t * b) / np.sqrt((1 - t) ** 2 + t**2)
        return generate(model, z, np.tile(np.array(labels)[:, np.newaxis], (1, self.steps)))

    def paths_between_labels(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> np.ndarray:
        """Generated images [pairs of labels, steps, size, size, channels]."""
        pairs = np.array(self._pairs(self.labels(data)))
        z = _z(model, key, _BETWEEN, 0, len(pairs))[:, np.newaxis]
        t = np.linspace(0, 1, self.steps, dtype=np.float32)[:, np.newaxis]
        one_hot = np.eye(data.num_labels, dtype=np.float32)[pairs][:, :, np.newaxis]
        # The embedding is linear in y, so what holds of y holds of it.
        y = (1 - t) * one_hot[:, 0] + t * one_hot[:, 1]
        return generate(model, np.tile(z, (1, self.steps, 1)), y)

    def _pairs(self, labels):
        return list(itertools.pairwise(labels))[: self.interpolations]

    def _of_labels(self, model, labels, columns, key, stream) -> np.ndarray:
        z = _z(model, key, stream, 0, len(labels) * columns)
        return generate(
            model,
            z.reshape(len(labels), columns, -1),
            np.tile(np.array(labels)[:, np.newaxis], (1, columns)),
        )

    def _samples(self, model, data, key, names, labels) -> Section:
        text = 'Not selected, and without truncation: every image has a z of its own.'
        if data.num_labels == 1:
            text += ' There is one label.'
        elif not names.are_classes:
            text += ' The labels are numbers: they do not stand for classes.'
        if data.num_labels > self.rows:
            text += (
                f' Shown are {self.rows} of {page.number(data.num_labels)} labels, at equal '
                'distances.'
            )
        grid = figures.image_grid(
            self.samples(model, data, key),
            [names.row(label) for label in labels],
            range(1, self.columns + 1),
            large=_large(model),
        )
        return Section('Samples (Figures 17 to 20)', grid + page.paragraph(text, note=True))

    def _beside_real(self, model, data, key, names, labels) -> Section:
        number = self.real_columns
        made = self._of_labels(model, labels, number, key, _BESIDE_REAL)
        real = {
            label: list(data.real_images(label, number * labels.count(label)) / np.float32(255))
            for label in set(labels)
        }
        rows = []
        for label, generated in zip(labels, made, strict=True):
            found, real[label] = real[label][:number], real[label][number:]
            rows.append([*found, *[None] * (number - len(found) + 1), *generated])
        grid = figures.image_grid(
            rows,
            [names.row_with_class(label) for label in labels],
            ['real', *[''] * number, 'generated', *[''] * (number - 1)],
            large=_large(model),
        )
        title = 'Real and generated'
        text = 'Left the first training images with the label, right generated ones.'
        if not names.are_classes and data.num_labels > 1:
            title += ' (Figures 14 to 16)'
            text += (
                ' After the number of a label stands the class that most of the real images '
                'with it have; the GAN was not told.'
            )
        return Section(title, grid + page.paragraph(text, note=True))

    def _interpolations(self, model, data, key, names, labels) -> Section:
        steps = [f'{t:.2g}' for t in np.linspace(0, 1, self.steps)]
        kinds = [
            (
                'From one z to another, with the same label',
                self.paths_in_z,
                [names.row(label) for label in labels[: self.interpolations]],
            )
        ]
        pairs = self._pairs(labels)
        if data.num_labels > 1 and pairs:
            kinds.append(
                (
                    'From one label to another, with the same z',
                    self.paths_between_labels,
                    [f'{names.row(a)} to {names.row(b)}' for a, b in pairs],
                )
            )
        parts = [
            f'<h3>{title}</h3>'
            + figures.image_grid(paths(model, data, key), titles, steps, large=_large(model))
            for title, paths, titles in kinds
        ]
        return Section('Interpolations (Figures 9 to 13)', ''.join(parts))


def generate(model: tf.keras.Model, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Images of many z and labels.

    Args:
      model: an `S3GAN`.
      z: float32 [rows, columns, z_dim].
      y: labels, int [rows, columns], or probabilities, float32 [rows, columns, num_classes].

    Returns:
      float32 [rows, columns, size, size, channels] in [0, 1].
    """
    shape = z.shape[:2]
    z = z.reshape(-1, z.shape[-1]).astype(np.float32)
    y = y.reshape(len(z), *y.shape[2:])
    y = y.astype(np.int32 if y.ndim == 1 else np.float32)
    images = np.concatenate(
        [
            model(
                (tf.constant(z[first : first + _BATCH]), tf.constant(y[first : first + _BATCH]))
            ).numpy()
            for first in range(0, len(z), _BATCH)
        ]
    )
    return images.reshape(*shape, *images.shape[1:])


def _z(model, key, stream, number, count) -> np.ndarray:
    key = random.fold_in(random.fold_in(key, stream), number)
    return model.draw(key, count)[0].numpy()


def _large(model) -> bool:
    return model.generator.image_size > _SMALL


class _Names:
    """What to call the labels of a `GanData`.

    Attributes:
      are_classes: whether labels stand for classes. As many random labels as there are classes, or
        as many clusters, do not: they agree with the true ones by chance only.
    """

    def __init__(self, data):
        labels = data.labelling.labels
        labels = labels.argmax(1) if labels.ndim == 2 else labels
        self._true = data.source.labels('train')[data.labelling.indices]
        self._labels, self._names = labels, data.class_names
        self.are_classes = False
        if 1 < data.num_labels == len(data.class_names):
            chance = 1 / data.num_labels
            known = labels >= 0
            agreement = np.mean(labels[known] == self._true[known])
            # Far from chance, and far from all: labels that were inferred are often wrong.
            self.are_classes = bool(agreement > chance**0.5)
        self._one = data.num_labels == 1

    def row(self, label: int) -> str:
        return '' if self._one else str(self._names[label] if self.are_classes else label)

    def row_with_class(self, label: int) -> str:
        """The label, and unless it is a class the commonest class of its images."""
        true = self._true[self._labels == label]
        if self.are_classes or self._one or not len(true):
            return self.row(label)
        counts = np.bincount(true)
        share = f'{100 * counts.max() / len(true):.0f}\N{NO-BREAK SPACE}%'
        return f'{label}: {share} {self._names[int(counts.argmax())]}'
