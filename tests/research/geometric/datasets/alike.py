"""Whether two graphs, or two data sets of graphs, are the same bit for bit."""

import numpy as np


def assert_graphs_equal(got, expected):
    """Every field, its dtype and, where it is sparse, its entries."""
    assert (got.num_nodes, got.name, got.class_names) == (
        expected.num_nodes,
        expected.name,
        expected.class_names,
    )
    for field in ('edge_index', 'edge_attr', 'pos', 'y'):
        assert_arrays_equal(getattr(got, field), getattr(expected, field))
    if expected.x is None or isinstance(expected.x, np.ndarray):
        assert_arrays_equal(got.x, expected.x)
    else:
        assert got.x.shape == expected.x.shape
        for part in ('indptr', 'indices', 'data'):
            np.testing.assert_array_equal(
                getattr(got.x.sorted_indices(), part), getattr(expected.x.sorted_indices(), part)
            )
        assert got.x.dtype == expected.x.dtype == np.float32
    assert set(got.splits) == set(expected.splits)
    for name, nodes in expected.splits.items():
        assert_arrays_equal(got.splits[name], nodes)


def assert_arrays_equal(got, expected):
    """Values and dtype, or both None."""
    assert (got is None) == (expected is None)
    if expected is not None:
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def assert_datasets_equal(got, expected):
    """Graphs, class names and splits; the name is where the data are from."""
    assert got.class_names == expected.class_names
    assert len(got) == len(expected)
    for one, other in zip(got.graphs, expected.graphs, strict=True):
        assert_graphs_equal(one, other)
    assert set(got.splits) == set(expected.splits)
    for name, ids in expected.splits.items():
        assert_arrays_equal(got.splits[name], ids)
