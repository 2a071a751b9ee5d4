"""Images of sets that do not fit into memory (imagenet2012, lsun), read from disk by index.

The data must be prepared in TFDS' array_record format, which any example can be read from directly;
so the shuffle is a true one, and a pipeline starts at any step without reading what lies before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.data import pipeline, resizing, tfds_images
from official.vision import image_reader

_FLIP_STREAM = 1
_LABELS_AT_ONCE = 1000


def train_images(
    name: str,
    batch_size: int,
    image_size: int,
    seed: int,
    data_dir: str | None = None,
    split: str = 'train',
    start_step: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    flip: bool = True,
) -> tf.data.Dataset:
    """Training batches without end, every epoch in another order; step n depends on (seed, n) only.

    Args:
      name: TFDS name, with its configuration ('imagenet2012', 'lsun/bedroom').
      batch_size: images of the global batch.
      image_size: height and width of an image, in pixels.
      seed: the run's seed.
      data_dir: folder of TFDS data; None: TFDS' own.
      split: TFDS split.
      start_step: the first step.
      input_context: whom the pipeline serves; None: one replica that takes all.
      flip: mirror an image left to right half of the times it is read.

    Returns:
      Dataset of (images, labels): uint8 [b, image_size, image_size, 3], see `square`, and int32
      [b], with b = batch_size / replicas; of images alone where the data set has no labels.

    Raises:
      FileNotFoundError: the data are not prepared in this format; the message says how to.
      ValueError: the batch cannot be divided evenly among the replicas; TFDS knows no such name.
    """
    source = Source(name, data_dir, split)
    positions = pipeline.batch_positions(batch_size, start_step, input_context)
    size = positions.element_spec.shape[0]
    indices = pipeline.shuffled_indices(positions, len(source), seed)

    def decode(position, encoded, *label):
        image = square(image_reader.decode(encoded), image_size)
        if flip:
            key = tf.random.fold_in(
                tf.constant([seed, _FLIP_STREAM], tf.int64), position, alg='philox'
            )
            mirrored = tf.random.stateless_uniform([], key, alg='philox') < 0.5
            image = tf.where(mirrored, tf.reverse(image, [1]), image)
        return (image, *label) if label else image

    examples = tf.data.Dataset.zip((positions, indices.map(source.read))).map(
        lambda position, example: (position, *example)
    )
    # Said, since several workers keep static shapes only of a dataset they know to be endless.
    return _decoded(examples, decode, size).apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    )


def evaluation_images(
    name: str,
    batch_size: int,
    image_size: int,
    data_dir: str | None = None,
    split: str = 'validation',
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Every image of a split once, in TFDS' order; the last batch is padded with weight 0.

    Args: as for `train_images`.

    Returns:
      Dataset of (images, labels, weights), weights float32 [b]; of (images, weights) where the data
      set has no labels.
    """
    source = Source(name, data_dir, split)
    batches = pipeline.eval_batches(len(source), batch_size, input_context)
    size = batches.element_spec[0].shape[0]

    def decode(weight, encoded, *label):
        return square(image_reader.decode(encoded), image_size), *label, weight

    examples = batches.map(lambda indices, weights: (weights, *source.read(indices)))
    return _decoded(examples, decode, size)


def square(image: tf.Tensor, size: int, resampling: Callable = resizing.antialiased) -> tf.Tensor:
    """Cuts the largest central square out of an image and resizes it.

    Args:
      image: uint8 [height, width, 3].
      size: height and width of the result.
      resampling: from `official.data.resizing`.

    Returns:
      uint8 [size, size, 3].
    """
    shape = tf.shape(image)
    side = tf.minimum(shape[0], shape[1])
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    return resampling(image[top : top + side, left : left + side], size)


class Source:
    """A split, readable by vectors of indices inside a tf.data pipeline.

    Args:
      name: TFDS name, with its configuration ('imagenet2012', 'lsun/bedroom').
      data_dir: folder of TFDS data; None: TFDS' own.
      split: TFDS split.

    Attributes:
      class_names: names of the labels, empty where there are none.

    Raises:
      FileNotFoundError: the data are not prepared in this format; the message says how to.
      ValueError: TFDS knows no such name or split.
    """

    def __init__(self, name: str, data_dir: str | None, split: str):
        builder = tfds_images.prepared_builder(name, data_dir)
        import tensorflow_datasets as tfds  # Takes seconds.

        formats = {file_format.value for file_format in builder.info.available_file_formats()}
        if 'array_record' not in formats:
            raise FileNotFoundError(
                f'{builder.data_path}: prepared as {", ".join(sorted(formats))}, reading by index '
                'needs array_record: prepare it in another --data_dir by ./garden python -m '
                f'official.data.prepare {name} --file_format=array_record --data_dir=...'
            )
        if split not in builder.info.splits:
            raise ValueError(
                f'{builder.data_path}: no split {split!r}; there is '
                f'{", ".join(sorted(builder.info.splits))}.'
            )
        self._examples = builder.as_data_source(
            split=split, decoders={'image': tfds.decode.SkipDecoding()}
        )
        self._has_labels = 'label' in builder.info.features
        self.class_names = tuple(builder.info.features['label'].names) if self._has_labels else ()
        self._labels_path = os.path.join(str(builder.data_path), f'labels-{split}.npy')
        self._info_path = os.path.join(str(builder.data_path), 'dataset_info.json')

    def __len__(self) -> int:
        return len(self._examples)

    def labels(self) -> np.ndarray:
        """Every label in order, int32 [n].

        Examples hold image and label together, so the first time all of them are read; then the
        labels are in a file beside them, where it can be written.
        """
        labels = self._kept_labels()
        if labels is not None:
            return labels
        blocks = []
        for start in range(0, len(self), _LABELS_AT_ONCE):
            indices = range(start, min(start + _LABELS_AT_ONCE, len(self)))
            blocks += [example['label'] for example in self._examples.__getitems__(list(indices))]
        labels = np.array(blocks, np.int32)
        with contextlib.suppress(OSError):
            partial = f'{self._labels_path}.{os.getpid()}.partial'
            with open(partial, 'wb') as file:
                np.save(file, labels)
            os.replace(partial, self._labels_path)
        return labels

    def _kept_labels(self) -> np.ndarray | None:
        """What a file holds of an earlier time; None unless it fits these examples."""
        try:
            if os.path.getmtime(self._labels_path) < os.path.getmtime(self._info_path):
                return None  # The data were prepared anew.
            labels = np.load(self._labels_path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        fits = (
            isinstance(labels, np.ndarray)
            and labels.dtype == np.int32
            and (labels.shape == (len(self),))
        )
        return labels if fits and np.all((labels >= 0) & (labels < len(self.class_names))) else None

    def read(self, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The encoded images, and the labels if there are any, at `indices` int64 [n]."""

        def read_examples(indices):
            examples = self._examples.__getitems__(indices.tolist())
            encoded = np.array([example['image'] for example in examples], object)
            if not self._has_labels:
                return (encoded,)
            return encoded, np.array([example['label'] for example in examples], np.int32)

        types = (tf.string, tf.int32) if self._has_labels else (tf.string,)
        columns = tf.numpy_function(read_examples, [indices], types, stateful=False)
        return tuple(tf.ensure_shape(column, indices.shape) for column in columns)


def _decoded(examples: tf.data.Dataset, decode, size: int) -> tf.data.Dataset:
    """Decodes the examples of batches one by one, on all cores, and batches them again."""
    decoded = examples.unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return pipeline.finish(decoded.batch(size, drop_remainder=True), one_thread=False)
