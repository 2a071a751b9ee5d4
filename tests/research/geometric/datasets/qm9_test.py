"""Tests of research.geometric.datasets.qm9, on examples as TFDS has them; nothing is downloaded."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from research.geometric.datasets import qm9
from tests.research.geometric.datasets import alike

# Water: atoms in angstrom.
WATER = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], np.float32)


def _example(num_atoms=3, charges=(8, 1, 1), positions=WATER, **targets):
    example = {
        'index': 3,
        'num_atoms': num_atoms,
        'charges': np.zeros(29, np.int64),
        'positions': np.zeros((29, 3), np.float32),
        **{name: np.float32(place) for place, name in enumerate(qm9.TARGETS)},
        **targets,
    }
    example['charges'][: len(charges)] = charges
    example['positions'][: len(positions)] = positions
    return example


def test_water():
    graph = qm9.molecule(_example())
    np.testing.assert_array_equal(graph.x, [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(graph.pos, WATER)
    assert sorted(map(tuple, graph.edge_index.T.tolist())) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
    ]
    lengths = {
        frozenset(edge): length
        for edge, length in zip(graph.edge_index.T.tolist(), graph.edge_attr[:, 0], strict=True)
    }
    lengths = [lengths[frozenset(edge)] for edge in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(
        lengths, [0.96, np.hypot(0.24, 0.93), np.hypot(1.2, 0.93)], rtol=1e-6
    )
    np.testing.assert_array_equal(graph.y, np.arange(12))
    assert graph.name == 'QM9, molecule 3'


def test_targets_and_cutoff():
    graph = qm9.molecule(_example(gap=0.5), ['gap', 'mu'], cutoff=1.2)
    np.testing.assert_array_equal(graph.y, [0.5, 0])
    assert sorted(map(tuple, graph.edge_index.T.tolist())) == [(0, 1), (0, 2), (1, 0), (2, 0)]
    alone = qm9.molecule(_example(1))
    assert alone.num_edges == 0 and alone.edge_attr.shape == (0, 1)


@pytest.mark.parametrize(
    'example, message',
    [
        (_example(charges=(8, 1, 3)), 'atom 2 has charge 3, none of 1, 6, 7, 8, 9.'),
        (_example(4), 'atom 3 has charge 0, none of 1, 6, 7, 8, 9.'),
        (_example(0), 'num_atoms is 0, not 1 to 29.'),
        (_example(30), 'num_atoms is 30, not 1 to 29.'),
        (_example(gap=np.nan), 'gap is nan, not a finite number.'),
        (_example(positions=WATER + np.inf), 'pos, row 0, column 0 is inf, not a finite number.'),
    ],
)
def test_bad_molecules(example, message):
    with pytest.raises(ValueError) as error:
        qm9.molecule(example)
    assert str(error.value) == f'QM9, molecule 3: {message}'


def test_missing_target():
    with pytest.raises(ValueError, match="^QM9, molecule 3: no target 'charm' there.$"):
        qm9.molecule(_example(), ['charm'])


class Qm9(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Molecules as TFDS stores them, of this test's own: its class for QM9 needs pandas."""

    VERSION = tfds.core.Version(qm9.VERSION)
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name='dimenet')]

    def _info(self):
        tensor = lambda shape, dtype: tfds.features.Tensor(shape=shape, dtype=dtype)
        return tfds.core.DatasetInfo(
            builder=self,
            disable_shuffling=True,
            features=tfds.features.FeaturesDict(
                {
                    'index': tensor((), np.int64),
                    'num_atoms': tensor((), np.int64),
                    'charges': tensor((29,), np.int64),
                    'positions': tensor((29, 3), np.float32),
                    'SMILES': tensor((), np.str_),
                    'frequencies': tensor((None,), np.float32),
                    **{name: tensor((), np.float32) for name in qm9.TARGETS},
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {'train': self._generate_examples(0, 4), 'test': self._generate_examples(7, 2)}

    def _generate_examples(self, start, count):
        for place in range(start, start + count):
            yield (
                place,
                {
                    'SMILES': 'O',
                    'frequencies': np.zeros(3, np.float32),
                    **_example(mu=np.float32(place)),
                },
            )


def test_load_what_tfds_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv('NO_GCE_CHECK', 'true')  # TFDS would ask a metadata server, and wait.
    Qm9(config='dimenet', data_dir=tmp_path).download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    dataset = qm9.load(str(tmp_path), targets=['mu'])
    assert [graph.y.tolist() for graph in dataset.graphs] == [[0], [1], [2], [3], [7], [8]]
    assert {name: ids.tolist() for name, ids in dataset.splits.items()} == {
        'train': [0, 1, 2, 3],
        'test': [4, 5],
    }
    assert not dataset.class_names
    alike.assert_graphs_equal(dataset.graphs[1], qm9.molecule(_example(mu=1), ['mu']))
    # QM9 is ordered by size; the first two of a split would be its smallest.
    limited = qm9.load(str(tmp_path), limit=2)
    assert [graph.y.tolist()[:2] for graph in limited.graphs] == [[0, 1], [2, 1], [7, 1], [8, 1]]
    with pytest.raises(ValueError, match="^QM9 has no target 'charm'; known are mu, alpha"):
        qm9.load(str(tmp_path), targets=['charm'])


def test_nothing_is_downloaded_unasked(tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError,
        match=f'no prepared data set.* official.data.prepare qm9/dimenet --data_dir={tmp_path}',
    ):
        qm9.load(str(tmp_path))
    monkeypatch.setattr(qm9.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='TFDS needs pandas to prepare it: ./garden python -m uv'):
        qm9.load(str(tmp_path), download=True)
    with pytest.raises(ValueError, match="^QM9 has no configuration 'other'; known are dimenet"):
        qm9.load(str(tmp_path), config='other')
