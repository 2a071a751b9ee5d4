"""Several graphs as a data set, and the row of the paper's Table 5 that describes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from research.geometric.graph import Graph


@dataclasses.dataclass(frozen=True)
class GraphDataset:
    """Graphs alike in what they carry, checked when made.

    Where nodes are classified there is one graph, with labels [N] and splits of its nodes; where
    graphs are, each has a scalar label, and the splits are here.

    Args:
      graphs: the graphs; each gets the data set's `class_names`, which checks its labels.
      class_names: names of the classes, empty where `y` are numbers to predict.
      name: what an error message calls the data set.
      splits: name of a split ('train', 'test') to the graphs in it, int64 [n], kept ascending.

    Raises:
      ValueError: no graphs, graphs that carry different fields, labels without class names, a
        label that is no class, a split of graphs that are not there or there twice.
    """

    graphs: Sequence[Graph]
    class_names: tuple[str, ...] = ()
    name: str = 'graphs'
    splits: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        keep = lambda field, value: object.__setattr__(self, field, value)
        if not len(self.graphs):
            raise ValueError(f'{self.name}: the data set is empty, it has no graphs.')
        names = tuple(self.class_names)
        keep('class_names', names)
        keep(
            'graphs',
            tuple(
                graph if graph.class_names == names else graph.replace(class_names=names)
                for graph in self.graphs
            ),
        )
        self._check_alike()
        keep('splits', {name: self._checked_split(name, ids) for name, ids in self.splits.items()})

    @classmethod
    def of(cls, graph: Graph) -> GraphDataset:
        """The data set of one graph whose nodes are classified."""
        return cls((graph,), graph.class_names, graph.name)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def num_features(self) -> int:
        """F, 0 without features."""
        return self.graphs[0].num_features

    def __len__(self) -> int:
        return len(self.graphs)

    def part(self, split: str) -> GraphDataset:
        """The graphs of a split.

        Raises:
          ValueError: there is no such split.
        """
        if split not in self.splits:
            raise ValueError(
                f'{self.name}: no split {split!r}; there are {", ".join(self.splits) or "none"}.'
            )
        return GraphDataset(
            [self.graphs[i] for i in self.splits[split]], self.class_names, f'{self.name}, {split}'
        )

    def _check_alike(self):
        first = self.graphs[0]
        wanted = _fields(first)
        if wanted['y'] in ('a label', 'labels of the nodes') and not self.class_names:
            raise ValueError(
                f'{self.name}: {first.name} has {wanted["y"]}, but class_names is empty.'
            )
        for graph in self.graphs[1:]:
            for field, got in _fields(graph).items():
                if got != wanted[field]:
                    raise ValueError(
                        f'{self.name}: {field} of {graph.name} is {got}, but of '
                        f'{first.name} {wanted[field]}.'
                    )

    def _checked_split(self, split: str, ids) -> np.ndarray:
        ids = np.sort(np.asarray(ids, np.int64))
        wrong = ids[(ids < 0) | (ids >= len(self.graphs))]
        if wrong.size:
            raise ValueError(
                f'{self.name}: split {split!r} has graph {wrong[0]}, but graphs are '
                f'0 to {len(self.graphs) - 1}.'
            )
        twice = ids[1:][ids[1:] == ids[:-1]]
        if twice.size:
            raise ValueError(f'{self.name}: split {split!r} has graph {twice[0]} twice.')
        return ids


def _fields(graph: Graph) -> dict[str, str]:
    """What a graph carries, in words; sizes that differ between graphs left out."""
    words = {'x': 'none', 'edge_attr': 'none', 'pos': 'none', 'y': 'none'}
    if graph.x is not None:
        kind = 'dense' if isinstance(graph.x, np.ndarray) else 'sparse'
        words['x'] = f'{kind}, {graph.num_features} features'
    if graph.edge_attr is not None:
        words['edge_attr'] = f'{graph.edge_attr.dtype}, shape {graph.edge_attr.shape[1:]} an edge'
    if graph.pos is not None:
        words['pos'] = f'{graph.pos.shape[1]} dimensions'
    if graph.y is not None and graph.y.dtype == np.int32:
        words['y'] = 'labels of the nodes' if graph.y.ndim else 'a label'
    elif graph.y is not None:
        words['y'] = f'numbers of shape {graph.y.shape}'
    words['splits'] = ', '.join(graph.splits) or 'none'
    return words


class Statistics(NamedTuple):
    """The columns of Table 5 of Fey & Lenssen 2019.

    Attributes:
      graphs: their number.
      nodes: mean nodes a graph.
      edges: mean undirected edges a graph: pairs of different nodes with an edge between them,
        whichever way and however often; self loops do not count.
      features: F, 0 where the paper has a dash.
      classes: their number.
      label_rate: share of the nodes, or of the graphs, to train on; None without such a split.
      repeated: mean edges a graph that are there before, from the same node to the same other
        one; not a column of the table. Half of all edges where a file lists each twice.
    """

    graphs: int
    nodes: float
    edges: float
    features: int
    classes: int
    label_rate: float | None
    repeated: float


def statistics(dataset: GraphDataset, train: str = 'train') -> Statistics:
    """The data set's row of Table 5.

    Args:
      dataset: the data set.
      train: the split of the graphs, or where there is none of that name of the nodes, that the
        label rate is about.
    """
    nodes = sum(graph.num_nodes for graph in dataset.graphs)
    rate = None
    if train in dataset.splits:
        rate = len(dataset.splits[train]) / len(dataset)
    elif all(train in graph.splits for graph in dataset.graphs):
        rate = sum(len(graph.splits[train]) for graph in dataset.graphs) / nodes
    return Statistics(
        graphs=len(dataset),
        nodes=nodes / len(dataset),
        edges=sum(num_undirected_edges(graph) for graph in dataset.graphs) / len(dataset),
        features=dataset.num_features,
        classes=dataset.num_classes,
        label_rate=rate,
        repeated=sum(map(num_repeated_edges, dataset.graphs)) / len(dataset),
    )


def num_undirected_edges(graph: Graph) -> int:
    """Pairs of different nodes with an edge between them."""
    low = graph.edge_index.min(axis=0).astype(np.int64)
    high = graph.edge_index.max(axis=0).astype(np.int64)
    return len(np.unique((low * graph.num_nodes + high)[low != high]))


def num_repeated_edges(graph: Graph) -> int:
    """Edges, self loops too, that are there before with the same source and target."""
    source, target = graph.edge_index.astype(np.int64)
    return graph.num_edges - len(np.unique(source * graph.num_nodes + target))
