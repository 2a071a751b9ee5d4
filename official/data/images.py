"""Labelled images in memory: what a data source returns, checked once at the door."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageArrays:
    """The training and test part of an image classification data set.

    The pixels stay bytes: a pipeline scales a batch, not the data set. The value 1.0 of a scaled
    pixel is `max_value`, so that scaled pixels are exactly `value / max_value` in [0, 1].

    Attributes:
      train_images: uint8 [n, height, width, channels], values 0 to `max_value`.
      train_labels: int32 [n], values 0 to `len(class_names) - 1`.
      test_images: uint8 [m, height, width, channels], the same image shape.
      test_labels: int32 [m].
      class_names: one name a class.
      max_value: the pixel value that stands for 1.0 (255 for ordinary images).
      name: where the arrays come from; error messages begin with it.

    Raises:
      ValueError: a field breaks one of the rules above; the message names field and value.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    max_value: int = 255
    name: str = 'images'

    def __post_init__(self):
        if not self.class_names:
            raise ValueError(f'{self.name}: class_names is empty.')
        if not 1 <= self.max_value <= 255:
            raise ValueError(f'{self.name}: max_value is {self.max_value}, not within 1 to 255.')
        for part in ('train', 'test'):
            self._check_images(f'{part}_images')
            check_labels(
                getattr(self, f'{part}_labels'),
                self.num_classes,
                len(getattr(self, f'{part}_images')),
                f'{self.name}: {part}_labels',
            )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f'{self.name}: train_images are {self.train_images.shape[1:]} each, '
                f'test_images {self.test_images.shape[1:]}.'
            )

    def _check_images(self, field: str):
        images = getattr(self, field)
        if images.dtype != np.uint8:
            raise ValueError(f'{self.name}: {field} is {images.dtype}, not uint8.')
        if images.ndim != 4 or not images.size:
            raise ValueError(
                f'{self.name}: {field} has shape {images.shape}, '
                'not [n, height, width, channels] with every dimension at least 1.'
            )
        if images.max() > self.max_value:
            raise ValueError(
                f'{self.name}: {field} holds {images.max()}, more than max_value {self.max_value}.'
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        _, height, width, channels = self.train_images.shape
        return height, width, channels


def check_labels(labels: np.ndarray, num_classes: int, num_images: int, what: str) -> None:
    """Raises ValueError unless `labels` are int32 [num_images] within 0 to num_classes - 1.

    `what` is how the message calls them: a file or a field.
    """
    if labels.dtype != np.int32 or labels.ndim != 1:
        raise ValueError(f'{what}: {labels.dtype} of shape {labels.shape}, not int32 of shape [n].')
    if len(labels) != num_images:
        raise ValueError(f'{what}: {len(labels)} labels for {num_images} images.')
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if outside.size:
        raise ValueError(
            f'{what}: label {labels[outside[0]]} at position {outside[0]} is not one of the '
            f'{num_classes} classes 0 to {num_classes - 1}.'
        )


def unit_interval(images: np.ndarray, max_value: float) -> np.ndarray:
    """float32 images / max_value: bit for bit what the pipelines compute."""
    return images.astype(np.float32) / np.float32(max_value)
