"""Tests of research.geometric.datasets.tu_builder; those of the real files skip without them."""

import pathlib
import sys

import pytest

from research.geometric.datasets import graph_dataset
from research.geometric.datasets import powerful_gnns
from research.geometric.datasets import tfds_graphs
from research.geometric.datasets import tu
from research.geometric.datasets import tu_builder
from tests.research.geometric.datasets import alike

SHARED = pathlib.Path(__file__).resolve().parents[4].parent / 'shared' / 'data' / 'tu'


def _folder(name):
    path = SHARED / name
    if not path.is_dir():
        pytest.skip(f'{path}: not there')
    return path


@pytest.mark.parametrize('name, row', [
    ('MUTAG', (188, 17.93, 19.79, 7, 2)), ('PROTEINS', (1113, 39.06, 72.82, 3, 2))])
def test_tu_and_table_5(tmp_path, name, row):
    raw = _folder('tudataset_format')
    builder = tfds_graphs.prepare(
        tu_builder.TUDataset(config=name, data_dir=tmp_path), str(raw))
    dataset = tfds_graphs.from_tfds(builder)
    alike.assert_datasets_equal(dataset, tu.read(raw / f'{name}.zip'))
    found = graph_dataset.statistics(dataset)
    assert (found.graphs, round(found.nodes, 2), round(found.edges, 2), found.features,
            found.classes) == row


@pytest.mark.parametrize('name, file, row', [
    ('MUTAG', 'MUTAG', (188, 17.93, 19.79, 7, 2)),
    ('IMDB-BINARY', 'IMDBBINARY', (1000, 19.77, 96.53, 0, 2))])
def test_powerful_gnns_and_table_5(tmp_path, name, file, row):
    raw = _folder('powerful_gnns_format')
    builder = tfds_graphs.prepare(
        tu_builder.PowerfulGNNs(config=name, data_dir=tmp_path), str(raw))
    dataset = tfds_graphs.from_tfds(builder)
    alike.assert_datasets_equal(dataset, powerful_gnns.read(raw / f'{file}.zip'))
    found = graph_dataset.statistics(dataset)
    assert (found.graphs, round(found.nodes, 2), round(found.edges, 2), found.features,
            found.classes) == row
    assert len(dataset.splits) == 20


@pytest.mark.parametrize('name', ['PROTEINS', 'REDDIT-BINARY'])
def test_larger_sets_are_as_declared(tmp_path, name):
    """Without writing them; COLLAB is in powerful_gnns_test.py."""
    builder = tu_builder.PowerfulGNNs(config=name, data_dir=tmp_path)
    dataset = builder.read(str(_folder('powerful_gnns_format')))
    found = tfds_graphs.GraphConfig.of(dataset, name)
    for field in ('class_names', 'num_features', 'edge_types', 'node_labels', 'num_targets'):
        assert getattr(found, field) == getattr(builder.builder_config, field)


def _write(folder, name, labels):
    (folder / name).mkdir()
    for kind, text in {'A': '1, 2\n2, 1\n', 'graph_indicator': '1\n1\n2\n',
                       'graph_labels': labels}.items():
        (folder / name / f'{name}_{kind}.txt').write_text(text, 'utf8')


def test_class_names_by_place(tmp_path):
    _write(tmp_path, 'REDDIT-BINARY', '1\n-1\n')
    builder = tfds_graphs.prepare(
        tu_builder.TUDataset(config='REDDIT-BINARY', data_dir=tmp_path / 'tfds'), str(tmp_path))
    dataset = tfds_graphs.from_tfds(builder)
    assert dataset.class_names == ('0', '1')
    assert [int(graph.y) for graph in dataset.graphs] == [1, 0]


def test_any_other_folder(tmp_path):
    _write(tmp_path, 'ENZYMES', '3\n6\n')
    dataset = tu.read(tmp_path / 'ENZYMES')
    config = tfds_graphs.GraphConfig.of(dataset, 'ENZYMES')
    builder = tfds_graphs.prepare(
        tu_builder.TUDataset(config=config, data_dir=tmp_path / 'tfds'), str(tmp_path))
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), dataset)


def test_missing_and_other_data(tmp_path):
    (tmp_path / 'README.txt').write_text('about', 'utf8')
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/MUTAG.zip: no such file, nor a fol'):
        tfds_graphs.prepare(
            tu_builder.TUDataset(config='MUTAG', data_dir=tmp_path / 'tfds'), str(tmp_path))
    _write(tmp_path, 'COLLAB', '1\n2\n')
    with pytest.raises(ValueError, match='class_names is .*, but .* in tu_dataset/COLLAB/1.0.0.$'):
        tfds_graphs.prepare(
            tu_builder.TUDataset(config='COLLAB', data_dir=tmp_path / 'tfds'), str(tmp_path))


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
