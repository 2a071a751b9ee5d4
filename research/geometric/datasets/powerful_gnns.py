"""The text format of powerful-gnns, with its ten folds: MUTAG, IMDB-BINARY, COLLAB and others."""

from __future__ import annotations

import itertools
import os
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse
from absl import logging

from research.geometric.datasets import raw_files
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph

_FOLD = re.compile(r'10fold_idx/(train|test)_idx-(\d+)\.txt$')


def read(
    path: str | os.PathLike,
    name: str | None = None,
    node_attributes: bool = False,
    self_loops: bool = False,
    class_names: Sequence[str] | None = None,
) -> GraphDataset:
    """Graphs from one text file (Xu et al. 2019, "How Powerful are Graph Neural Networks?").

    The first line is the number of graphs. A graph is a line `n label` and n lines
    `tag m neighbour_1 ... neighbour_m`, which may go on with attributes; nodes count from 0 in each
    graph. Labels and tags become 0, 1, ... in ascending order.

    - The graphs are undirected: an edge that one end alone lists is there both ways, and once
      however often it is listed, as in the authors' code. Edges ascend by source, then target.
    - Self loops are left out, as the paper's Table 5 counts COLLAB; the log says how many.
    - Where all nodes have the same tag, as in the social networks, there is no `x`.

    Args:
      path: the text file, or a folder or zip that has it, and its folds in 10fold_idx beside it.
      name: of the text file, without .txt; may be left out where there is only one.
      node_attributes: whether `x` has the nodes' attributes too, before the tags.
      self_loops: whether to keep self loops.
      class_names: the labels that may be there, as the file writes them; by default those that
        are there.

    Returns:
      The graphs: `x` the one-hot tags [N, F], or None; `y` the class. The splits 'train_1',
      'test_1' to 'train_10', 'test_10' where the folds are there.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a truncated file, what is no number, a neighbour that is no node, an unknown
        label, no graph with nodes, a fold with a graph that is not there or in both of its parts.
    """
    files = raw_files.RawFiles(path)
    file = _text_file(files, name)
    where = files.where(file)
    numbers = _numbers(files.read(file), where)
    headers = _headers(numbers, where)
    sizes, written = numbers.at(headers, 0), numbers.at(headers, 1)
    known = np.unique(written)
    if class_names is not None:
        known = np.sort([int(label) for label in class_names])
    wrong = np.flatnonzero(~np.isin(written, known))
    if wrong.size:
        raise ValueError(
            f'{where}: line {numbers.lines[headers[wrong[0]]]}: label {written[wrong[0]]} is '
            f'unknown; known are {", ".join(map(str, known))}.'
        )
    names = tuple(map(str, known))
    labels = np.searchsorted(known, written)

    is_node = np.ones(len(numbers.counts), bool)
    is_node[0] = is_node[headers] = False
    nodes = np.flatnonzero(is_node)
    if not nodes.size:
        raise ValueError(f'{where}: no graph has a node.')
    x = _features(numbers, nodes, where, node_attributes)
    adjacency = _adjacency(numbers, nodes, sizes, where)
    if not self_loops:
        loops = int(adjacency.diagonal().sum())
        if loops:
            logging.info('%s: %d self loops are omitted.', where, loops)
    sources = np.repeat(np.arange(len(nodes), dtype=np.int32), np.diff(adjacency.indptr))
    targets = adjacency.indices
    ends = np.append(0, np.cumsum(sizes))
    stem = os.path.basename(file)[: -len('.txt')]
    graphs = []
    for graph, (start, stop) in enumerate(itertools.pairwise(ends)):
        some = slice(adjacency.indptr[start], adjacency.indptr[stop])
        edges = np.stack([sources[some], targets[some]]) - np.int32(start)
        if not self_loops:
            edges = edges[:, edges[0] != edges[1]]
        graphs.append(
            Graph(
                edges,
                None if x is None else x[start:stop],
                y=labels[graph],
                num_nodes=int(stop - start),
                class_names=names,
                name=f'{stem}, graph {graph}',
            )
        )
    return GraphDataset(
        graphs, names, f'{stem} in {os.fspath(path)}', _folds(files, file, len(graphs))
    )


class _Numbers(NamedTuple):
    """All numbers of a file, and where the lines that are not blank start in them.

    Attributes:
      values: the numbers, one after the other, int64, or float64 where attributes are there.
      starts: [lines] index of each line's first number.
      counts: [lines] how many it has.
      lines: [lines] its number in the file, from 1.
      where: what an error message calls the file.
    """

    values: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    lines: np.ndarray
    where: str

    def at(self, lines, place: int) -> np.ndarray:
        """The number at a place of lines, an integer."""
        return self.integers(self.starts[lines] + place)

    def integers(self, places) -> np.ndarray:
        """`values[places]`, which must be whole numbers."""
        values = self.values[places]
        if values.dtype != np.int64:
            wrong = np.flatnonzero(values % 1)
            if wrong.size:
                place = np.ravel(places)[wrong[0]]
                raise ValueError(
                    f'{self.where}: line {self.line_of(place)} has {self.values[place]}, not a '
                    'whole number.'
                )
        return values.astype(np.int64)

    def line_of(self, place) -> int:
        """The line that a number is in."""
        return self.lines[np.searchsorted(self.starts, place, 'right') - 1]


def _text_file(files: raw_files.RawFiles, name: str | None) -> str:
    found = [
        file
        for file in files.names
        if file.endswith('.txt')
        and '10fold_idx' not in file
        and (name is None or os.path.basename(file) == f'{name}.txt')
    ]
    if not found:
        raise FileNotFoundError(f'{files.path}: no file {name or "NAME"}.txt there.')
    if len(found) > 1:
        raise ValueError(
            f'{files.path}: several text files are there, {found[0]} and {found[1]}; '
            'give the name of one.'
        )
    return found[0]


def _numbers(content: bytes, where: str) -> _Numbers:
    text = np.frombuffer(b'\n' + content + b'\n', np.uint8)
    blank = (text == ord(' ')) | (text >= ord('\t')) & (text <= ord('\r'))
    tokens = np.flatnonzero(~blank[1:] & blank[:-1])  # their places in `content`
    newlines = np.flatnonzero(text == ord('\n'))
    starts = np.searchsorted(tokens, newlines)
    counts, starts = np.diff(starts), starts[:-1]
    for dtype in (np.int64, np.float64):
        values = _parsed(content, dtype)
        if len(values) == len(tokens):
            break
    else:
        raise ValueError(_no_number(content, tokens, newlines, where))
    lines = np.flatnonzero(counts)
    numbers = _Numbers(values, starts[lines], counts[lines], lines + 1, where)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise ValueError(
            f'{where}: line {numbers.line_of(wrong[0])} has {values[wrong[0]]}, not a '
            'finite number.'
        )
    return numbers


def _parsed(content: bytes, dtype) -> np.ndarray:
    """Returns the numbers before the first token that is no number of `dtype`, or none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # It stops where no number is.
            return np.fromstring(content, dtype, sep=' ')
    except ValueError:  # NumPy 2.3 and later raise it in place of the warning.
        return np.empty(0, dtype)


def _no_number(content: bytes, tokens, newlines, where: str) -> str:
    for start, stop in zip(tokens, np.append(tokens[1:], len(content)), strict=True):
        token = content[start:stop].strip().decode('utf-8', 'replace')
        try:
            float(token)
        except ValueError:
            break
    return (
        f'{where}: line {np.searchsorted(newlines, start, "right")} has {token!r}, which is no '
        'number.'
    )


def _headers(numbers: _Numbers, where: str) -> np.ndarray:
    """The lines `n label`, as positions in `numbers.lines`."""
    if not len(numbers.lines) or numbers.counts[0] != 1:
        raise ValueError(f'{where}: line 1 must be the number of graphs alone.')
    promised, line, headers = int(numbers.at(0, 0)), 1, []
    if promised < 1:
        raise ValueError(f'{where}: line 1 says {promised} graphs.')
    for graph in range(promised):
        if line >= len(numbers.lines):
            raise ValueError(
                f'{where}: truncated: line 1 says {promised} graphs, the file ends after {graph}.'
            )
        here = numbers.lines[line]
        if numbers.counts[line] != 2:
            raise ValueError(
                f'{where}: line {here} has {numbers.counts[line]} numbers, not the 2 '
                f'that graph {graph} starts with.'
            )
        size = int(numbers.at(line, 0))
        if size < 0:
            raise ValueError(f'{where}: line {here}: graph {graph} has {size} nodes.')
        headers.append(line)
        line += 1 + size
        if line > len(numbers.lines):
            raise ValueError(
                f'{where}: truncated: graph {graph}, line {here}, has {size} nodes, '
                f'the file ends after {len(numbers.lines) - line + size} of them.'
            )
    if line < len(numbers.lines):
        raise ValueError(
            f'{where}: line 1 says {promised} graphs, but line {numbers.lines[line]} '
            'comes after them.'
        )
    return np.asarray(headers)


def _features(numbers: _Numbers, nodes, where: str, attributes: bool) -> np.ndarray | None:
    """Attributes, if wanted, and one-hot tags; None without either."""
    short = np.flatnonzero(numbers.counts[nodes] < 2)
    if short.size:
        raise ValueError(
            f'{where}: line {numbers.lines[nodes[short[0]]]} has one number, not a '
            'tag and the number of neighbours.'
        )
    degrees = numbers.at(nodes, 1)
    extra = numbers.counts[nodes] - 2 - degrees
    wrong = np.flatnonzero((extra < 0) | (degrees < 0) | (extra != extra[0]))
    if wrong.size:
        node = wrong[0]
        raise ValueError(
            f'{where}: line {numbers.lines[nodes[node]]} says {degrees[node]} '
            f'neighbours, but {numbers.counts[nodes[node]] - 2} numbers follow.'
        )
    parts = []
    if attributes and extra[0]:
        places = (numbers.starts[nodes] + 2 + degrees)[:, np.newaxis] + np.arange(extra[0])
        parts.append(numbers.values[places].astype(np.float32))
    tags, types = np.unique(numbers.at(nodes, 0), return_inverse=True)
    if len(tags) > 1:
        parts.append(np.eye(len(tags), dtype=np.float32)[types])
    return np.concatenate(parts, axis=1) if parts else None


def _adjacency(numbers: _Numbers, nodes, sizes, where: str) -> scipy.sparse.csr_matrix:
    """The symmetric adjacency matrix of all graphs, block by block; 1 an edge."""
    degrees = numbers.at(nodes, 1)
    indptr = np.append(0, np.cumsum(degrees))
    places = np.repeat(numbers.starts[nodes] + 2 - indptr[:-1], degrees) + np.arange(indptr[-1])
    neighbours = numbers.integers(places)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)  # of the graph of each node
    limits = np.repeat(np.repeat(sizes, sizes), degrees)
    wrong = np.flatnonzero((neighbours < 0) | (neighbours >= limits))
    if wrong.size:
        node = np.searchsorted(indptr, wrong[0], 'right') - 1
        raise ValueError(
            f'{where}: line {numbers.lines[nodes[node]]} has neighbour '
            f'{neighbours[wrong[0]]}, but nodes are 0 to {limits[wrong[0]] - 1}.'
        )
    columns = (neighbours + np.repeat(starts, degrees)).astype(np.int32)
    listed = scipy.sparse.csr_matrix(
        (np.ones(len(columns), bool), columns, indptr), [len(nodes)] * 2
    )
    # Transposing takes linear time; most files list each edge at both ends, in ascending order.
    transposed = listed.T.tocsr()
    if (
        np.array_equal(transposed.indptr, listed.indptr)
        and np.array_equal(transposed.indices, listed.indices)
        and listed.has_canonical_format
    ):
        return listed
    both = (listed + transposed).astype(bool)
    both.sum_duplicates()
    return both


def _folds(files: raw_files.RawFiles, text_file: str, num_graphs: int) -> dict[str, np.ndarray]:
    folder = text_file.rpartition('/')[0]
    splits = {}
    for file in files.names:
        match = _FOLD.search(file)
        if match and file[: match.start()].rstrip('/') == folder:
            part, fold = match.groups()
            graphs = raw_files.table(files.read(file), files.where(file), np.int64, 1)[:, 0]
            wrong = np.flatnonzero((graphs < 0) | (graphs >= num_graphs))
            if wrong.size:
                raise ValueError(
                    f'{files.where(file)}: line {wrong[0] + 1} is graph '
                    f'{graphs[wrong[0]]}, but graphs are 0 to {num_graphs - 1}.'
                )
            splits[f'{part}_{int(fold)}'] = graphs
    order = sorted(splits, key=lambda split: (int(split.rpartition('_')[2]), split[1] != 'r'))
    for split in order:
        both = np.intersect1d(splits[split], splits.get(split.replace('train', 'test'), []))
        if split.startswith('train') and both.size:
            raise ValueError(
                f'{files.path}: graph {both[0]:.0f} is in both parts of fold '
                f'{split.rpartition("_")[2]}.'
            )
    return {split: splits[split] for split in order}
