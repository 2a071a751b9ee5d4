"""Batches of images with boxes, classes, landmarks and masks, of single images or of pairs.

A batch is a dict of tensors, all of static shape, for b images of one replica, M = max_items,
K landmarks and S x S mini masks:

  images     uint8 [b, H, W, 3]: resized, in the upper left corner of a canvas, zeros around
  sizes      float32 [b, 2]: (height, width) of the resized image inside the canvas
  boxes      float32 [b, M, 4]: (x1, y1, x2, y2) in pixels of the canvas; zeros for padding
  classes    int32 [b, M]: 1..C; 0 is padding
  crowd      bool [b, M]
  landmarks  float32 [b, M, K, 3]: (x, y, v) in pixels of the canvas; zeros where v is 0
  masks      uint8 [b, M, S, S]: 0 or 1, of an item in its box
  pair_ids   int32 [b, M]
  styles     int32 [b, M]; 0 also where an item has no partner, see `of_interest` of the table
and in evaluation
  index      int64 [b]: row of the table
  weights    float32 [b]: 0 for padding and in the place of an image that cannot be read, else 1
  scales     float32 [b, 2]: resized / original, of (y, x)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import canvas as canvas_lib
from official.data import detection_table, encoded_images, pipeline
from official.data import problems as problems_lib
from official.vision import boxes as box_ops
from official.vision import image_reader
from official.vision import masks as masks_lib

# Numbers of a run's streams of random numbers; the order of images has number 0.
_FLIP_STREAM = 3
_SIZE_STREAM = 4
_PAIR_STREAM = 5

_COLUMNS = (
    'sizes',
    'landmark_flip',
    'classes',
    'crowd',
    'pair_ids',
    'styles',
    'boxes',
    'landmarks',
    'mini_masks',
)


class DetectionPipeline:
    """Batches of a table's images, in training a function of (seed, step) alone.

    An image that cannot be read is named once, counted in `problems`, and the next one takes its
    place, with its own annotations.

    Args:
      table: the images and items.
      canvas: (height, width) of all images of a batch.
      min_size: pixels of the shorter edge that images are resized to; of several one is drawn for
        each image in training, and the largest is used in evaluation. Evenly in both directions,
        bilinear and as Detectron without antialiasing.
      max_size: pixels that the longer edge has at most; the shorter one is smaller where needed.
      max_items: M, items of an image; of more the largest are used, those that are no crowd first.
      flip: mirror half of the images in training.
      seed: the run's seed.
      skip_empty: train on no image that has no item but crowds; else such images are negatives.
      antialias: see `canvas.place`.
      reader: called as reader(rows), int64 [n], gives the encoded images of these rows of the
        table, strings [n]; None: the files at the table's paths.

    Attributes:
      problems: what these batches had to put up with.

    Raises:
      ValueError: an image would not fit the canvas; a size makes no sense; there are no images.
    """

    def __init__(
        self,
        table: detection_table.DetectionTable,
        canvas: tuple[int, int],
        min_size: int | Sequence[int],
        max_size: int,
        max_items: int,
        flip: bool = False,
        seed: int = 0,
        skip_empty: bool = False,
        antialias: bool = False,
        reader: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ):
        sizes = (min_size,) if isinstance(min_size, int) else tuple(min_size)
        if not sizes or len(canvas) != 2:
            raise ValueError(
                f'DetectionPipeline.min_size = {min_size!r} must have a number, and '
                f'canvas = {canvas!r} two.'
            )
        for size in sizes:
            checks.positive('DetectionPipeline', min_size=size)
        checks.positive(
            'DetectionPipeline',
            max_size=max_size,
            max_items=max_items,
            height=canvas[0],
            width=canvas[1],
        )
        if not table.num_images:
            raise ValueError(f'{table.name}: there are no images.')
        self.table, self.max_items, self.seed = table, max_items, seed
        self.canvas = canvas[0], canvas[1]
        canvas_lib.check_fits(table.sizes, table.paths, self.canvas, max(sizes), max_size)
        self._min_sizes, self._max_size, self._antialias = sizes, max_size, antialias
        self._flip, self._skip_empty = flip, skip_empty
        self.problems = problems_lib.Problems(table.name)
        self.skipped = _Skipped(lambda row: table.paths[row], self.problems)
        self._read = reader or _files_reader(table.paths)
        self._chosen = pipeline.on_host(_chosen_items(table, max_items, self.problems))
        self._columns = {name: _column(getattr(table, name)) for name in _COLUMNS}
        self._columns['styles'] = _column(np.where(table.of_interest(), table.styles, 0))

    def train(
        self,
        batch_size: int,
        start_step: int = 0,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Batches without end, every epoch in another order.

        Args:
          batch_size: images of the global batch.
          start_step: the first step.
          input_context: whom the pipeline serves; None: one replica that takes all.

        Raises:
          ValueError: the batch cannot be divided among the replicas; no image is used, or none of
            those tried can be read.
        """
        rows = np.arange(self.table.num_images)
        if self._skip_empty:
            rows = np.unique(self.table.images_of_items()[~self.table.crowd])
        positions = pipeline.batch_positions(batch_size, start_step, input_context)
        self._check_readable(rows)
        numbers = pipeline.shuffled_indices(positions, len(rows), self.seed)
        images, which = self._images(tf.data.Dataset.zip((positions, numbers)), rows, True)
        return _endless(images.map(lambda image, number: self._batch(image, which(number))))

    def train_pairs(
        self,
        batch_size: int,
        start_step: int = 0,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Batches without end of pairs: rows 2 i are a user's image, rows 2 i + 1 a shop's.

        Every epoch has all pairs of the table once. Where one of the two images cannot be read the
        next pair takes the place of this one.

        Args:
          batch_size: images of the global batch, two a pair.
          start_step: the first step.
          input_context: whom the pipeline serves; None: one replica that takes all.

        Raises:
          ValueError: the pairs of a batch cannot be divided among the replicas; there are none.
        """
        if batch_size % 2:
            raise ValueError(f'batch size {batch_size}: pairs make an even number of images.')
        replicas = input_context.num_replicas_in_sync if input_context else 1
        if batch_size // 2 % replicas:
            raise ValueError(
                f'batch size {batch_size}: {batch_size // 2} pairs of images cannot '
                f'be divided among {replicas} replicas.'
            )
        positions = pipeline.batch_positions(batch_size // 2, start_step, input_context)
        pairs = self.table.pairs()
        if not len(pairs):
            raise ValueError(
                f'{self.table.name}: no image of a user and image of a shop show '
                'garments of one pair_id and one style above 0.'
            )
        self._check_readable(np.unique(pairs))
        numbers = pipeline.shuffled_indices(positions, len(pairs), self.seed, _PAIR_STREAM)
        images = self._pairs_of_images(tf.data.Dataset.zip((positions, numbers)), pairs)
        on_host = pipeline.on_host(pairs)

        def batch(image, number):
            image = {
                name: tf.reshape(column, [-1, *column.shape[2:]]) for name, column in image.items()
            }
            return self._batch(image, tf.reshape(tf.gather(on_host, number), [-1]))

        return _endless(images.map(batch))

    def evaluation(
        self,
        batch_size: int,
        input_context: tf.distribute.InputContext | None = None,
        rows: np.ndarray | None = None,
    ) -> tf.data.Dataset:
        """Every image once, in order, not mirrored; the last batch is padded with weight 0.

        Args:
          batch_size: images of the global batch.
          input_context: whom the pipeline serves; None: one replica that takes all.
          rows: of the table, int64 [n]; None: all in order.
        """
        rows = np.arange(self.table.num_images) if rows is None else np.asarray(rows, np.int64)
        self._check_readable(rows)
        batches = pipeline.eval_batches(len(rows), batch_size, input_context)
        images, which = self._images(
            batches.map(lambda number, weight: (number, number)), rows, False
        )

        def batch(found, wanted):
            (image, number), (asked, weights) = found, wanted
            features, scales = self._batch_and_scales(image, which(number))
            weights *= tf.cast(tf.equal(number, asked), tf.float32)
            return features | {'index': which(number), 'weights': weights, 'scales': scales}

        together = tf.data.Dataset.zip((images, batches)).map(batch)
        known = tf.data.experimental.assert_cardinality(batches.cardinality())
        return pipeline.finish(together.apply(known), one_thread=False)

    def _check_readable(self, rows):
        encoded_images.check_readable(
            self._read,
            lambda encoded, position: self._decode(encoded, position, False),
            rows,
            self.table.name,
            self.skipped,
        )

    def _decode(self, encoded, position, training):
        """One image on its canvas; what is drawn for it follows from its position alone."""
        min_size, mirrored = max(self._min_sizes), None
        if training and len(self._min_sizes) > 1:
            drawn = tf.random.stateless_uniform(
                [],
                self._key(_SIZE_STREAM, position),
                maxval=len(self._min_sizes),
                dtype=tf.int32,
                alg='philox',
            )
            min_size = tf.constant(self._min_sizes)[drawn]
        if training and self._flip:
            mirrored = (
                tf.random.stateless_uniform([], self._key(_FLIP_STREAM, position), alg='philox')
                < 0.5
            )
        image, size = canvas_lib.place(
            image_reader.decode(encoded),
            self.canvas,
            min_size,
            self._max_size,
            mirrored,
            self._antialias,
        )
        features = {'images': image, 'sizes': size}
        return features if mirrored is None else features | {'mirrored': mirrored}

    def _key(self, stream, position):
        return tf.random.fold_in(tf.constant([self.seed, stream], tf.int64), position, alg='philox')

    def _images(self, examples, rows, training):
        """The decoded images of (positions, numbers), and what row of the table a number is."""
        on_host = pipeline.on_host(rows.astype(np.int64))

        def which(numbers):
            return tf.gather(on_host, numbers)

        return encoded_images.decoded(
            examples,
            lambda numbers: self._read(which(numbers)),
            lambda encoded, position: self._decode(encoded, position, training),
            len(rows),
            self.skipped,
            lambda number: int(rows[number]),
        ), which

    def _pairs_of_images(self, examples, pairs):
        on_host = pipeline.on_host(pairs)

        def read(numbers):
            both = self._read(tf.reshape(tf.gather(on_host, numbers), [-1]))
            return tf.reshape(both, [-1, 2])

        def decode(encoded, position):
            both = [self._decode(encoded[k], 2 * position + k, True) for k in (0, 1)]
            return tf.nest.map_structure(lambda *images: tf.stack(images), *both)

        def readable(row):
            return encoded_images.readable(
                self._read, lambda encoded, position: self._decode(encoded, position, False), row
            )

        skipped = _SkippedPairs(pairs, self.table.paths, self.skipped, readable)
        return encoded_images.decoded(examples, read, decode, len(pairs), skipped)

    def _batch(self, image, rows):
        return self._batch_and_scales(image, rows)[0]

    def _batch_and_scales(self, image, rows):
        """The features of decoded images, which are these rows of the table; and `scales`."""
        items = tf.gather(self._chosen, rows)
        valid, items = items >= 0, tf.maximum(items, 0)

        def gather(name):
            column = tf.gather(self._columns[name], items)
            mask = tf.reshape(valid, [*valid.shape, *[1] * (column.shape.rank - 2)])
            return tf.where(mask, column, tf.zeros([], column.dtype))

        features = {name: gather(name) for name in ('classes', 'crowd', 'pair_ids', 'styles')}
        sizes = tf.cast(image['sizes'], tf.float32)
        scales = sizes / tf.cast(tf.gather(self._columns['sizes'], rows), tf.float32)
        xy = scales[:, tf.newaxis, ::-1]
        boxes = gather('boxes') * tf.tile(xy, [1, 1, 2])
        landmarks = gather('landmarks')
        landmarks = tf.concat([landmarks[..., :2] * xy[:, tf.newaxis], landmarks[..., 2:]], -1)
        masks = masks_lib.unpack(gather('mini_masks'), self.table.mask_size)
        if 'mirrored' in image:
            flips = tf.gather(self._columns['landmark_flip'], features['classes'])
            others = (
                _mirrored_boxes(boxes, sizes[:, 1], valid),
                _mirrored_landmarks(landmarks, sizes[:, 1], flips),
                tf.reverse(masks, [-1]),
            )
            boxes, landmarks, masks = (
                tf.where(
                    tf.reshape(image['mirrored'], [-1, *[1] * (one.shape.rank - 1)]), other, one
                )
                for one, other in zip((boxes, landmarks, masks), others, strict=True)
            )
        features |= {
            'images': image['images'],
            'sizes': sizes,
            'boxes': boxes,
            'landmarks': landmarks,
            'masks': masks,
        }
        return features, scales


def _files_reader(paths):
    paths = pipeline.on_host([os.fsencode(path) for path in paths])
    return lambda rows: tf.map_fn(tf.io.read_file, tf.gather(paths, rows))


def _column(values) -> tf.Tensor:
    """In the host's memory, to gather from: of one row at least, even of a table without items."""
    return pipeline.on_host(
        values if len(values) else np.zeros([1, *values.shape[1:]], values.dtype)
    )


def _chosen_items(table, max_items, problems) -> np.ndarray:
    """Rows of the items of each image that are used, int32 [N, M], -1 for padding."""
    counts, places = np.diff(table.first)[:, np.newaxis], np.arange(max_items)
    chosen = np.where(places < counts, table.first[:-1, np.newaxis] + places, -1).astype(np.int32)
    edges = table.boxes[:, 2:] - table.boxes[:, :2]
    for image in np.flatnonzero(counts[:, 0] > max_items):
        items = table.items_of(image)
        order = np.lexsort([-edges[items].prod(1), table.crowd[items]])
        chosen[image] = np.sort(items[order[:max_items]])
        problems.add(problems_lib.TOO_MANY, table.paths[image])
    return chosen


def _mirrored_boxes(boxes, width, valid):
    return tf.where(valid[..., tf.newaxis], box_ops.flip(boxes, width[:, tf.newaxis]), 0.0)


def _mirrored_landmarks(landmarks, width, flips):
    x, y, seen = tf.unstack(landmarks, axis=-1)
    x = tf.where(seen > 0, width[:, tf.newaxis, tf.newaxis] - x, 0.0)
    return tf.gather(tf.stack([x, y, seen], -1), flips, batch_dims=2)


def _endless(batches):
    # Said, since several workers keep static shapes only of a dataset they know to be endless.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return pipeline.finish(batches.apply(endless), one_thread=False)


class _Skipped(encoded_images.Skipped):
    """Counts in `problems` as well."""

    def __init__(self, name, problems):
        super().__init__(name)
        self._problems, self._noting = problems, threading.Lock()

    def note(self, index, reason=''):
        with self._noting:
            if int(index) not in self.indices:
                self._problems.add(problems_lib.DAMAGED, self.name(int(index)))
            super().note(index, reason)


class _SkippedPairs:
    """Tells `images` which image of a pair it is that cannot be read; see `Skipped`."""

    def __init__(self, pairs, paths, images, readable):
        self.indices: set[int] = set()
        self._pairs, self._paths, self._images, self._readable = pairs, paths, images, readable

    def name(self, pair: int) -> str:
        return ' or '.join(self._paths[row] for row in self._pairs[pair])

    def note(self, pair: int, reason: str = '') -> None:
        if int(pair) in self.indices:
            return
        for row in self._pairs[pair]:
            if not self._readable(row):
                self._images.note(row)
        self.indices.add(int(pair))
