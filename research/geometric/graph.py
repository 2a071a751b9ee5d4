"""One graph in memory: what readers return and transforms take."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph G = (X, (I, E)) of Sec. 2 of Fey & Lenssen 2019, with labels, checked when made.

    Messages go from `edge_index[0]`, the sources j, to `edge_index[1]`, the targets i, so an
    undirected edge is there twice. Self loops and duplicate edges may be there; a node may have no
    edge and a graph no edges. A graph without nodes is one whose `num_nodes` is given as 0.

    Args:
      edge_index: I, integers [2, E] of nodes 0 to N - 1; kept as int32.
      x: X, node features, float32 [N, F], a NumPy array or a `scipy.sparse` matrix, which is kept
        as CSR; or None.
      edge_attr: E, edge features, float32 [E] or [E, D], or integers [E], the types of relations;
        or None.
      y: labels: of the nodes, integers [N]; or of the graph, a scalar, or targets float32 [T].
      pos: positions of the nodes, float32 [N, 2 or 3], or None.
      num_nodes: N; may be omitted where `x` or `pos` is there, of at least one node.
      splits: name of a split ('train', 'validation', 'test') to its nodes, int64 [n], or to a mask,
        bool [N].
      class_names: names of the classes, where the data name them.
      name: what an error message calls the graph: the file it is from, and where in it.

    Raises:
      ValueError: counts that differ, an edge outside the graph, features that are not finite, a
        label that is no class, an integer outside int32, a split of nodes that are not there, or
        no nodes.
    """

    edge_index: np.ndarray
    x: Any = None
    edge_attr: np.ndarray | None = None
    y: np.ndarray | None = None
    pos: np.ndarray | None = None
    num_nodes: int | None = None
    splits: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    name: str = 'graph'

    def __post_init__(self):
        keep = lambda field, value: object.__setattr__(self, field, value)
        least = 0  # Nobody gives 0 by mistake; features of no nodes may be one.
        if self.num_nodes is None:
            counted = next((value for value in (self.x, self.pos) if value is not None), None)
            if counted is None:
                raise ValueError(f'{self.name}: num_nodes must be given where x and pos are not.')
            keep('num_nodes', int(counted.shape[0]))
            least = 1
        if self.num_nodes < least:
            raise ValueError(f'{self.name}: the graph is empty, it has {self.num_nodes} nodes.')
        keep('edge_index', self._checked_edges())
        if self.x is not None:
            keep('x', self._checked_features())
        if self.edge_attr is not None:
            keep('edge_attr', self._checked_edge_attr())
        if self.pos is not None:
            pos = np.asarray(self.pos, np.float32)
            keep('pos', self._rows('pos', pos, self.num_nodes, 'nodes'))
        if self.y is not None:
            keep('y', self._checked_labels())
        keep(
            'splits',
            {name: self._checked_split(name, nodes) for name, nodes in self.splits.items()},
        )

    @property
    def num_edges(self) -> int:
        """E, each direction of an undirected edge counted."""
        return self.edge_index.shape[1]

    @property
    def num_features(self) -> int:
        """F, 0 without features."""
        return 0 if self.x is None else self.x.shape[1]

    def digest(self) -> str:
        """A short name of the contents: graphs that differ have other ones."""
        hashed = hashlib.sha256(str((self.num_nodes, self.class_names)).encode())
        arrays = [self.edge_index, self.edge_attr, self.y, self.pos]
        arrays += (
            [self.x]
            if getattr(self.x, 'indptr', None) is None
            else [self.x.indptr, self.x.indices, self.x.data]
        )
        for array in (*arrays, *(self.splits[name] for name in sorted(self.splits))):
            if array is not None:
                hashed.update(str((array.dtype, array.shape)).encode())
                hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()[:16]

    def replace(self, **changes: Any) -> Graph:
        """The graph with other fields, checked again."""
        return dataclasses.replace(self, **changes)

    def _checked_edges(self) -> np.ndarray:
        edges = np.asarray(self.edge_index)
        if edges.ndim != 2 or edges.shape[0] != 2:
            raise ValueError(f'{self.name}: edge_index has shape {edges.shape}, not [2, edges].')
        if edges.size and not np.issubdtype(edges.dtype, np.integer):
            raise ValueError(f'{self.name}: edge_index is of {edges.dtype}, not of integers.')
        wrong = np.flatnonzero(((edges < 0) | (edges >= self.num_nodes)).any(axis=0))
        if wrong.size:
            source, target = edges[:, wrong[0]]
            raise ValueError(
                f'{self.name}: edge {wrong[0]}, from node {source} to node {target}, leaves the '
                f'graph, whose nodes are 0 to {self.num_nodes - 1}.'
            )
        return edges.astype(np.int32)

    def _checked_features(self):
        import scipy.sparse

        if not scipy.sparse.issparse(self.x):
            x = np.asarray(self.x, np.float32)
            if x.ndim != 2:
                raise ValueError(f'{self.name}: x has shape {x.shape}, not [nodes, features].')
            return self._rows('x', x, self.num_nodes, 'nodes')
        x = scipy.sparse.csr_matrix(self.x, dtype=np.float32)
        self._count('x', x.shape[0], self.num_nodes, 'nodes')
        wrong = np.flatnonzero(~np.isfinite(x.data))
        if wrong.size:
            row = int(np.searchsorted(x.indptr, wrong[0], 'right')) - 1
            raise ValueError(
                f'{self.name}: x, row {row}, column {x.indices[wrong[0]]} is '
                f'{x.data[wrong[0]]}, not a finite number.'
            )
        return x

    def _checked_edge_attr(self) -> np.ndarray:
        values = np.asarray(self.edge_attr)
        if np.issubdtype(values.dtype, np.integer):
            self._count('edge_attr', len(values), self.num_edges, 'edges')
            if values.ndim != 1 or (values < 0).any():
                raise ValueError(
                    f'{self.name}: edge_attr of integers are the types of the edges, '
                    f'[edges] and not negative; got shape {values.shape}, least value '
                    f'{values.min(initial=0)}.'
                )
            return narrowed(values, f'{self.name}: edge_attr')
        return self._rows('edge_attr', values.astype(np.float32), self.num_edges, 'edges')

    def _checked_labels(self) -> np.ndarray:
        y = np.asarray(self.y)
        if not np.issubdtype(y.dtype, np.integer):
            return y.astype(np.float32)
        y = narrowed(y, f'{self.name}: y')
        if y.ndim > 1:
            raise ValueError(
                f'{self.name}: y of integers are labels, [nodes] or one of the graph; '
                f'got shape {y.shape}.'
            )
        if y.ndim:
            self._count('y', len(y), self.num_nodes, 'nodes')
        highest = len(self.class_names) if self.class_names else np.iinfo(np.int32).max
        labels = np.atleast_1d(y)
        # -1 is the label of a node without one.
        wrong = np.flatnonzero((labels < -1) | (labels >= highest))
        if wrong.size:
            known = f'0 to {highest - 1}' if self.class_names else 'not negative'
            raise ValueError(
                f'{self.name}: label {labels[wrong[0]]} of row {wrong[0]} is unknown; '
                f'labels are {known}.'
            )
        return y

    def _checked_split(self, split: str, nodes) -> np.ndarray:
        nodes = np.asarray(nodes)
        if nodes.dtype == bool:
            if nodes.shape != (self.num_nodes,):
                raise ValueError(
                    f'{self.name}: split {split!r} is a mask of shape {nodes.shape}, '
                    f'but the graph has {self.num_nodes} nodes.'
                )
            nodes = np.flatnonzero(nodes)
        if nodes.ndim != 1 or (nodes.size and not np.issubdtype(nodes.dtype, np.integer)):
            raise ValueError(
                f'{self.name}: split {split!r} is of {nodes.dtype}, shape '
                f'{nodes.shape}; it is to be numbers of nodes, or a mask.'
            )
        nodes = nodes.astype(np.int64)
        wrong = nodes[(nodes < 0) | (nodes >= self.num_nodes)]
        if wrong.size:
            raise ValueError(
                f'{self.name}: split {split!r} has node {wrong[0]}, but nodes are 0 '
                f'to {self.num_nodes - 1}.'
            )
        return nodes

    def _rows(self, field: str, values: np.ndarray, count: int, what: str) -> np.ndarray:
        self._count(field, len(values), count, what)
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            at = tuple(wrong[0])
            column = f', column {at[1]}' if len(at) > 1 else ''
            raise ValueError(
                f'{self.name}: {field}, row {at[0]}{column} is {values[at]}, not a finite number.'
            )
        return values

    def _count(self, field: str, got: int, wanted: int, what: str) -> None:
        if got != wanted:
            raise ValueError(
                f'{self.name}: {field} has {got} rows, but the graph has {wanted} {what}.'
            )


def narrowed(values: np.ndarray, what: str) -> np.ndarray:
    """Integers as int32.

    Args:
      values: integers of any shape.
      what: what an error message calls them.

    Raises:
      ValueError: if one does not fit.
    """
    limits = np.iinfo(np.int32)
    wrong = np.flatnonzero((values < limits.min) | (values > limits.max))
    if wrong.size:
        raise ValueError(
            f'{what}, row {wrong[0]} is {values.flat[wrong[0]]}, outside int32, '
            f'{limits.min} to {limits.max}.'
        )
    return values.astype(np.int32)
