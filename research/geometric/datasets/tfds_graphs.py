"""Data sets of graphs in TFDS: the builder that all others are made from, and the way back.

A builder in its own file says what its graphs have and where they are read:

    class Planetoid(tfds_graphs.GraphBuilder):
        \"\"\"...\"\"\"
        VERSION = tfds.core.Version('1.0.0')
        BUILDER_CONFIGS = [tfds_graphs.GraphConfig(name='cora', num_features=1433, ...)]
        MANUAL_DOWNLOAD_INSTRUCTIONS = 'Put the files ... there.'

        def read(self, raw_dir):
            return GraphDataset.of(planetoid.load(raw_dir, self.builder_config.name))

`prepare` writes it, `from_tfds` reads it back into the same graphs. Importing this module takes
seconds, as TFDS does; readers do without it.
"""

from __future__ import annotations

import abc
import dataclasses
import os

import numpy as np
import tensorflow_datasets as tfds

from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph

SPLIT = 'full'  # The one split of TFDS, all graphs in their order; `GraphDataset.splits` overlap.


@dataclasses.dataclass(eq=False)
class GraphConfig(tfds.core.BuilderConfig):
    """What the graphs of a data set have; the defaults are: nothing of it.

    Attributes:
      class_names: names of the classes, of graphs or nodes.
      node_labels: whether `y` are the labels of the nodes, [N], not that of the graph.
      num_targets: T where `y` are numbers of the graph, [T].
      num_features: F of `x`, [N, F].
      sparse: whether `x` is sparse.
      edge_shape: the shape of one edge's floats in `edge_attr`: () of a weight, (D,) of features.
      edge_types: whether `edge_attr` are integers, the types of the edges.
      num_dimensions: 2 or 3 where nodes have positions.
      node_splits: names of the splits of the nodes.
    """

    class_names: tuple[str, ...] = ()
    node_labels: bool = False
    num_targets: int | None = None
    num_features: int | None = None
    sparse: bool = False
    edge_shape: tuple[int, ...] | None = None
    edge_types: bool = False
    num_dimensions: int | None = None
    node_splits: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: GraphDataset, name: str, description: str | None = None) -> GraphConfig:
        """What the graphs of `dataset` have: for data that a user brings."""
        graph = dataset.graphs[0]
        y, edge_attr = graph.y, graph.edge_attr
        is_class = y is not None and np.issubdtype(y.dtype, np.integer)
        types = edge_attr is not None and np.issubdtype(edge_attr.dtype, np.integer)
        return cls(
            name=name,
            description=description,
            class_names=dataset.class_names,
            node_labels=is_class and y.ndim == 1,
            num_targets=None if y is None or is_class else y.size,
            num_features=None if graph.x is None else graph.num_features,
            sparse=graph.x is not None and not isinstance(graph.x, np.ndarray),
            edge_shape=None if edge_attr is None or types else edge_attr.shape[1:],
            edge_types=types,
            num_dimensions=None if graph.pos is None else graph.pos.shape[1],
            node_splits=tuple(graph.splits),
        )


class GraphBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS data set of graphs, one example a graph; a subclass writes `read`.

    An example holds: `name`; `num_nodes`; `edge_index` int32 [2, E]; and, as `GraphConfig` says,
    `x` float32 [N, F], or, sparse, `x` of `indices` int64 [n, 2], `values` float32 [n] and
    `shape`, as a `tf.SparseTensor` takes them; `edge_attr`; `pos`; `y`; `node_splits`, a dict of
    int64 [n]; and `splits`, the names of the splits that the graph is in.
    """

    RELEASE_NOTES = {'1.0.0': 'First.'}
    HOMEPAGE = ''

    @abc.abstractmethod
    def read(self, raw_dir: str | None) -> GraphDataset:
        """Reads the raw files.

        Args:
          raw_dir: the folder given to `prepare`; None where the class has no
            MANUAL_DOWNLOAD_INSTRUCTIONS, as it needs no files.
        """

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            homepage=self.HOMEPAGE,
            features=_features(self.builder_config),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        raw_dir = os.fspath(dl_manager.manual_dir) if self.MANUAL_DOWNLOAD_INSTRUCTIONS else None
        dataset = self.read(raw_dir)
        self._check(dataset)
        return {SPLIT: self._generate_examples(dataset)}

    def _check(self, dataset: GraphDataset):
        config = self.builder_config
        found = GraphConfig.of(dataset, config.name)
        for field in GraphConfig.__annotations__:  # its own, not those it inherits
            got, wanted = getattr(found, field), getattr(config, field)
            if got != wanted:
                raise ValueError(
                    f'{dataset.name}: {field} is {got}, but {wanted} in {self.info.full_name}.'
                )

    def _generate_examples(self, dataset: GraphDataset):
        splits = {name: set(ids.tolist()) for name, ids in dataset.splits.items()}
        for key, graph in enumerate(dataset.graphs):
            yield key, _example(graph, [name for name, ids in splits.items() if key in ids])


def prepare(builder: GraphBuilder, raw_dir: str | None = None) -> GraphBuilder:
    """Writes the data set into the builder's `data_dir` if it is not there yet; returns it.

    Args:
      builder: for example `planetoid_builder.Planetoid(config='cora', data_dir=...)`.
      raw_dir: folder of the raw files. Nothing is downloaded.

    Raises:
      FileNotFoundError: no such folder, or an empty one.
      ValueError: raw files are needed and no folder is given, or what the reader finds wrong.
    """
    if builder.data_path.exists():
        return builder
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        if raw_dir is None:
            raise ValueError(
                f'{builder.info.full_name}: no folder of raw files is given: '
                f'{" ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}'
            )
        if not os.path.isdir(raw_dir) or not os.listdir(raw_dir):
            raise FileNotFoundError(
                f'{raw_dir}: no such folder, or nothing in it, for the raw '
                f'files of {builder.info.full_name}.'
            )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=raw_dir, try_download_gcs=False)
    )
    return builder


def from_tfds(builder: tfds.core.DatasetBuilder) -> GraphDataset:
    """The graphs of a prepared data set, those that its builder wrote.

    Args:
      builder: a builder of this project, or `tfds.builder_from_directory(...)`.

    Raises:
      FileNotFoundError: the data are not prepared.
    """
    if not builder.data_path.exists():
        raise FileNotFoundError(
            f'{builder.data_path}: {builder.info.full_name} is not prepared there.'
        )
    label = builder.info.features['y'] if 'y' in builder.info.features else None
    label = getattr(label, 'feature', label)  # of a sequence, that of its elements
    names = tuple(label.names) if isinstance(label, tfds.features.ClassLabel) else ()
    # One shard after the other, as the graphs' order is their number.
    examples = builder.as_dataset(
        split=SPLIT, read_config=tfds.ReadConfig(interleave_cycle_length=1)
    )
    graphs, splits = [], {}
    for key, example in enumerate(tfds.as_numpy(examples)):
        graphs.append(_graph(example, names))
        for split in example['splits']:
            splits.setdefault(split.decode(), []).append(key)
    return GraphDataset(graphs, names, os.fspath(builder.data_path), splits)


def _features(config: GraphConfig) -> tfds.features.FeaturesDict:
    tensor = lambda shape, dtype: tfds.features.Tensor(shape=shape, dtype=dtype)
    features = {
        'name': tfds.features.Text(),
        'num_nodes': tensor((), np.int64),
        'edge_index': tensor((2, None), np.int32),
        'splits': tfds.features.Sequence(tfds.features.Text()),
    }
    if config.sparse:
        features['x'] = {
            'indices': tensor((None, 2), np.int64),
            'values': tensor((None,), np.float32),
            'shape': tensor((2,), np.int64),
        }
    elif config.num_features is not None:
        features['x'] = tensor((None, config.num_features), np.float32)
    if config.edge_types:
        features['edge_attr'] = tensor((None,), np.int32)
    elif config.edge_shape is not None:
        features['edge_attr'] = tensor((None, *config.edge_shape), np.float32)
    if config.num_dimensions is not None:
        features['pos'] = tensor((None, config.num_dimensions), np.float32)
    if config.num_targets is not None:
        features['y'] = tensor((config.num_targets,), np.float32)
    elif config.class_names:
        label = tfds.features.ClassLabel(names=config.class_names)
        features['y'] = tfds.features.Sequence(label) if config.node_labels else label
    if config.node_splits:
        features['node_splits'] = {name: tensor((None,), np.int64) for name in config.node_splits}
    return tfds.features.FeaturesDict(features)


def _example(graph: Graph, splits: list[str]) -> dict:
    example = {
        'name': graph.name,
        'num_nodes': graph.num_nodes,
        'edge_index': graph.edge_index,
        'splits': splits,
    }
    for field in ('edge_attr', 'pos', 'y'):
        value = getattr(graph, field)
        if value is not None:
            example[field] = value
    if isinstance(graph.x, np.ndarray):
        example['x'] = graph.x
    elif graph.x is not None:
        x = graph.x.sorted_indices().tocoo()
        example['x'] = {
            'indices': np.stack([x.row, x.col], axis=1).astype(np.int64),
            'values': x.data,
            'shape': np.asarray(x.shape, np.int64),
        }
    if graph.splits:
        example['node_splits'] = dict(graph.splits)
    return example


def _graph(example: dict, class_names: tuple[str, ...]) -> Graph:
    x = example.get('x')
    if isinstance(x, dict):
        import scipy.sparse

        x = scipy.sparse.csr_matrix((x['values'], x['indices'].T), x['shape'])
    return Graph(
        example['edge_index'],
        x=x,
        edge_attr=example.get('edge_attr'),
        y=example.get('y'),
        pos=example.get('pos'),
        num_nodes=int(example['num_nodes']),
        splits=example.get('node_splits', {}),
        class_names=class_names,
        name=example['name'].decode(),
    )
