"""A graph of the user's own: a folder with nodes.csv, edges.csv and labels.csv.

UTF-8, commas, a header row; a field with a comma in it stands in double quotes. A node is called by
any string, which it keeps in all files. Columns:

  nodes.csv   id, then one column a feature, all numbers; or id alone where nodes have none
  edges.csv   source, target, then one column an edge feature, all numbers; or none
  labels.csv  id, label: any string; a node without a row has no label
  splits.csv  id, split: train, validation or test; the file may be missing

    id,age,height       source,target,weight       id,label        id,split
    ann,31,1.7          ann,ben,2                  ann,yes         ann,train
    ben,45,1.8          ben,cem,0.5                cem,no          cem,test
    cem,28,1.6
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from research.geometric.datasets import splits
from research.geometric.graph import Graph


def load(
    data_dir: str | os.PathLike | None,
    undirected: bool = True,
    class_names: Sequence[str] | None = None,
) -> Graph:
    """The graph in a folder; see above for the files.

    Nodes have the order of nodes.csv.

    Args:
      data_dir: the folder.
      undirected: whether a row of edges.csv is an edge in both directions, with the same features.
        An edge that is there twice, either way, counts once; with features it is an error. False:
        rows are edges from source to target, as they are.
      class_names: the labels that may be there, in the order of the classes; by default those that
        are there, in the order of numbers if all are whole numbers, else of the alphabet.

    Returns:
      The graph: `x` float32 [N, F] or None; `edge_attr` float32 [E] of one column, [E, D] of
      several, or None; `y` [N], -1 without a label.

    Raises:
      FileNotFoundError: no such folder, or one of the first three files is missing.
      ValueError: a file's row is cut short, a value is no finite number, a node is there twice or
        unknown, a label or a split is unknown, there are no nodes.
    """
    if data_dir is None or not os.path.isdir(data_dir):
        raise FileNotFoundError(
            f'data_dir {data_dir}: no such folder; it is to hold nodes.csv, '
            'edges.csv and labels.csv.'
        )
    path = lambda part: os.path.join(data_dir, f'{part}.csv')
    ids, features = {}, []
    for where, (node, *values) in _rows(path('nodes'), ['id'], more=True):
        if not node:
            raise ValueError(f'{where}: the node has no id.')
        if node in ids:
            raise ValueError(f'{where}: node {node!r} is there already.')
        ids[node] = len(ids)
        features.append(values)
    if not ids:
        raise ValueError(f'{path("nodes")}: the graph is empty, no row follows the header.')
    edge_index, edge_attr = _edges(path('edges'), ids, undirected)
    y, class_names = _labels(path('labels'), ids, class_names)
    return Graph(
        edge_index,
        x=np.array(features, np.float32) if features[0] else None,
        edge_attr=edge_attr,
        y=y,
        num_nodes=len(ids),
        splits=_splits(path('splits'), ids),
        class_names=class_names,
        name=os.fspath(data_dir),
    )


def _rows(path: str, columns: list[str], more: bool = False) -> Iterator[tuple[str, list]]:
    """File and line, then the fields, of each row; further columns as finite numbers."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such file.')
    with open(path, 'rb') as file:
        content = file.read()
    try:
        reader = csv.reader(io.StringIO(content.decode('utf-8-sig'), newline=''), strict=True)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b'\n') + 1
        raise ValueError(
            f'{path}, line {line}: byte {error.object[error.start]:#x} is not UTF-8.'
        ) from None
    try:
        header = [name.strip() for name in next(reader, [])]
        if header[: len(columns)] != columns or (len(header) > len(columns) and not more):
            raise ValueError(
                f'{path}, line 1: the columns are {",".join(header)!r}, not '
                f'{",".join(columns)!r}{", then the features" if more else ""}.'
            )
        for row in reader:
            if not row:
                continue
            where = f'{path}, line {reader.line_num}'
            if len(row) != len(header):
                raise ValueError(
                    f'{where}: {len(row)} fields, but the header has {len(header)}: '
                    f'{",".join(row)!r}.'
                )
            yield (
                where,
                [field.strip() for field in row[: len(columns)]]
                + [
                    _number(text, where, name)
                    for text, name in zip(row[len(columns) :], header[len(columns) :], strict=True)
                ],
            )
    except csv.Error as error:
        raise ValueError(f'{path}, line {reader.line_num}: truncated or no CSV: {error}.') from None


def _number(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f'{where}: column {column!r} is {text!r}, not a number.') from None
    # Features are float32.
    if not math.isfinite(value) or abs(value) > float(np.finfo(np.float32).max):
        raise ValueError(f'{where}: column {column!r} is {text.strip()}, not a finite number.')
    return value


def _node(name: str, ids: dict[str, int], where: str) -> int:
    if name not in ids:
        raise ValueError(f'{where}: node {name!r} is not in nodes.csv.')
    return ids[name]


def _edges(path: str, ids: dict[str, int], undirected: bool):
    lines = {}  # of each pair of nodes, in order
    pairs, attributes = [], []
    for where, (source, target, *values) in _rows(path, ['source', 'target'], more=True):
        pair = _node(source, ids, where), _node(target, ids, where)
        if undirected:
            key = (min(pair), max(pair))
            if key in lines and values:
                raise ValueError(
                    f'{where}: the edge between {source!r} and {target!r} is at '
                    f'{lines[key]} already.'
                )
            if key in lines:
                continue
            lines[key] = where.rpartition(', ')[2]
        pairs.append(pair)
        attributes.append(values)
        if undirected and pair[0] != pair[1]:
            pairs.append(pair[::-1])
            attributes.append(values)
    edge_index = np.array(pairs, np.int32).reshape(-1, 2).T
    if not attributes or not attributes[0]:
        return edge_index, None
    edge_attr = np.array(attributes, np.float32)
    return edge_index, edge_attr[:, 0] if edge_attr.shape[1] == 1 else edge_attr


def _labels(path: str, ids: dict[str, int], class_names: Sequence[str] | None):
    labels = {}
    for where, (name, label) in _rows(path, ['id', 'label']):
        node = _node(name, ids, where)
        if node in labels:
            raise ValueError(f'{where}: node {name!r} has a label already.')
        if not label or (class_names is not None and label not in class_names):
            known = '' if class_names is None else f'; there is {", ".join(class_names)}'
            raise ValueError(f'{where}: label {label!r} is unknown{known}.')
        labels[node] = label
    if not labels:
        raise ValueError(f'{path}: no row follows the header, so no node has a label.')
    if class_names is None:
        class_names = sorted(set(labels.values()))
        if all(name.removeprefix('-').isdecimal() for name in class_names):
            class_names.sort(key=int)
    y = np.full(len(ids), -1, np.int32)
    numbers = {name: number for number, name in enumerate(class_names)}
    y[list(labels)] = [numbers[label] for label in labels.values()]
    return y, tuple(class_names)


def _splits(path: str, ids: dict[str, int]) -> dict[str, np.ndarray]:
    if not os.path.exists(path):
        return {}
    parts = {name: [] for name in splits.NAMES}
    split_of = {}
    for where, (name, split) in _rows(path, ['id', 'split']):
        node = _node(name, ids, where)
        if split not in parts:
            raise ValueError(f'{where}: split {split!r} is none of {", ".join(parts)}.')
        if node in split_of:
            raise ValueError(f'{where}: node {name!r} is in split {split_of[node]!r} already.')
        split_of[node] = split
        parts[split].append(node)
    return {name: np.sort(np.array(nodes, np.int64)) for name, nodes in parts.items() if nodes}
