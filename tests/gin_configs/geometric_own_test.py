"""The gin files that are no cell of a table: the karate club, and a folder of CSV files."""

import gin
import numpy as np
import pytest

from official.core import config, runner
from tests.gin_configs import geometric_files

# Its folder comes along with a file that is named here: gin_configs/geometric/csv_gcn.gin


@pytest.fixture(autouse=True)
def clean():
    yield
    config.clear()


def experiment(name, run_dir, data_dir=None, gin_params=()):
    config.load(config.read(geometric_files.path(name), gin_params))
    return gin.get_configurable(runner.Run)().experiment(
        run_dir=str(run_dir), seed=0, data_dir=data_dir, strategy=None
    )


def write(folder, with_split=True):
    """Three groups of ten nodes, complete within and features of their own: easy to tell apart."""
    lines = {
        'nodes': ['id,a,b,c'],
        'edges': ['source,target'],
        'labels': ['id,label'],
        'splits': ['id,split'],
    }
    noise = np.random.default_rng(0).normal(size=(30, 3))
    for node in range(30):
        group, place = divmod(node, 10)
        row = noise[node] + 3 * (np.arange(3) == group)
        lines['nodes'].append(f'n{node},' + ','.join(f'{value:.3f}' for value in row))
        lines['edges'] += [f'n{node},n{10 * group + other}' for other in range(place)]
        lines['labels'].append(f'n{node},{["red", "green", "blue"][group]}')
        part = 'train' if place < 2 else 'validation' if place < 5 else 'test'
        lines['splits'].append(f'n{node},{part}')
    if not with_split:
        del lines['splits']
    for name, text in lines.items():
        (folder / f'{name}.csv').write_text('\n'.join(text) + '\n')


CSV_PARAMS = ('output/GCNConv.channels=3', 'NodeTrials.num_trials=2')


def test_a_folder_of_csv_files(tmp_path):
    write(tmp_path)
    made = experiment('csv_gcn', tmp_path / 'run', str(tmp_path), CSV_PARAMS)
    made.train()
    result = made.evaluate()
    assert result['test_accuracy_percent']['mean'] == 100
    assert result['class_names'] == ['blue', 'green', 'red']
    assert np.sum(result['confusion_matrix']) == 2 * 15


def test_a_random_split_of_csv_files(tmp_path):
    write(tmp_path, with_split=False)
    with pytest.raises(ValueError, match='has no train nodes; .* @splits.random_split'):
        experiment('csv_gcn', tmp_path / 'run', str(tmp_path), CSV_PARAMS)
    made = experiment(
        'csv_gcn',
        tmp_path / 'run',
        str(tmp_path),
        (
            *CSV_PARAMS,
            'NodeData.split=@splits.random_split',
            'random_split.per_class=2',
            'random_split.num_validation=6',
        ),
    )
    made.train()
    assert made.evaluate()['test_accuracy_percent']['mean'] == 100
    assert {name: len(nodes) for name, nodes in made.data.nodes(0).items()} == {
        'train': 6,
        'validation': 6,
        'test': 18,
    }


def test_the_number_of_classes_is_checked(tmp_path):
    write(tmp_path)
    with pytest.raises(ValueError, match='gives 2 logits a node, but .* has 3 classes'):
        experiment('csv_gcn', tmp_path / 'run', str(tmp_path))


def test_the_karate_club(tmp_path):
    made = experiment('karate_gcn', tmp_path, gin_params=('NodeTrials.num_trials=10',))
    made.train()
    # A guess is right in 8 of the 20 at most; 100 runs give 90 % with a deviation of 3.
    assert made.evaluate()['test_accuracy_percent']['mean'] > 80
