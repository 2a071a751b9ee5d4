"""Cora-Full, Coauthor and Amazon as a TFDS data set."""

from __future__ import annotations

import tensorflow_datasets as tfds

from research.geometric.datasets import npz, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset

_SIZES = {  # Features and classes.
    'cora_full': (8710, 70),
    'coauthor_cs': (6805, 15),
    'coauthor_physics': (8415, 5),
    'amazon_computers': (767, 10),
    'amazon_photo': (745, 8),
}


class ShchurGraphs(tfds_graphs.GraphBuilder):
    """Citations, co-authors and products bought together, the graphs of Shchur et al. 2018, whole;
    see `npz.read`. Classes are called by their numbers, as some of the files have no names."""

    VERSION = tfds.core.Version('1.0.0')
    HOMEPAGE = 'https://github.com/shchur/gnn-benchmark'
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        Put the npz file of the graph there; they are in the folder data/npz of
        https://github.com/shchur/gnn-benchmark."""
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(
            name=name,
            num_features=num_features,
            sparse=True,
            node_labels=True,
            class_names=tuple(map(str, range(num_classes))),
        )
        for name, (num_features, num_classes) in _SIZES.items()
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        graph = npz.load(raw_dir, self.builder_config.name)
        names = tuple(map(str, range(len(graph.class_names))))
        return GraphDataset.of(graph.replace(class_names=names))
