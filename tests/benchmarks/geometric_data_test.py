"""The graphs that the contestants get have the sizes of the paper's, and are what files hold."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import geometric, geometric_data
from research.geometric import graph
from tests.benchmarks import graphs


@pytest.mark.parametrize('name', list(geometric_data.SIZES))
def test_synthetic_graphs_have_the_sizes_of_the_real_ones(name):
    found, origin = geometric_data.arrays(name, None)
    assert geometric_data.sizes_of(found) == geometric_data.SIZES[name]
    assert 'SYNTHETIC' in origin


def test_edges_are_there_both_ways_once_and_by_source():
    source, target = geometric_data.synthetic(graphs.TINY)['edge_index']
    pairs = list(zip(source.tolist(), target.tolist(), strict=True))
    assert pairs == sorted(pairs) and len(set(pairs)) == 80
    assert all(a != b and (b, a) in pairs for a, b in pairs)


def test_rows_of_features_sum_to_one():
    x = geometric_data.matrix(geometric_data.synthetic(graphs.TINY))
    assert x.shape == (30, 20) and x.nnz == 90
    sums = np.asarray(x.sum(axis=1)).ravel()
    assert np.all(np.isclose(sums, 1) | ((sums == 0) & (np.diff(x.indptr) == 0)))


def test_each_relation_has_its_other_direction():
    found = geometric_data.synthetic(graphs.RELATIONAL)
    one, other = np.split(found['edge_index'], 2, axis=1)
    np.testing.assert_array_equal(one, other[::-1])
    types, back = np.split(found['edge_type'], 2)
    np.testing.assert_array_equal(types + 3, back)
    assert set(types) == {0, 1, 2} and len(set(found['nodes'].tolist())) == 5


def test_a_file_holds_all(tmp_path):
    for sizes in (graphs.TINY, graphs.RELATIONAL):
        np.savez(tmp_path / 'graph.npz', **geometric_data.synthetic(sizes))
        with np.load(tmp_path / 'graph.npz') as file:
            found = dict(file)
        assert geometric_data.sizes_of(found) == sizes
        graph.Graph(
            found['edge_index'],
            num_nodes=sizes.nodes,
            y=found['labels'],
            edge_attr=found.get('edge_type'),
            splits={'train': found['nodes']},
        )


def test_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        geometric_data.arrays('cora', str(tmp_path / 'nowhere'))


@pytest.mark.skipif(not geometric.DATA_DIR.is_dir(), reason="no folder of Planetoid's files")
def test_real_graphs():
    for name in ('cora', 'citeseer', 'pubmed'):
        found, origin = geometric_data.arrays(name, str(geometric.DATA_DIR))
        assert geometric_data.sizes_of(found) == geometric_data.SIZES[name]
        assert origin == f'{name} from its files'
        sums = np.asarray(geometric_data.matrix(found).sum(axis=1)).ravel()
        assert np.all(np.isclose(sums, 1, rtol=1e-4) | (sums == 0))
