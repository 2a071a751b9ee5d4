"""The graphs of benchmarks/geometric.py, as a file of arrays that every contestant reads.

A file has

  edge_index          int32 [2, E], sources and targets, by source as others' readers give them
  labels, nodes       int32 [N], and int32 [n], the nodes trained on
  classes             how many there are
  x_data, x_indices, x_indptr, x_columns    features, float32, as a CSR matrix of N rows, each
                                            divided by its sum; or, of a graph without,
  edge_type, relations    int32 [E], and how many there are
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse

from research.geometric.datasets import edges, planetoid


class Sizes(NamedTuple):
    """Of a graph.

    Attributes:
      nodes: N.
      edges: E, each direction counted.
      classes: C.
      labelled: nodes trained on.
      features: F, columns of the features; 0 of a graph without.
      words: entries of the features that are not zero.
      relations: R, each direction counted; 0 of a graph with one kind of edges.
    """

    nodes: int
    edges: int
    classes: int
    labelled: int
    features: int = 0
    words: int = 0
    relations: int = 0


SIZES = {
    'cora': Sizes(2708, 10556, 7, 140, 1433, 49216),
    'citeseer': Sizes(3327, 9104, 6, 120, 3703, 105165),
    'pubmed': Sizes(19717, 88648, 3, 60, 500, 988031),
    # The RDF graph, 74 227 triples of 23 relations, each there in its other direction, too.
    'mutag': Sizes(23644, 2 * 74227, 2, 272, relations=46),
}


def arrays(name: str, data_dir: str | None) -> tuple[dict[str, np.ndarray], str]:
    """What a file holds, and where it is from, in words.

    Args:
      name: one of SIZES.
      data_dir: folder of Planetoid's files; None for a synthetic graph of the same sizes, which
        'mutag' always is.

    Raises:
      FileNotFoundError: no such folder or file.
      ValueError: a file is damaged.
    """
    if data_dir is None or name == 'mutag':
        return synthetic(SIZES[name]), f'a SYNTHETIC graph of the sizes of {name}'
    graph = planetoid.load(data_dir, name)
    return {
        'edge_index': _by_source(graph.edge_index),
        'labels': graph.y,
        'nodes': graph.splits['train'].astype(np.int32),
        'classes': len(graph.class_names),
        **_features(graph.x),
    }, f'{name} from its files'


def synthetic(sizes: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """A random graph: ends of edges, words and labels are uniform.

    Edges between the same two nodes and repeated words fall together, so that a small graph can
    have fewer than asked for; one with relations keeps all.
    """
    rng = np.random.default_rng(seed)
    found = {
        'labels': rng.integers(sizes.classes, size=sizes.nodes, dtype=np.int32),
        'nodes': rng.permutation(sizes.nodes)[: sizes.labelled].astype(np.int32),
        'classes': sizes.classes,
    }
    if sizes.relations:
        half = sizes.edges // 2
        one_way = rng.integers(sizes.nodes, size=(2, half), dtype=np.int32)
        types = rng.integers(sizes.relations // 2, size=half, dtype=np.int32)
        return {
            **found,
            'relations': sizes.relations,
            'edge_index': np.concatenate([one_way, one_way[::-1]], axis=1),
            'edge_type': np.concatenate([types, types + sizes.relations // 2]),
        }
    pairs = _different(rng, sizes.edges // 2, lambda n: _pairs(rng, n, sizes.nodes))
    source, target = pairs // sizes.nodes, pairs % sizes.nodes
    places = _different(
        rng, sizes.words, lambda n: rng.integers(sizes.nodes * sizes.features, size=n)
    )
    x = scipy.sparse.csr_matrix(
        (np.ones(len(places), np.float32), (places // sizes.features, places % sizes.features)),
        (sizes.nodes, sizes.features),
    )
    return {
        **found,
        'edge_index': _by_source(edges.undirected(source, target, sizes.nodes)),
        **_features(x),
    }


def sizes_of(found: Mapping[str, np.ndarray]) -> Sizes:
    """The sizes of the graph that `arrays` gave."""
    return Sizes(
        len(found['labels']),
        found['edge_index'].shape[1],
        int(found['classes']),
        len(found['nodes']),
        int(found.get('x_columns', 0)),
        len(found.get('x_data', ())),
        int(found.get('relations', 0)),
    )


def matrix(found: Mapping[str, np.ndarray]) -> scipy.sparse.csr_matrix:
    """The features of the graph."""
    return scipy.sparse.csr_matrix(
        (found['x_data'], found['x_indices'], found['x_indptr']),
        (len(found['labels']), int(found['x_columns'])),
    )


def _features(x) -> dict[str, np.ndarray]:
    total = np.asarray(x.sum(axis=1)).ravel()
    x = (scipy.sparse.diags(1 / np.where(total, total, 1)) @ x).tocsr().sorted_indices()
    return {
        'x_data': x.data.astype(np.float32),
        'x_indices': x.indices.astype(np.int32),
        'x_indptr': x.indptr.astype(np.int32),
        'x_columns': x.shape[1],
    }


def _by_source(edge_index) -> np.ndarray:
    return edge_index[:, np.lexsort((edge_index[1], edge_index[0]))]


def _different(rng, count: int, draw) -> np.ndarray:
    """`count` different numbers out of 3 `count` that are drawn, or as many as there are."""
    return rng.permutation(np.unique(draw(3 * count)))[:count]


def _pairs(rng, count: int, nodes: int) -> np.ndarray:
    """Pairs of different nodes a < b, as a * nodes + b."""
    ends = np.sort(rng.integers(nodes, size=(2, count)), axis=0)
    ends = ends[:, ends[0] != ends[1]]
    return ends[0] * nodes + ends[1]
