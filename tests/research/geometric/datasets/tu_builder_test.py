"""Tests of research.geometric.datasets.tu_builder, on small files and on real ones."""

import pytest

from research.geometric.datasets import graph_dataset, powerful_gnns, tfds_graphs, tu, tu_builder
from tests.research.geometric.datasets import alike, real


@pytest.mark.parametrize('name', ['MUTAG', 'IMDB-BINARY'])
def test_tu_and_table_5(tmp_path, name):
    folder = real.tu(tmp_path / 'raw', name, times=2)
    builder = tfds_graphs.prepare(
        tu_builder.TUDataset(config=name, data_dir=tmp_path), str(folder.parent)
    )
    dataset = tfds_graphs.from_tfds(builder)
    alike.assert_datasets_equal(dataset, tu.read(folder))
    assert real.row(graph_dataset.statistics(dataset)) == real.TABLE_5[name]


@pytest.mark.parametrize('name', ['MUTAG', 'IMDB-BINARY'])
def test_powerful_gnns_and_table_5(tmp_path, name):
    builder = tfds_graphs.prepare(
        tu_builder.PowerfulGNNs(config=name, data_dir=tmp_path), str(real.DATA)
    )
    dataset = tfds_graphs.from_tfds(builder)
    alike.assert_datasets_equal(dataset, powerful_gnns.read(real.powerful_gnns(name)))
    assert real.row(graph_dataset.statistics(dataset)) == real.TABLE_5[name]
    assert len(dataset.splits) == 20


def test_a_larger_set_is_as_declared(tmp_path):
    """Without writing it."""
    builder = tu_builder.PowerfulGNNs(config='PROTEINS', data_dir=tmp_path)
    found = tfds_graphs.GraphConfig.of(builder.read(str(real.DATA)), 'PROTEINS')
    for field in ('class_names', 'num_features', 'edge_types', 'node_labels', 'num_targets'):
        assert getattr(found, field) == getattr(builder.builder_config, field)


def _write(folder, name, labels):
    (folder / name).mkdir()
    for kind, text in {
        'A': '1, 2\n2, 1\n',
        'graph_indicator': '1\n1\n2\n',
        'graph_labels': labels,
    }.items():
        (folder / name / f'{name}_{kind}.txt').write_text(text, 'utf8')


def test_class_names_by_place(tmp_path):
    _write(tmp_path, 'REDDIT-BINARY', '1\n-1\n')
    builder = tfds_graphs.prepare(
        tu_builder.TUDataset(config='REDDIT-BINARY', data_dir=tmp_path / 'tfds'), str(tmp_path)
    )
    dataset = tfds_graphs.from_tfds(builder)
    assert dataset.class_names == ('0', '1')
    assert [int(graph.y) for graph in dataset.graphs] == [1, 0]


def test_any_other_folder(tmp_path):
    _write(tmp_path, 'ENZYMES', '3\n6\n')
    dataset = tu.read(tmp_path / 'ENZYMES')
    config = tfds_graphs.GraphConfig.of(dataset, 'ENZYMES')
    builder = tfds_graphs.prepare(
        tu_builder.TUDataset(config=config, data_dir=tmp_path / 'tfds'), str(tmp_path)
    )
    alike.assert_datasets_equal(tfds_graphs.from_tfds(builder), dataset)


def test_missing_and_other_data(tmp_path):
    (tmp_path / 'README.txt').write_text('about', 'utf8')
    with pytest.raises(FileNotFoundError, match=f'^{tmp_path}/MUTAG.zip: no such file, nor a fol'):
        tfds_graphs.prepare(
            tu_builder.TUDataset(config='MUTAG', data_dir=tmp_path / 'tfds'), str(tmp_path)
        )
    _write(tmp_path, 'COLLAB', '1\n2\n')
    with pytest.raises(ValueError, match='class_names is .*, but .* in tu_dataset/COLLAB/1.0.0.$'):
        tfds_graphs.prepare(
            tu_builder.TUDataset(config='COLLAB', data_dir=tmp_path / 'tfds'), str(tmp_path)
        )
