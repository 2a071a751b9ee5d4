"""Zachary's karate club as a TFDS data set."""

from __future__ import annotations

import tensorflow_datasets as tfds

from research.geometric.datasets import karate, splits, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset


class KarateClub(tfds_graphs.GraphBuilder):
    """34 members of a club, by the club that each joined when it split, or by the community; see
    `karate.load`. No files are needed."""

    VERSION = tfds.core.Version('1.0.0')
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(
            name='clubs',
            num_features=34,
            node_labels=True,
            class_names=karate.CLUBS,
            node_splits=splits.NAMES,
        ),
        tfds_graphs.GraphConfig(
            name='communities',
            num_features=34,
            node_labels=True,
            class_names=karate.COMMUNITY_NAMES,
            node_splits=splits.NAMES,
        ),
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        del raw_dir
        return GraphDataset.of(karate.load(communities=self.builder_config.name == 'communities'))
