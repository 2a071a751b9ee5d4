"""Cora, CiteSeer and PubMed as a TFDS data set."""

from __future__ import annotations

import tensorflow_datasets as tfds

from research.geometric.datasets import planetoid, splits, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset


class Planetoid(tfds_graphs.GraphBuilder):
    """Citation graphs whose nodes are papers, with bags of words as features, as Yang et al. 2016
    divide them; see `planetoid.load`."""

    VERSION = tfds.core.Version('1.0.0')
    HOMEPAGE = 'https://github.com/kimiyoung/planetoid'
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        Put the eight files ind.<name>.{x,y,tx,ty,allx,ally,graph,test.index} of the graph there;
        they are in the folder data of https://github.com/kimiyoung/planetoid."""
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(
            name=name,
            num_features=num_features,
            sparse=True,
            node_labels=True,
            class_names=planetoid.CLASS_NAMES[name],
            node_splits=splits.NAMES,
        )
        for name, num_features in (('cora', 1433), ('citeseer', 3703), ('pubmed', 500))
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        return GraphDataset.of(planetoid.load(raw_dir, self.builder_config.name))
