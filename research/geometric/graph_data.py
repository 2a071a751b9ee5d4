"""Data sets of graphs to classify, as experiments want them."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from research.geometric import batching
from research.geometric import folds as folds_lib
from research.geometric.datasets import graph_dataset, powerful_gnns
from research.geometric.transforms import degree_features

_TRAINING_STREAM, _CALIBRATION_STREAM = range(2)


def powerful_gnns_zip(data_dir: str | None, name: str) -> graph_dataset.GraphDataset:
    """A data set in the text format of powerful-gnns, from a folder of zips.

    Args:
      data_dir: the folder.
      name: of the data set, with or without hyphens: the zip's and that of the text in it.

    Raises:
      FileNotFoundError: no folder, or no such zip in it.
    """
    if data_dir is None:
        raise FileNotFoundError(f'{name} needs --data_dir, the folder of {name}.zip.')
    if not os.path.isdir(data_dir):
        raise FileNotFoundError(f'--data_dir={data_dir} is no folder.')
    plain = lambda text: text.replace('-', '').upper()
    zips = sorted(file for file in os.listdir(data_dir) if file.endswith('.zip'))
    for file in zips:
        if plain(file) == f'{plain(name)}.ZIP':
            return powerful_gnns.read(os.path.join(data_dir, file))
    raise FileNotFoundError(
        f'{data_dir} has no {name}.zip; its zips are {", ".join(zips) or "none"}.'
    )


class GraphData:
    """Graphs with their classes, divided into folds.

    Graphs without node features get their degrees (`degree_features`).

    Args:
      seed: the run's seed: of the order of the training graphs, not of the folds.
      data_dir: handed to `source`.
      source: called as source(data_dir), gives a `GraphDataset` of labelled graphs.
      fold: the fold that `train` and `evaluation` are of.
      num_folds: number of folds, always the same ones.
      batch_size: graphs of the global batch.
      padding: see `batching.train_batches`; None: batches are as large as they are.

    Raises:
      ValueError: if the graphs have no class, a class has too few of them, or there is no such
        fold.
    """

    def __init__(
        self,
        seed: int = 0,
        data_dir: str | None = None,
        *,
        source: Callable,
        fold: int = 0,
        num_folds: int = 10,
        batch_size: int = 128,
        padding: batching.Padding | None = None,
    ):
        dataset = degree_features.with_degree_features(source(data_dir), sparse=True)
        first = dataset.graphs[0]
        if first.y is None or first.y.ndim or not np.issubdtype(first.y.dtype, np.integer):
            raise ValueError(
                f'{dataset.name}: graphs are classified by one label each, but '
                f'{first.name} has none.'
            )
        if batch_size < 1:
            raise ValueError(f'batch_size = {batch_size} must be at least 1.')
        self.seed = seed
        self.dataset = dataset
        self.batch_size = batch_size
        self.padding = padding
        self.class_names = dataset.class_names
        self.num_classes = dataset.num_classes
        self.num_features = dataset.num_features
        attr = first.edge_attr
        self.num_edge_features = None if attr is None else (attr.shape[1] if attr.ndim > 1 else 0)
        self.graphs = batching.Concatenated(dataset)
        self.folds = folds_lib.stratified_folds(self.graphs.labels, num_folds, name=dataset.name)
        if not 0 <= fold < num_folds:
            raise ValueError(f'fold = {fold} is none of the folds 0 to {num_folds - 1}.')
        self.fold = self.folds[fold]
        self.steps_per_epoch = batching.steps_per_epoch(len(self.fold.train), batch_size)

    def train(
        self, start_step: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Training batches without end; see `batching.train_batches`."""
        return batching.train_batches(
            self.graphs,
            self.fold.train,
            self.batch_size,
            self.seed,
            start_step,
            input_context,
            self.padding,
            _TRAINING_STREAM,
        )

    def evaluation(
        self,
        split: str,
        batch_size: int | None = None,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Every graph of a split once, in order; see `batching.evaluation_batches`.

        Args:
          split: 'train', 'validation' or 'test'.
          batch_size: graphs of the global batch; None: that of training.
          input_context: whom the pipeline serves; None: one replica.

        Raises:
          ValueError: there is no such split.
        """
        return batching.evaluation_batches(
            self.graphs,
            self.members(split),
            batch_size or self.batch_size,
            input_context,
            self.padding,
        )

    def calibration(
        self, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """One epoch of training batches without labels, in another order than training's."""
        batches = batching.train_batches(
            self.graphs,
            self.fold.train,
            self.batch_size,
            self.seed,
            0,
            input_context,
            self.padding,
            _CALIBRATION_STREAM,
        )
        return batches.take(self.steps_per_epoch).map(lambda graph, y, weight: graph)

    def members(self, split: str) -> np.ndarray:
        """The graphs of a split, int64."""
        if split not in folds_lib.Fold._fields:
            raise ValueError(f'split {split!r} is none of {", ".join(folds_lib.Fold._fields)}.')
        return getattr(self.fold, split)
