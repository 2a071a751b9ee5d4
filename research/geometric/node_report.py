"""What the report of a node classifier shows beside curves and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from official.core import page
from research.geometric import embedding


class NodeReport:
    """The graph in figures, and the embedding of its nodes.

    Args:
      most_nodes: nodes drawn at the most.
    """

    def __init__(self, most_nodes: int = 3000):
        self.most_nodes = most_nodes

    def __call__(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[page.Section]:
        """Sections of the report.

        Args:
          model: `NodeClassifier`, trained.
          data: `NodeData`.
          key: not used.
        """
        del key
        graph = data.graph
        points = model.embed(data.inputs).numpy()
        loops = int(np.sum(graph.edge_index[0] == graph.edge_index[1]))
        nodes = data.nodes(0)
        rows = [
            ['nodes', graph.num_nodes],
            ['undirected edges', (graph.num_edges - loops) // 2],
            ['features', graph.num_features],
            ['classes', data.num_classes],
            *(
                [f'nodes of split {name}', len(nodes[name])]
                for name in ('train', 'validation', 'test')
            ),
        ]
        return [
            embedding.section(
                'Embedding of the nodes',
                points,
                graph.y,
                data.class_names,
                'node',
                most=self.most_nodes,
            ),
            page.Section('Graph', page.table(rows)),
        ]
