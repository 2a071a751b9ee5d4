"""What the report of a classifier of graphs shows beside curves and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from official.core import page
from research.geometric import batching, embedding, graph_tensor


class GraphReport:
    """The data set in figures, and the embedding of its graphs.

    Args:
      most_graphs: graphs embedded at the most, the first ones.
    """

    def __init__(self, most_graphs: int = 2000):
        self.most_graphs = most_graphs

    def __call__(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[page.Section]:
        """Sections of the report.

        Args:
          model: `GraphClassifier`, trained.
          data: `GraphData`.
          key: not used.
        """
        del key
        graphs = data.graphs
        count = min(len(graphs), self.most_graphs)
        points = []
        for graph, _, weight in batching.evaluation_batches(
            graphs, np.arange(count), data.batch_size, padding=None
        ):
            vectors = model.embed(graph_tensor.arrays(graph))
            points.append(tf.boolean_mask(vectors, weight > 0).numpy())
        classes = np.bincount(graphs.labels, minlength=data.num_classes)
        rows = [
            ['graphs', len(graphs)],
            *(
                [f'graphs of class {name}', int(n)]
                for name, n in zip(data.class_names, classes, strict=True)
            ),
            ['nodes, mean', float(graphs.node_counts.mean())],
            ['nodes, most', int(graphs.node_counts.max())],
            ['edges, both directions, mean', float(graphs.edge_counts.mean())],
            ['edges, both directions, most', int(graphs.edge_counts.max())],
            ['features', data.num_features],
        ]
        return [
            embedding.section(
                'Embedding of the graphs',
                np.concatenate(points),
                graphs.labels[:count],
                data.class_names,
                'graph',
            ),
            page.Section('Graphs', page.table(rows)),
        ]
