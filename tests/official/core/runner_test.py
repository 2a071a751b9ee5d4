import json
import os
import random

import gin
import numpy as np
import pytest
import tensorflow as tf

from official.compat import tensorflow_private
from official.core import config, run_folder, runner
from tests.official.core import toy


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    toy.calls.clear()
    monkeypatch.setattr(toy, 'failure', None)
    yield
    config.clear()
    tensorflow_private.disable_op_determinism()


def _run(tmp_path, text='', params=()):
    config.load(config.read(toy.write_gin(tmp_path, text), params))
    return gin.get_configurable(runner.Run)()


def _methods(seed=None):
    return [method for method, _, s in toy.calls if seed in (None, s)]


def _json(*path):
    with open(os.path.join(*path)) as f:
        return json.load(f)


@pytest.mark.parametrize(
    'mode, methods',
    [
        ('train', ['train']),
        ('evaluate', ['evaluate']),
        ('export', ['export']),
        ('report', ['report']),
        ('train_and_evaluate', ['train', 'evaluate', 'export', 'report']),
    ],
)
def test_modes(tmp_path, mode, methods, capsys):
    run, run_dir = _run(tmp_path), str(tmp_path / 'run')
    if 'train' not in mode:
        run('train', run_dir, seed=3)
        toy.calls.clear()
    result = run(mode, run_dir, seed=3)
    assert toy.calls == [(method, run_dir, 3) for method in methods]
    if 'evaluate' in methods:
        assert result['test_error_percent'] == 31.0
        assert capsys.readouterr().out.splitlines()[-4:] == [
            'test error 31.00 %',
            'test loss 0.5',
            'baseline test error 23.00 %',
            'paper test error 1.06 % (±0.37 %, Table 1)',
        ]
    else:
        assert result is None


def test_configurations_are_saved(tmp_path):
    run, run_dir = _run(tmp_path, params=('Model.units=9',)), str(tmp_path / 'run')
    run('train', run_dir)
    asked = (tmp_path / 'run' / 'config.gin').read_text()
    assert asked == config.active().text() and '# --gin_param=Model.units=9' in asked
    used = (tmp_path / 'run' / 'operative_config.gin').read_text()
    # What was asked, a default, and what the launcher says is left to run.json.
    assert 'toy.Model.units = 9' in used and 'toy.Toy.bias = 1.0' in used
    assert 'toy.Model.seed' not in used
    saved = _json(run_dir, 'run.json')
    assert saved['seed'] == 0 and saved['finished'] is False
    assert saved['bindings'] == config.active().deciding()
    assert saved['others'] == {}


def test_the_configuration_is_saved_when_training_fails(tmp_path, monkeypatch):
    run = _run(tmp_path)
    monkeypatch.setattr(toy, 'failure', KeyError('a bug'))
    with pytest.raises(KeyError):
        run('train', str(tmp_path / 'run'))
    assert (tmp_path / 'run' / 'operative_config.gin').exists()


def test_seeds_are_averaged(tmp_path, capsys):
    run, run_dir = _run(tmp_path, 'runner.Run.num_seeds = 3\n'), str(tmp_path / 'run')
    result = run('train_and_evaluate', run_dir, seed=4)
    for seed in (4, 5, 6):
        assert _methods(seed) == ['train', 'evaluate', 'export', 'report']
        assert _json(run_dir, f'seed_{seed}', 'result.json')['seed'] == seed
        assert (tmp_path / 'run' / f'seed_{seed}' / 'config.gin').exists()
    # 41, 51, 61: deviations -10, 0, 10, squares 200, over 3 - 1 gives 100.
    assert result['test_error_percent'] == {
        'mean': 51.0,
        'std': 10.0,
        'median': 51.0,
        'values': [41.0, 51.0, 61.0],
    }
    assert _json(run_dir, 'result.json') == result
    assert 'test error 51.00 % (±10.00 %, median 51.00 %, 3 seeds)' in capsys.readouterr().out


def test_finished_seeds_are_skipped_and_more_can_be_added(tmp_path, monkeypatch):
    run, run_dir = _run(tmp_path, 'runner.Run.num_seeds = 3\n'), str(tmp_path / 'run')

    def fail_at_the_second(self):
        if self.seed == 1:
            raise KeyError('killed')
        toy.Toy._called(self, 'train')
        self._write('weights.json', [self.seed])

    with monkeypatch.context() as patch:
        patch.setattr(toy.Toy, 'train', fail_at_the_second)
        with pytest.raises(KeyError):
            run('train_and_evaluate', run_dir)
    assert _methods() == ['train', 'evaluate', 'export', 'report']
    toy.calls.clear()
    run('train_and_evaluate', run_dir)
    assert _methods(0) == [] and len(_methods(1)) == len(_methods(2)) == 4
    toy.calls.clear()
    result = _run(tmp_path, 'runner.Run.num_seeds = 4\n')('train_and_evaluate', run_dir)
    assert _methods(2) == [] and len(_methods(3)) == 4
    assert result['num_seeds'] == 4 and result['test_error_percent']['mean'] == 16.0


def test_several_modes_over_several_seeds(tmp_path):
    run, run_dir = _run(tmp_path, 'runner.Run.num_seeds = 2\n'), str(tmp_path / 'run')
    assert run('train', run_dir) is None
    assert not os.path.exists(os.path.join(run_dir, 'result.json'))
    assert run('evaluate', run_dir)['test_error_percent']['mean'] == 6.0
    more = _run(tmp_path, 'runner.Run.num_seeds = 3\n')
    with pytest.raises(FileNotFoundError, match='seed_2 holds no run; train it first'):
        more('evaluate', run_dir)


def test_a_seed_gives_python_numpy_and_tensorflow_the_same_numbers(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        toy.Toy,
        'train',
        lambda self: drawn.append(
            (random.random(), float(np.random.rand()), float(tf.random.uniform([])))
        ),
    )
    run = _run(tmp_path)
    for i, seed in enumerate((5, 5, 6)):
        run('train', str(tmp_path / f'run_{i}'), seed=seed)
    assert drawn[0] == drawn[1]
    assert not set(drawn[0]) & set(drawn[2])


@pytest.mark.parametrize('asked', [True, False])
def test_deterministic_operations(tmp_path, asked):
    run = _run(tmp_path, f'runner.Run.deterministic = {asked}\n')
    run('train', str(tmp_path / 'run'))
    assert tensorflow_private.is_op_determinism_enabled() is asked


def test_another_experiments_folder_is_left_alone(tmp_path):
    run_dir = str(tmp_path / 'run')
    _run(tmp_path)('train_and_evaluate', run_dir)
    before = {name: (tmp_path / 'run' / name).read_text() for name in os.listdir(run_dir)}
    del before['.lock']
    toy.calls.clear()
    with pytest.raises(
        ValueError, match='tests.official.core.toy.Toy.bias is not bound there and 2.0 here'
    ):
        _run(tmp_path, 'toy.Toy.bias = 2.0\n')('train', run_dir)
    assert toy.calls == []
    assert before == {name: (tmp_path / 'run' / name).read_text() for name in before}


@pytest.mark.parametrize(
    'argument, value',
    [
        *(('num_seeds', number) for number in (0, -1, 2.5, 'two', True)),
        ('deterministic', 'no'),
        ('deterministic', 1),
        ('experiment', 'toy.Toy'),
    ],
)
def test_arguments_are_checked(argument, value):
    with pytest.raises(ValueError, match=f'^Run.{argument} = {value!r} must be '):
        runner.Run(**{'experiment': toy.Toy, argument: value})


def test_without_gin(tmp_path):
    def experiment(**arguments):
        return toy.Toy(**arguments, model=toy.Model)

    result = runner.Run(experiment)('train_and_evaluate', str(tmp_path / 'run'), seed=1)
    assert result['test_error_percent'] == 11.0
    assert run_folder.is_finished(str(tmp_path / 'run'))


def test_the_report_of_the_seeds_together_is_made_again(tmp_path, monkeypatch):
    run, run_dir = _run(tmp_path, 'runner.Run.num_seeds = 2\n'), str(tmp_path / 'run')
    run('train_and_evaluate', run_dir)
    path = tmp_path / 'run' / 'report.html'
    before, result = path.read_text(), _json(run_dir, 'result.json')
    path.unlink()
    assert run('report', run_dir) is None
    assert path.read_text() == before and _json(run_dir, 'result.json') == result
    os.remove(os.path.join(run_dir, 'seed_1', 'result.json'))
    with pytest.raises(FileNotFoundError, match='seed_1/result.json does not exist'):
        run('report', run_dir)


def test_a_finished_run_goes_on_with_what_may_change(tmp_path):
    """Other notes: the run is done again and keeps its name; another model: it is refused."""
    run_dir = str(tmp_path / 'run')
    _run(tmp_path, "toy.Toy.notes = 'a'\n")('train_and_evaluate', run_dir, data_dir='data')
    name = run_folder.name_of(run_dir)
    assert run_folder.is_finished(run_dir)
    run = _run(tmp_path, "toy.Toy.notes = 'b'\n")
    run('evaluate', run_dir)
    assert run_folder.is_finished(run_dir) and run_folder.name_of(run_dir) == name
    saved = _json(run_dir, 'run.json')
    assert saved['others'] == {'tests.official.core.toy.Toy.notes': "'b'"}
    assert saved['data_dir'] == os.path.abspath('data')
    run = _run(tmp_path, "toy.Toy.notes = 'c'\n")
    run('train', run_dir)
    assert not run_folder.is_finished(run_dir) and run_folder.name_of(run_dir) == name
    with pytest.raises(ValueError, match='belongs to another experiment: .*Toy.bias is not bound'):
        _run(tmp_path, 'toy.Toy.bias = 3.0\n')('train', run_dir)
