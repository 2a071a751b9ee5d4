import re

import numpy as np
import tensorflow as tf

from official.core import page
from research.geometric import embedding, graph_data, graph_report, graph_tensor
from research.geometric.models import graph_classifier
from tests.research.geometric import tiny_graphs
from tests.research.geometric.models import graph_networks

DATASET = tiny_graphs.dataset(20)


def test_sections(monkeypatch):
    """What is drawn are the vectors of the first graphs, and the figures are the data set's."""
    drawn = []

    def section(title, points, labels, class_names, what):
        drawn.append((points, labels, class_names))
        return page.Section(title, '')

    monkeypatch.setattr(embedding, 'section', section)
    data = graph_data.GraphData(0, None, source=lambda data_dir: DATASET, num_folds=4, batch_size=8)
    tf.keras.utils.set_random_seed(0)
    model = graph_classifier.GraphClassifier(graph_networks.NETWORKS['sage'](), 3, 2)
    sections = graph_report.GraphReport(most_graphs=11)(model, data, key=None)
    ((points, labels, class_names),) = drawn
    expected = np.concatenate(
        [
            model.embed(graph_tensor.arrays(graph_tensor.to_graph_tensor(graph)))
            for graph in DATASET.graphs[:11]
        ]
    )
    np.testing.assert_allclose(points, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(labels, [graph.y for graph in DATASET.graphs[:11]])
    assert class_names == ('ring', 'star')
    text = re.sub('<[^>]*>', ' ', sections[1].html)
    nodes = [graph.num_nodes for graph in DATASET.graphs]
    for name, value in (
        ('graphs', 20),
        ('graphs of class star', 10),
        ('nodes, most', max(nodes)),
        ('nodes, mean', f'{np.mean(nodes):.4g}'),
        ('features', 3),
    ):
        assert re.search(rf'{name}\s+{value}\s', text), (name, text)
