"""The text format of TUDataset: MUTAG, PROTEINS, COLLAB and any other of its data sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from research.geometric.datasets import raw_files
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph


def read(
    path: str | os.PathLike,
    name: str | None = None,
    node_attributes: bool = False,
    node_labels: bool = True,
    edge_attributes: bool = False,
    one_hot_edge_labels: bool = False,
    self_loops: bool = False,
    empty_graphs: bool = True,
    class_names: Sequence[str] | None = None,
) -> GraphDataset:
    """Graphs from NAME_A.txt and its neighbours (Morris et al. 2020, "TUDataset").

    One table of numbers a file, with commas: NAME_A an edge a line, from node to node;
    NAME_graph_indicator the graph of each node; NAME_graph_labels, or NAME_graph_attributes,
    numbers to predict. NAME_node_labels, NAME_node_attributes, NAME_edge_labels and
    NAME_edge_attributes may be there. Nodes and graphs count from 1 in the files, from 0 here.
    Labels become 0, 1, ... in ascending order.

    - An edge that is listed several times in one direction is one, in the place and with the
      attributes of the first: IMDB-BINARY and COLLAB list every edge twice. The log says how many,
      and how many of them have other attributes.
    - Self loops are omitted, as the paper's Table 5 counts COLLAB; the log says how many.
    - A graph that no node names has no nodes, as 651 of Fingerprint's; the log says how many.

    Args:
      path: the folder, or its zip.
      name: NAME; may be left out where only one data set is there.
      node_attributes: whether `x` has the node attributes too, before the labels; Table 5 counts
        PROTEINS without.
      node_labels: whether `x` has the node labels; without, their file is not read. The temporal
        sets have rows of varying width there.
      edge_attributes: whether `edge_attr` are the edge attributes, and the one-hot labels of the
        edges after them, where there are.
      one_hot_edge_labels: whether the labels of edges are one-hot, [E, D], not types, [E].
      self_loops: whether to keep self loops.
      empty_graphs: whether to keep graphs without nodes.
      class_names: the labels of graphs that may be there, as the file writes them; by default
        those that are there.

    Returns:
      The graphs: `x` the one-hot node labels [N, F], or None; `edge_attr` the types of the edges
      [E], or None; `y` the class, or numbers [T].

    Raises:
      FileNotFoundError: no such folder, or a file of the format is missing.
      ValueError: what is no number, counts that differ, an indicator that goes back, an edge that
        leaves its graph, an unknown label, no edge labels where they are asked for, or no graph
        with nodes.
    """
    files = _Files(path, name)
    indicator, labels = _indicator(files), _graph_labels(files, class_names)
    num_graphs = len(labels.values)
    if indicator[-1] >= num_graphs:
        raise ValueError(
            f'{files.where("graph_indicator")}: the last graph is '
            f'{indicator[-1] + 1}, but {labels.where} has {num_graphs} lines.'
        )
    edges = _edges(files, indicator)
    x = _columns(files, 'node', len(indicator), node_attributes, node_labels, one_hot=True)
    edge_attr = _columns(
        files, 'edge', edges.shape[1], edge_attributes, True, edge_attributes or one_hot_edge_labels
    )

    order = _kept(edges, edge_attr, len(indicator), self_loops, files.where('A'))
    owners = indicator[edges[0, order]]
    if (owners[1:] < owners[:-1]).any():  # Some file has not one graph after the other.
        by_graph = np.argsort(owners, kind='stable')
        order, owners = order[by_graph], owners[by_graph]
    edges = edges[:, order]
    edge_attr = None if edge_attr is None else edge_attr[order]
    # Nodes and edges of a graph lie between two neighbouring ends.
    node_ends = np.searchsorted(indicator, np.arange(num_graphs + 1))
    edge_ends = np.searchsorted(owners, np.arange(num_graphs + 1))
    empty = np.flatnonzero(node_ends[1:] == node_ends[:-1])
    if empty.size:
        logging.info(
            '%s: %d of %d graphs have no nodes, the first is graph %d; they are %s.',
            files.where('graph_indicator'),
            empty.size,
            num_graphs,
            empty[0] + 1,
            'kept' if empty_graphs else 'omitted',
        )
    graphs = []
    for graph in range(num_graphs) if empty_graphs else np.setdiff1d(range(num_graphs), empty):
        nodes = slice(*node_ends[graph : graph + 2])
        some = slice(*edge_ends[graph : graph + 2])
        graphs.append(
            Graph(
                edges[:, some] - nodes.start,
                None if x is None else x[nodes],
                None if edge_attr is None else edge_attr[some],
                labels.values[graph],
                num_nodes=int(nodes.stop - nodes.start),
                class_names=labels.names,
                name=f'{files.name}, graph {graph}',
            )
        )
    return GraphDataset(graphs, labels.names, f'{files.name} in {os.fspath(path)}')


def _kept(
    edges: np.ndarray, edge_attr: np.ndarray | None, num_nodes: int, self_loops: bool, where: str
) -> np.ndarray:
    """The edges that the graphs get, as places in the file, ascending."""
    different = edges[0] != edges[1]
    places = np.arange(edges.shape[1]) if self_loops else np.flatnonzero(different)
    if not self_loops and not different.all():
        logging.info(
            '%s: %d self loops of %d edges are omitted.', where, np.sum(~different), different.size
        )
    _, first, same = np.unique(
        edges[0, places] * num_nodes + edges[1, places], return_index=True, return_inverse=True
    )
    repeated = len(places) - len(first)
    if repeated:
        others = 0
        if edge_attr is not None:
            attr = edge_attr[places].reshape(len(places), -1)
            others = np.sum((attr != attr[first[same]]).any(axis=1))
        logging.info(
            '%s: %d of %d edges are listed before, %d of them with other attributes; the '
            'first of each counts.',
            where,
            repeated,
            len(places),
            others,
        )
    return places[np.sort(first)]


class _Files:
    """The files of one data set by the end of their names."""

    def __init__(self, path, name: str | None):
        self._files = raw_files.RawFiles(path)
        end = '_graph_indicator.txt'
        found = [
            file
            for file in self._files.names
            if file.endswith(end if name is None else f'/{name}{end}')
            or (name and file == name + end)
        ]
        if not found:
            raise FileNotFoundError(f'{os.fspath(path)}: no file {name or "NAME"}{end} there.')
        if len(found) > 1:
            raise ValueError(
                f'{os.fspath(path)}: several data sets are there, {found[0]} and '
                f'{found[1]}; give the name of one.'
            )
        self._stem = found[0][: -len(end)]
        self.name = self._stem.rpartition('/')[2]

    def where(self, kind: str) -> str:
        return self._files.where(f'{self._stem}_{kind}.txt')

    def has(self, kind: str) -> bool:
        return f'{self._stem}_{kind}.txt' in self._files.names

    def table(
        self, kind: str, dtype, columns: int | None = None, rows: tuple[int, str] | None = None
    ) -> np.ndarray:
        """The table, [lines, columns]; `rows` is how many lines it must have and whose."""
        if not self.has(kind):
            raise FileNotFoundError(f'{self.where(kind)}: no such file.')
        content = self._files.read(f'{self._stem}_{kind}.txt')
        if rows and not rows[0] and not content.strip():
            return np.zeros((0, columns or 1), dtype)
        values = raw_files.table(content, self.where(kind), dtype, columns)
        if rows and len(values) != rows[0]:
            raise ValueError(f'{self.where(kind)}: {len(values)} lines, but {rows[0]} {rows[1]}.')
        return values


class _Labels(NamedTuple):
    """Of the graphs: labels or numbers, the names of the classes, and the file they are from."""

    values: np.ndarray
    names: tuple[str, ...]
    where: str


def _indicator(files: _Files) -> np.ndarray:
    """The graph of each node, from 0."""
    indicator = files.table('graph_indicator', np.int64, 1)[:, 0]
    before = np.append(1, indicator[:-1])
    wrong = np.flatnonzero(indicator < before)
    if wrong.size:
        line = wrong[0]
        what = f'goes from graph {before[line]} to' if line else 'is'
        raise ValueError(
            f'{files.where("graph_indicator")}: line {line + 1} {what} graph '
            f'{indicator[line]}; graphs are numbered from 1, in ascending order.'
        )
    return indicator - 1


def _graph_labels(files: _Files, class_names: Sequence[str] | None) -> _Labels:
    if not files.has('graph_labels') and files.has('graph_attributes'):
        return _Labels(
            files.table('graph_attributes', np.float64), (), files.where('graph_attributes')
        )
    where = files.where('graph_labels')
    written = files.table('graph_labels', np.int64, 1)[:, 0]
    known = np.unique(written)
    if class_names is not None:
        known = np.sort([int(name) for name in class_names])
    wrong = np.flatnonzero(~np.isin(written, known))
    if wrong.size:
        raise ValueError(
            f'{where}: line {wrong[0] + 1}: label {written[wrong[0]]} is unknown; '
            f'known are {", ".join(map(str, known))}.'
        )
    return _Labels(np.searchsorted(known, written), tuple(map(str, known)), where)


def _edges(files: _Files, indicator: np.ndarray) -> np.ndarray:
    """[2, E] of all graphs, nodes from 0."""
    num_nodes = len(indicator)
    lines = files.table('A', np.int64, 2)
    wrong = np.argwhere((lines < 1) | (lines > num_nodes))
    if len(wrong):
        line, column = wrong[0]
        raise ValueError(
            f'{files.where("A")}: line {line + 1} has node {lines[line, column]}, but '
            f'nodes are 1 to {num_nodes}.'
        )
    edges = lines.T - 1
    wrong = np.flatnonzero(indicator[edges[0]] != indicator[edges[1]])
    if wrong.size:
        source, target = lines[wrong[0]]
        raise ValueError(
            f'{files.where("A")}: line {wrong[0] + 1} is an edge from node {source} '
            f'of graph {indicator[source - 1] + 1} to node {target} of graph '
            f'{indicator[target - 1] + 1}.'
        )
    return edges


def _columns(
    files: _Files, of: str, count: int, attributes: bool, with_labels: bool, one_hot: bool
):
    """Attributes, then one-hot labels, float32 [count, F]; or labels, [count]; or None."""
    other = files.where('graph_indicator' if of == 'node' else 'A')
    rows, parts = (count, f'{of}s are in {other}'), []
    if attributes:
        parts.append(files.table(f'{of}_attributes', np.float64, rows=rows).astype(np.float32))
    if with_labels and files.has(f'{of}_labels'):
        try:
            labels = files.table(f'{of}_labels', np.int64, rows=rows)
        except ValueError as error:
            if of == 'edge':
                raise
            raise ValueError(f'{error} node_labels=False leaves this file unread.') from None
        if not one_hot and labels.shape[1] > 1:
            raise ValueError(
                f'{files.where(of + "_labels")}: {labels.shape[1]} labels an edge '
                'cannot be types; ask for one-hot labels.'
            )
        for column in labels.T:
            known, types = np.unique(column, return_inverse=True)
            if not one_hot:
                return types.astype(np.int32)
            parts.append(np.eye(len(known), dtype=np.float32)[types])
    return np.concatenate(parts, axis=1) if parts else None
