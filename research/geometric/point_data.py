"""Data sets of point clouds to classify, as experiments want them (Fey & Lenssen 2019, Table 3)."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import pipeline
from research.geometric.datasets import graph_dataset, modelnet, modelnet_voxels

# What is drawn with one seed, numbered, so that no two of them are drawn alike.
_TRAINING_STREAM, _CALIBRATION_STREAM, _POINTS = range(3)


def modelnet10_voxels(data_dir: str | None, num_points: int = 4096) -> graph_dataset.GraphDataset:
    """ModelNet10 from `modelnet10_vox30.npz`; see `modelnet_voxels.read`.

    Args:
      data_dir: folder of the file.
      num_points: points drawn of each object.

    Raises:
      FileNotFoundError: no folder is given, or the file is not in it.
    """
    return modelnet_voxels.read(
        os.path.join(_folder(data_dir, 'of modelnet10_vox30.npz'), 'modelnet10_vox30.npz'),
        num_points,
    )


def modelnet10_meshes(data_dir: str | None, num_points: int = 4096) -> graph_dataset.GraphDataset:
    """ModelNet10 from its meshes; see `modelnet.read_folder`.

    Args:
      data_dir: folder of the classes' folders.
      num_points: points drawn of each object.

    Raises:
      FileNotFoundError: no folder is given, or something is missing in it.
    """
    return modelnet.read_folder(_folder(data_dir, "of the classes' folders"), num_points)


def _folder(data_dir: str | None, what: str) -> str:
    if data_dir is None:
        raise FileNotFoundError(f'ModelNet10 needs --data_dir, the folder {what}.')
    return data_dir


class PointData:
    """Objects, each with many points on its surface, of which every step draws some.

    The paper draws the points of a cloud uniformly from the surface. Here the source has drawn
    more of them than are needed, once; in training each cloud is `num_points` of them, drawn
    anew without replacement every time, and in evaluation always the first `num_points`. Where
    the source has no more than those, training clouds differ in the order of the points alone.

    - Clouds are brought to mean 0 and greatest coordinate 1 after their points are drawn; the
      published runs normalize the mesh before. So an exported model needs a cloud alone.
    - No augmentation, as in the published runs.

    Args:
      seed: the run's seed: of the order of the clouds and the choice of their points.
      data_dir: handed to `source`.
      source: called as source(data_dir), gives a `GraphDataset` whose graphs have a label and
        positions in space, equally many, and are divided into 'train' and 'test'. A split
        '<name>_distinct' is measured beside the split <name>, as `distinct_accuracy_percent`.
      num_points: P, points of a cloud.
      batch_size: clouds of the global batch.
      evaluation_batch: clouds of the global batch in evaluation.

    Raises:
      ValueError: if graphs have no label, no positions in space, or other numbers of points than
        the first, or fewer than `num_points`; or there is no split 'train'; or a batch is empty.
    """

    def __init__(
        self,
        seed: int = 0,
        data_dir: str | None = None,
        *,
        source: Callable,
        num_points: int = 1024,
        batch_size: int = 8,
        evaluation_batch: int = 32,
    ):
        checks.positive(
            'PointData',
            num_points=num_points,
            batch_size=batch_size,
            evaluation_batch=evaluation_batch,
        )
        dataset = source(data_dir)
        _check(dataset, num_points)
        self.seed = seed
        self.num_points = num_points
        self.batch_size = batch_size
        self.evaluation_batch = evaluation_batch
        self.class_names = dataset.class_names
        self.num_classes = dataset.num_classes
        self.splits = dataset.splits
        self.points = np.stack([graph.pos for graph in dataset.graphs])
        self.labels = np.array([int(graph.y) for graph in dataset.graphs], np.int32)
        self.steps_per_epoch = -(-len(self.members('train')) // batch_size)

    def members(self, split: str) -> np.ndarray:
        """The objects of a split, int64.

        Raises:
          ValueError: there is no such split.
        """
        if split not in self.splits:
            raise ValueError(f'split {split!r} is none of {", ".join(self.splits)}.')
        return self.splits[split]

    def train(
        self, start_step: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Training batches without end.

        Returns:
          Dataset of (points float32 [b, P, 3], labels int32 [b]), b = batch_size / replicas.
        """
        return self._training_batches(_TRAINING_STREAM, start_step, input_context)

    def calibration(
        self, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """One epoch of training clouds without labels, in another order than training's."""
        batches = self._training_batches(_CALIBRATION_STREAM, 0, input_context)
        _, _, served = pipeline.replica_slices(self.batch_size, input_context)
        return batches.take(self.steps_per_epoch * served).map(lambda points, labels: points)

    def evaluation(
        self,
        split: str,
        batch_size: int | None = None,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Every cloud of a split once, in order, with the same points each time.

        Args:
          split: name of the split.
          batch_size: clouds of the global batch; None: `evaluation_batch`.
          input_context: whom the pipeline serves; None: one replica.

        Returns:
          Dataset of (points float32 [b, P, 3], labels int32 [b], weights float32 [b]); the last
          batch is padded with weight 0. Where there is a split '<split>_distinct', a fourth part
          are weights of which those of clouds that are not in it are 0, too.

        Raises:
          ValueError: there is no such split.
        """
        members = self.members(split)
        parts = [
            pipeline.on_host(self.points[members, : self.num_points]),
            pipeline.on_host(self.labels[members]),
        ]
        distinct = self.splits.get(f'{split}_distinct')
        if distinct is not None:
            distinct = pipeline.on_host(np.isin(members, distinct).astype(np.float32))

        def gather(rows, weights):
            points, labels = (tf.gather(part, rows) for part in parts)
            batch = normalized(points), labels, weights
            return batch if distinct is None else (*batch, weights * tf.gather(distinct, rows))

        batches = pipeline.eval_batches(
            len(members), batch_size or self.evaluation_batch, input_context
        )
        return pipeline.finish(batches.map(gather))

    def _training_batches(self, stream, start_step, input_context):
        members = self.members('train')
        points = pipeline.on_host(self.points[members])
        labels = pipeline.on_host(self.labels[members])
        key = tf.random.fold_in(tf.constant([self.seed, _POINTS], tf.int64), stream, alg='philox')

        def gather(positions, rows):
            drawn = tf.map_fn(
                lambda position: _drawn(
                    tf.random.fold_in(key, position, alg='philox'), points.shape[1], self.num_points
                ),
                positions,
                fn_output_signature=tf.TensorSpec([self.num_points], tf.int32),
            )
            clouds = tf.gather(tf.gather(points, rows), drawn, batch_dims=1)
            return normalized(clouds), tf.gather(labels, rows)

        positions = pipeline.batch_positions(self.batch_size, start_step, input_context)
        rows = pipeline.batch_indices(
            len(members), self.batch_size, self.seed, start_step, input_context, stream
        )
        return pipeline.finish(tf.data.Dataset.zip((positions, rows)).map(gather))


def normalized(points: tf.Tensor) -> tf.Tensor:
    """Each cloud of [B, P, 3] with mean 0 and greatest coordinate 1; a single place becomes 0."""
    points -= tf.reduce_mean(points, axis=1, keepdims=True)
    size = tf.reduce_max(tf.abs(points), axis=[1, 2], keepdims=True)
    return tf.math.divide_no_nan(points, size)


def _drawn(key, size, count):
    """`count` different numbers below `size` in random order."""
    bits = tf.random.stateless_uniform(
        [size], key, minval=None, maxval=None, dtype=tf.int32, alg='philox'
    )
    return tf.math.top_k(bits, count).indices


def _check(dataset, num_points):
    wanted = dataset.graphs[0].num_nodes
    for graph in dataset.graphs:
        if graph.pos is None or graph.pos.shape[1] != 3:
            raise ValueError(f'{graph.name}: the graph has no positions in space.')
        if graph.y is None or graph.y.ndim or not np.issubdtype(graph.y.dtype, np.integer):
            raise ValueError(
                f'{graph.name}: clouds are classified by one label each, but it has none.'
            )
        if graph.num_nodes != wanted or graph.num_nodes < num_points:
            raise ValueError(
                f'{graph.name}: it has {graph.num_nodes} points, but clouds of num_points = '
                f'{num_points} are wanted of {wanted} points each.'
            )
    if 'train' not in dataset.splits:
        raise ValueError(
            f"{dataset.name}: there is no split 'train' to train on; there is "
            f'{", ".join(dataset.splits) or "none"}.'
        )
