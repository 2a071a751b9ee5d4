"""The two streams a Ladder network trains on: a few labelled images, and all images.

Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", section 4. A training batch is
((x_labelled, x_unlabelled), y); the two parts are drawn from streams of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import images, pipeline, sampling

# What is drawn with one seed, numbered, so that no two of them are drawn alike.
_LABELLED_STREAM, _UNLABELLED_STREAM, _CALIBRATION_STREAM, _LABELS, _VALIDATION = range(5)


def two_stream(
    x_labelled: np.ndarray,
    y: np.ndarray,
    x_unlabelled: np.ndarray,
    labelled_batch: int = 100,
    unlabelled_batch: int = 100,
    seed: int = 0,
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    max_value: float | None = None,
) -> tf.data.Dataset:
    """Training batches from arrays of different lengths, without end: give it to `fit`.

    Each stream is shuffled anew in every pass over its array. Step n depends on (seed, n) only.

    Args:
      x_labelled: [labelled, ...]: flat or image-shaped, float in [0, 1] (or normalized in some
        other way, with negative values).
      y: classes of `x_labelled`, int [labelled].
      x_unlabelled: [unlabelled, ...], usually with the labelled examples among them.
      labelled_batch: labelled examples of the global batch.
      unlabelled_batch: unlabelled examples of the global batch.
      seed: of the shuffling.
      start_step: the first step.
      input_context: whom the pipeline serves, with `tf.distribute`; None: one replica.
      max_value: divide both arrays by it, batch by batch: 255 for uint8 images, which are not taken
        without it. 1 takes values above 1 as they are.

    Returns:
      Dataset of ((x_labelled, x_unlabelled), y): float32 [labelled_batch / replicas, ...], float32
      [unlabelled_batch / replicas, ...], int32 [labelled_batch / replicas].

    Raises:
      ValueError: the arrays do not fit together, hold something else than numbers in the range
        above, or a batch cannot be divided evenly among the replicas.
    """
    same = x_labelled is x_unlabelled
    x_labelled = _checked_inputs(x_labelled, 'x_labelled', max_value)
    x_unlabelled = x_labelled if same else _checked_inputs(x_unlabelled, 'x_unlabelled', max_value)
    if x_labelled.shape[1:] != x_unlabelled.shape[1:]:
        raise ValueError(
            f'x_labelled are {x_labelled.shape[1:]} each, x_unlabelled {x_unlabelled.shape[1:]}.'
        )
    y = np.asarray(y)
    if y.ndim != 1 or y.dtype.kind not in 'iu':
        raise ValueError(f'y is {y.dtype} of shape {y.shape}, not whole numbers of shape [n].')
    if len(y) != len(x_labelled):
        raise ValueError(f'y has {len(y)} labels for the {len(x_labelled)} of x_labelled.')
    if y.min() < 0:
        raise ValueError(f'y holds {y.min()} at position {y.argmin()}: classes count from 0.')

    return _two_stream(
        pipeline.on_host(x_labelled),
        pipeline.on_host(y.astype(np.int32)),
        None if same else pipeline.on_host(x_unlabelled),
        labelled_batch,
        unlabelled_batch,
        seed,
        start_step,
        input_context,
        1 if max_value is None else max_value,
    )


def _two_stream(
    x_labelled,
    y,
    x_unlabelled,
    labelled_batch,
    unlabelled_batch,
    seed,
    start_step,
    input_context,
    max_value,
):
    """`two_stream` of checked tensors; x_unlabelled None: the same as x_labelled."""
    x_unlabelled = x_labelled if x_unlabelled is None else x_unlabelled

    def gather(labelled, unlabelled):
        x = (
            pipeline.scaled(tf.gather(x_labelled, labelled), max_value),
            pipeline.scaled(tf.gather(x_unlabelled, unlabelled), max_value),
        )
        return x, tf.gather(y, labelled)

    labelled = pipeline.batch_indices(
        len(x_labelled), labelled_batch, seed, start_step, input_context, _LABELLED_STREAM
    )
    unlabelled = pipeline.batch_indices(
        len(x_unlabelled), unlabelled_batch, seed, start_step, input_context, _UNLABELLED_STREAM
    )
    return pipeline.finish(tf.data.Dataset.zip((labelled, unlabelled)).map(gather))


def _checked_inputs(x, name: str, max_value: float | None) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim < 2 or not x.size:
        raise ValueError(f'{name} has shape {x.shape}, not [n, ...] with at least one value.')
    if x.dtype.kind not in 'fiu':
        raise ValueError(f'{name} is {x.dtype}, not numbers.')
    if max_value is not None:
        if max_value <= 0:
            raise ValueError(f'max_value {max_value} must be positive.')
    elif x.dtype.kind != 'f':
        # Bytes taken as they are train to 16 % error where 1 % is due, without any complaint.
        raise ValueError(
            f'{name} is {x.dtype}: give float pixels in [0, 1], or max_value, the value that '
            'stands for 1 (255 for ordinary uint8 images).'
        )
    elif x.min() >= 0 and x.max() > 1:
        raise ValueError(
            f'{name} has values from {x.min():g} to {x.max():g}: give pixels in [0, 1], or '
            'max_value, the value that stands for 1 (max_value=1 takes them as they are).'
        )
    if x.dtype.kind == 'f' and not np.isfinite(x).all():
        raise ValueError(f'{name} holds NaN or infinite values.')
    return x if x.dtype == np.uint8 else x.astype(np.float32, copy=False)


def class_balanced_labels(
    labels: np.ndarray, num_labels: int, num_classes: int, seed: int
) -> np.ndarray:
    """Draws the examples whose labels are used: `num_labels / num_classes` of each class.

    Args:
      labels: int [n], all labels.
      num_labels: how many to draw.
      num_classes: number of classes.
      seed: the run's seed.

    Returns:
      int64 [num_labels], indices into `labels` in ascending order.

    Raises:
      ValueError: `num_labels` is not a positive multiple of `num_classes`, or some class has too
        few examples; the message says which class, how many it has and how many were asked.
    """
    return sampling.balanced_indices(labels, num_labels, num_classes, (seed, _LABELS), 'num_labels')


class SemiSupervisedData:
    """A data set with few labels, as an experiment wants it.

    The unlabelled stream has all training images, the labelled ones among them; one epoch is one
    pass over it. The labelled stream cycles. Labels are balanced over the classes and drawn with
    the seed, and so is the validation set.

    Args:
      seed: the run's seed.
      data_dir: where the source finds its files; None: the source's own place.
      source: called as source(data_dir), gives `official.data.images.ImageArrays`.
      num_labels: labels used in training; None: all.
      labelled_batch: labelled examples of the global batch.
      unlabelled_batch: unlabelled examples of the global batch.
      validation_size: training examples set apart, the same number of every class (section 4.1:
        10 000 of MNIST, section 4.2: 10 000 of CIFAR-10). They are in neither stream.
      evaluation_batch: examples of the global batch in evaluation.
      flatten: examples are vectors instead of images.
      preprocess: called as preprocess(images) on the training images of the unlabelled stream,
        uint8 [n, height, width, channels], gives a function of such images with float32 results of
        the same shape, and with an attribute `tensor`, the same for tensors
        (`official.data.whitening.fit`); None: pixels are scaled to [0, 1].
      calibrate_on_labelled: normalization statistics are recomputed from the labelled images alone
        instead of all training images.

    Attributes:
      arrays: the source's `ImageArrays`.
      class_names, num_classes: of the source.
      train_indices: int64 [n], the training examples: `arrays.train_images` without validation.
      labelled_indices: int64 [num_labels], those among them whose labels are used.
      validation_indices: int64 [validation_size].
      input_shape: shape of one example as the model sees it.
      steps_per_epoch: steps in which every unlabelled image has been seen once (rounded up).

    Raises:
      ValueError, FileNotFoundError: what the source raises; labels or validation examples that
        cannot be balanced; a class with fewer examples than asked for; an empty batch.
    """

    def __init__(
        self,
        seed: int,
        data_dir: str | None = None,
        *,
        source: Callable[[str | None], images.ImageArrays],
        num_labels: int | None = None,
        labelled_batch: int = 100,
        unlabelled_batch: int = 100,
        validation_size: int = 0,
        evaluation_batch: int = 500,
        flatten: bool = True,
        preprocess: Callable | None = None,
        calibrate_on_labelled: bool = False,
    ):
        checks.positive(
            'SemiSupervisedData',
            labelled_batch=labelled_batch,
            unlabelled_batch=unlabelled_batch,
            evaluation_batch=evaluation_batch,
        )
        self.arrays = source(data_dir)
        self.seed = seed
        self.labelled_batch = labelled_batch
        self.unlabelled_batch = unlabelled_batch
        self.evaluation_batch = evaluation_batch
        self.flatten = flatten
        self.preprocess = preprocess
        self.calibrate_on_labelled = calibrate_on_labelled
        self.class_names = self.arrays.class_names
        self.num_classes = self.arrays.num_classes
        self.input_shape = self.arrays.image_shape
        if flatten:
            self.input_shape = (int(np.prod(self.input_shape)),)

        labels = self.arrays.train_labels
        self.train_indices = np.arange(len(labels), dtype=np.int64)
        self.validation_indices = np.empty(0, np.int64)
        if validation_size:
            self.validation_indices = sampling.balanced_indices(
                labels, validation_size, self.num_classes, (seed, _VALIDATION), 'validation_size'
            )
            self.train_indices = np.delete(self.train_indices, self.validation_indices)
        self.labelled_indices = self.train_indices
        if num_labels is not None:
            self.labelled_indices = self.train_indices[
                class_balanced_labels(
                    labels[self.train_indices], num_labels, self.num_classes, seed
                )
            ]
        self.steps_per_epoch = -(-len(self.train_indices) // unlabelled_batch)

    def train(
        self,
        start_step: int = 0,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Batches of ((x_labelled, x_unlabelled), y) without end; see `two_stream`."""
        unlabelled = self._train_inputs[self._all_training_rows]
        labels = self.arrays.train_labels[self.labelled_indices]
        all_labelled = len(self.labelled_indices) == len(self.train_indices)
        labelled = unlabelled if all_labelled else self._train_inputs[self.labelled_indices]
        return _two_stream(
            pipeline.on_host(labelled),
            pipeline.on_host(labels),
            None if all_labelled else pipeline.on_host(unlabelled),
            self.labelled_batch,
            self.unlabelled_batch,
            self.seed,
            start_step,
            input_context,
            self._max_value,
        )

    def evaluation(
        self,
        split: str,
        batch_size: int | None = None,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Every example of a split once, in order.

        Args:
          split: 'test', 'validation' or 'train' (all training images).
          batch_size: examples of the global batch; None: `evaluation_batch`.
          input_context: whom the pipeline serves; None: one replica.

        Returns:
          Dataset of (x, y, weight): float32 [b, *input_shape], int32 [b], float32 [b], with b =
          batch_size / replicas; the last batch is padded with weight 0.

        Raises:
          ValueError: there is no such split, or none was set apart.
        """
        x, y = self._split(split)
        inputs, labels = pipeline.on_host(x), pipeline.on_host(y)

        def gather(indices, weights):
            batch = pipeline.scaled(tf.gather(inputs, indices), self._max_value)
            return batch, tf.gather(labels, indices), weights

        batches = pipeline.eval_batches(len(x), batch_size or self.evaluation_batch, input_context)
        return pipeline.finish(batches.map(gather))

    def calibration(
        self, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Training images, from which normalization statistics are recomputed.

        One pass in full batches of the training size, in an order drawn with the seed; up to one
        batch less one image is left out. Where the images are fewer than a batch, one batch has
        each of them once, and as many again as its equal slices for the replicas need.

        Returns:
          Dataset of x: float32 [b, *input_shape].
        """
        if self.calibrate_on_labelled:
            rows, batch_size = self.labelled_indices, self.labelled_batch
        else:
            rows, batch_size = self._all_training_rows, self.unlabelled_batch
        inputs = pipeline.on_host(self._train_inputs[rows])
        if len(inputs) < batch_size:
            replicas = input_context.num_replicas_in_sync if input_context else 1
            batch_size = -(-len(inputs) // replicas) * replicas
        num_steps = max(1, len(inputs) // batch_size)
        positions = pipeline.batch_positions(batch_size, 0, input_context, num_steps)
        indices = pipeline.shuffled_indices(positions, len(inputs), self.seed, _CALIBRATION_STREAM)
        return pipeline.finish(
            indices.map(lambda i: pipeline.scaled(tf.gather(inputs, i), self._max_value))
        )

    def inputs(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """A whole split as the model sees it: float32 [n, *input_shape], labels int32 [n].

        Raises:
          ValueError: there is no such split, or none was set apart.
        """
        x, y = self._split(split)
        return images.unit_interval(x, self._max_value), y

    def input_tensor(self, pixels: tf.Tensor) -> tf.Tensor:
        """What the model sees of raw pixels, in operations for an exported model.

        Args:
          pixels: [n, height, width, channels], values 0 to `arrays.max_value`.

        Returns:
          float32 [n, *input_shape].
        """
        if self.preprocess is None:
            pixels = pipeline.scaled(pixels, self.arrays.max_value)
        else:
            pixels = self._transform.tensor(pixels)
        return tf.reshape(pixels, [-1, *self.input_shape])

    @property
    def _max_value(self) -> int:
        """What pipelines divide by: preprocessed images are taken as they are."""
        return self.arrays.max_value if self.preprocess is None else 1

    @property
    def _all_training_rows(self):
        """`train_indices`, or a slice, which does not copy, where nothing was set apart."""
        return self.train_indices if len(self.validation_indices) else slice(None)

    @functools.cached_property
    def _transform(self) -> Callable:
        return self.preprocess(self.arrays.train_images[self._all_training_rows])

    @functools.cached_property
    def _train_inputs(self) -> np.ndarray:
        """All training images, validation included: uint8 pixels or preprocessed float32."""
        return self._prepared(self.arrays.train_images)

    @functools.cached_property
    def _test_inputs(self) -> np.ndarray:
        return self._prepared(self.arrays.test_images)

    def _prepared(self, pixels: np.ndarray) -> np.ndarray:
        if self.preprocess is not None:
            pixels = self._transform(pixels)
        return pixels.reshape(len(pixels), *self.input_shape)

    def _split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        if split == 'test':
            return self._test_inputs, self.arrays.test_labels
        if split == 'validation' and not len(self.validation_indices):
            raise ValueError('split validation is empty: validation_size is 0.')
        rows = {'train': self._all_training_rows, 'validation': self.validation_indices}
        if split not in rows:
            raise ValueError(f'split {split!r} is none of test, validation and train.')
        return self._train_inputs[rows[split]], self.arrays.train_labels[rows[split]]
