"""The features of a data set whose graphs have none."""

from __future__ import annotations

import dataclasses

import numpy as np

from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.transforms import degree

ONE_HOT_BELOW = 1000


def with_degree_features(dataset: GraphDataset, sparse: bool = False) -> GraphDataset:
    """One-hot degrees if all degrees are below 1000, else degrees of mean 0 and deviation 1.

    What the published runs of Table 2 of Fey & Lenssen 2019 do: IMDB-BINARY gets 136 features and
    COLLAB 492; in REDDIT-BINARY, where the highest degree is 3062, each node gets one number. A
    data set with features comes back as it is.

    - Highest degree, mean and deviation are of all graphs, those to test on too; no label is used.

    Args:
      dataset: the data set.
      sparse: whether one-hot degrees are CSR matrices: COLLAB's take 0.7 GB dense.

    Raises:
      ValueError: the highest degree is 1000 or more, and all nodes have it.
    """
    if dataset.graphs[0].x is not None:
        return dataset
    found = np.concatenate([degree.degrees(graph) for graph in dataset.graphs])
    highest = int(found.max())
    if highest < ONE_HOT_BELOW:
        graphs = [degree.one_hot_degree(graph, highest, sparse) for graph in dataset.graphs]
    else:
        mean, deviation = found.mean(), found.std()
        graphs = [degree.normalized_degree(graph, mean, deviation) for graph in dataset.graphs]
    return dataclasses.replace(dataset, graphs=graphs)
