"""A graph of the user's own CSV files as a TFDS data set."""

from __future__ import annotations

import os

import tensorflow_datasets as tfds

from research.geometric.datasets import csv_folder, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset


class CsvGraph(tfds_graphs.GraphBuilder, skip_registration=True):
    """The graph of a folder of CSV files; see `csv_folder.load`.

    TFDS does not know it by name: what its examples have is seen from the files, by `prepare`.
    """

    VERSION = tfds.core.Version('1.0.0')
    MANUAL_DOWNLOAD_INSTRUCTIONS = 'The folder holds nodes.csv, edges.csv and labels.csv.'

    def read(self, raw_dir: str | None) -> GraphDataset:
        return GraphDataset.of(csv_folder.load(raw_dir))


def prepare(
    raw_dir: str | os.PathLike, name: str, data_dir: str | os.PathLike | None = None
) -> CsvGraph:
    """Writes the graph of a folder as the TFDS data set csv_graph/<name>, if it is not there yet.

    Args:
      raw_dir: the folder of CSV files.
      name: what to call the graph.
      data_dir: folder of TFDS data; None: TFDS' own.

    Raises:
      FileNotFoundError, ValueError: as `csv_folder.load`.
    """
    graph = csv_folder.load(raw_dir)
    config = tfds_graphs.GraphConfig.of(GraphDataset.of(graph), name)
    return tfds_graphs.prepare(CsvGraph(config=config, data_dir=data_dir), os.fspath(raw_dir))
