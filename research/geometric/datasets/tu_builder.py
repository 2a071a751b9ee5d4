"""The paper's TUDataset sets in TFDS, from either text format. Importing this takes seconds."""

from __future__ import annotations

import dataclasses
import os

import tensorflow_datasets as tfds

from research.geometric.datasets import powerful_gnns, tfds_graphs, tu
from research.geometric.datasets.graph_dataset import GraphDataset


class TUDataset(tfds_graphs.GraphBuilder, skip_registration=True):
    """Data sets of graphs in TUDataset's text format, as `tu.read` reads them.

    Classes are named as the files write them where the project has seen the files, MUTAG and
    PROTEINS; else by their place in ascending order. Self loops are left out. Any other folder:
    `TUDataset(config=GraphConfig.of(tu.read(folder), NAME), ...)`.
    """

    VERSION = tfds.core.Version('1.0.0')
    HOMEPAGE = 'https://chrsmrrs.github.io/datasets/'
    MANUAL_DOWNLOAD_INSTRUCTIONS = 'A folder with NAME.zip of TUDataset, or NAME, unpacked.'
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(
            name='MUTAG', class_names=('-1', '1'), num_features=7, edge_types=True
        ),
        tfds_graphs.GraphConfig(name='PROTEINS', class_names=('1', '2'), num_features=3),
        tfds_graphs.GraphConfig(name='IMDB-BINARY', class_names=('0', '1')),
        tfds_graphs.GraphConfig(name='COLLAB', class_names=('0', '1', '2')),
        tfds_graphs.GraphConfig(name='REDDIT-BINARY', class_names=('0', '1')),
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        name = self.builder_config.name
        return _named(tu.read(_find(raw_dir, [name]), name), self.builder_config)


class PowerfulGNNs(tfds_graphs.GraphBuilder, skip_registration=True):
    """Data sets of graphs in the text format of powerful-gnns, as `powerful_gnns.read` reads them.

    With the ten folds, where they are there: splits 'train_1', 'test_1' to 'train_10', 'test_10'.
    Self loops are left out.
    """

    VERSION = tfds.core.Version('1.0.0')
    HOMEPAGE = 'https://github.com/weihua916/powerful-gnns'
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        'A folder with NAME.zip of powerful-gnns, or NAME, unpacked; NAME with or without hyphens.'
    )
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(name='MUTAG', class_names=('0', '2'), num_features=7),
        tfds_graphs.GraphConfig(name='PROTEINS', class_names=('0', '1'), num_features=3),
        tfds_graphs.GraphConfig(name='IMDB-BINARY', class_names=('0', '1')),
        tfds_graphs.GraphConfig(name='COLLAB', class_names=('0', '1', '2')),
        tfds_graphs.GraphConfig(name='REDDIT-BINARY', class_names=('0', '2')),
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        name = self.builder_config.name
        path = _find(raw_dir, [name, name.replace('-', '')])
        return _named(powerful_gnns.read(path), self.builder_config)


def _find(folder: str, names: list[str]) -> str:
    for name in names:
        for file in (f'{name}.zip', name):
            path = os.path.join(folder, file)
            if os.path.exists(path):
                return path
    raise FileNotFoundError(
        f'{os.path.join(folder, names[0])}.zip: no such file, nor a folder of that name.'
    )


def _named(dataset: GraphDataset, config: tfds_graphs.GraphConfig) -> GraphDataset:
    """With the configuration's class names where there are as many; else TFDS says what differs."""
    if len(dataset.class_names) != len(config.class_names):
        return dataset
    return dataclasses.replace(dataset, class_names=config.class_names)
