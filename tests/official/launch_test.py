import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys

import pytest

from official import launch
from official.core import config, gin_source
from tests.official.core import toy

_QUICK_SECONDS = 1.5  # Of a processor: an answer takes 0.2, importing TensorFlow 3 and more.


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(toy, 'failure', None)
    with toy.signals_heard():
        yield
    config.clear()


def _start(folder, *flags, **environment):
    """Starts the real launcher in `folder`."""
    path = os.pathsep.join([gin_source.ROOT, *filter(None, sys.path)])
    environment = {**os.environ, 'PYTHONPATH': path, 'CUDA_VISIBLE_DEVICES': '', **environment}
    environment.pop('TF_CPP_MIN_LOG_LEVEL', None)
    return subprocess.Popen(
        [sys.executable, '-m', 'official.launch', *flags],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _refused(folder, *flags):
    """The sentence with which the real launcher refuses `flags`, and its exit code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = _start(folder, *flags)
    out, err = process.communicate(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < _QUICK_SECONDS
    assert out == '' and err.startswith('error: ') and err.count('\n') == 1
    return err[len('error: ') : -1], process.returncode


@pytest.mark.parametrize(
    'flags, expected',
    [
        (['--gin_fil=x'], 'There is no flag --gin_fil; did you mean --gin_file?'),
        (
            ['--mode=trian', '--gin_file=x'],
            'flag --mode=trian: value should be one of <train|evaluate|'
            'train_and_evaluate|export|report>',
        ),
        ([], '--gin_file is needed, as in --gin_file=gin_configs/ladder/digits_100.gin.'),
        (['toy.gin'], "'toy.gin' is no flag; did you mean --gin_file=toy.gin?"),
        (
            ['--flagfile=missing'],
            "--flagfile names a file that cannot be read: No such file or directory: 'missing'.",
        ),
    ],
)
def test_mistyped_flags(tmp_path, flags, expected):
    assert _refused(tmp_path, *flags) == (expected, 2)


def test_bad_input_is_refused_before_tensorflow_is_imported(tmp_path):
    toy.write_gin(tmp_path, 'toys.Toy.bias = 2.0\n', 'bad.gin')
    assert _refused(tmp_path, '--gin_file=bad.gin') == (
        "bad.gin:8: 'toys' of 'toys.Toy' is not imported; did you mean toy?",
        1,
    )
    toy.write_gin(tmp_path)
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'thesis' / 'chapter.txt').write_text('precious')
    sentence, code = _refused(tmp_path, '--gin_file=toy.gin', '--model_dir=thesis')
    assert code == 1
    assert sentence.startswith('thesis is not empty and not a run folder')
    assert os.listdir(tmp_path / 'thesis') == ['chapter.txt']


def test_a_removed_folder(tmp_path):
    gone = tmp_path / 'gone'
    gone.mkdir()
    path = os.pathsep.join([gin_source.ROOT, *filter(None, sys.path)])
    process = subprocess.Popen(
        [
            'sh',
            '-c',
            f'cd {gone} && rmdir {gone} && exec {sys.executable} -P -m official.launch '
            '--gin_file=x.gin',
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
    )
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        1,
        'error: The current folder was removed; change to one that exists.\n',
    )


def test_flags_that_change_nothing(tmp_path):
    with pytest.raises(ValueError, match='^--tpu=x needs --strategy=tpu, not one_device.$'):
        _launch(tmp_path, tpu='x')
    with pytest.raises(ValueError, match='^--wait_minutes=5 needs --strategy=multi_worker, not on'):
        _launch(tmp_path, wait_minutes=5.0)


def test_seeds_beyond_the_largest(tmp_path):
    text = 'runner.Run.num_seeds = 2\n'
    with pytest.raises(ValueError, match='^--seed=4294967295 is too large for the 2 seeds of Run.'):
        _launch(tmp_path, text, seed=2**32 - 1)
    assert not (tmp_path / 'run').exists()
    assert _launch(tmp_path, text, seed=2**32 - 2)['seeds'] == [2**32 - 2, 2**32 - 1]


def test_a_data_folder_that_nobody_reads(tmp_path):
    """The built-in digits would be trained on, and the result look like success."""
    params = ('KerasExperiment.train_steps=2', 'KerasExperiment.baseline=None')
    with pytest.raises(
        ValueError, match=(f'^--data_dir={tmp_path} would be ignored: digits.load reads no folder.')
    ):
        launch.launch(
            'gin_configs/ladder/digits_100.gin',
            params,
            data_dir=str(tmp_path),
            model_dir=str(tmp_path / 'run'),
        )


def test_the_real_main(tmp_path):
    toy.write_gin(tmp_path, 'runner.Run.num_seeds = 2\n')
    process = _start(
        tmp_path,
        '--gin_file=toy.gin',
        '--gin_param=Toy.bias=0.5',
        '--gin_param=Model.units = 9',
        '--seed=3',
        '--strategy=mirrored',
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ''  # Nothing of what libraries print when they start.
    run_dir = tmp_path / 'runs' / tmp_path.name / 'toy'
    assert out.splitlines() == [
        f'train_and_evaluate: toy.gin in runs/{tmp_path.name}/toy',
        'seed 3 (1 of 2)',
        'seed 4 (2 of 2)',
        'test error 35.50 % (±7.07 %, median 35.50 %, 2 seeds)',
        'test loss 0.5 (±0, median 0.5, 2 seeds)',
        'baseline test error 23.50 % (±0.71 %, median 23.50 %, 2 seeds)',
        'paper test error 1.06 % (±0.37 %, Table 1)',
    ]
    used = (run_dir / 'seed_3' / 'operative_config.gin').read_text()
    assert 'toy.Model.units = 9' in used and 'toy.Toy.bias = 0.5' in used
    modules = json.loads((run_dir / 'seed_4' / 'modules.json').read_text())
    assert 'tensorflow' in modules
    for unwanted in ('tf_agents', 'tensorflow_gnn', 'tensorflow_addons', 'reverb', 'matplotlib'):
        assert unwanted not in modules


def _launch(tmp_path, text='', **arguments):
    path = toy.write_gin(tmp_path, text)
    return launch.launch(path, model_dir=str(tmp_path / 'run'), **arguments)


def test_launch_from_python(tmp_path):
    assert _launch(tmp_path, seed=2)['test_error_percent'] == 21.0
    assert _launch(tmp_path, mode='evaluate', seed=2)['test_error_percent'] == 21.0
    with pytest.raises(ValueError, match='belongs to another experiment: seed is 2 there and 3'):
        _launch(tmp_path, mode='evaluate', seed=3)


def test_a_run_that_was_begun_needs_only_its_folder(tmp_path):
    run_dir = str(tmp_path / 'run')
    _launch(tmp_path, 'toy.Toy.bias = 3.0\n', seed=2, gin_params=("Toy.notes='a'",))
    os.remove(tmp_path / 'toy.gin')
    assert launch.launch(mode='evaluate', model_dir=run_dir)['test_error_percent'] == 23.0
    launch.launch(mode='report', model_dir=run_dir, gin_params=("Toy.notes='b'",))
    with open(tmp_path / 'run' / 'run.json') as file:
        assert json.load(file)['others'] == {'tests.official.core.toy.Toy.notes': "'b'"}
    with pytest.raises(ValueError, match='seed is 2 there and 3 here'):
        launch.launch(mode='evaluate', model_dir=run_dir, seed=3)
    with pytest.raises(FileNotFoundError, match='none holds no run; train it first'):
        launch.launch(mode='evaluate', model_dir=str(tmp_path / 'none'))
    os.remove(tmp_path / 'run' / 'config.gin')
    with pytest.raises(FileNotFoundError, match='config.gin does not exist; name the run by --gin'):
        launch.launch(mode='evaluate', model_dir=run_dir)
    with pytest.raises(ValueError, match='--gin_file or --model_dir is needed'):
        launch.launch()


def test_nothing_to_evaluate(tmp_path):
    with pytest.raises(FileNotFoundError, match='run holds no run; train it first.'):
        _launch(tmp_path, mode='evaluate')


def test_a_file_for_a_data_folder(tmp_path):
    file = tmp_path / 'file'
    file.write_text('')
    with pytest.raises(NotADirectoryError, match=f'--data_dir={file} is a file, not a folder'):
        _launch(tmp_path, data_dir=str(file))


def test_a_mistyped_parameter_leaves_no_run_behind(tmp_path):
    with pytest.raises(ValueError, match="toy.Toy has no parameter 'bais'; did you mean bias?"):
        _launch(tmp_path, 'toy.Toy.bais = 1.0\n')
    assert not (tmp_path / 'run').exists()


def _main(monkeypatch, tmp_path):
    class Values:
        gin_file, gin_param, mode = toy.write_gin(tmp_path), [], 'train'
        model_dir, data_dir, seed = str(tmp_path / 'run'), None, 0
        strategy, tpu, wait_minutes = 'one_device', None, None

    monkeypatch.setattr(launch.flags, 'FLAGS', Values)
    launch.main([])


def test_bad_input_in_training_is_a_sentence_and_a_bug_is_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(toy, 'failure', ValueError('data/x.gz is cut short.'))
    with pytest.raises(SystemExit) as stopped:
        _main(monkeypatch, tmp_path)
    assert stopped.value.code == 1
    assert capsys.readouterr().err == 'error: data/x.gz is cut short.\n'
    monkeypatch.setattr(toy, 'failure', KeyError('a bug'))
    with pytest.raises(KeyError):
        _main(monkeypatch, tmp_path)
    monkeypatch.setattr(toy, 'failure', KeyboardInterrupt())
    with pytest.raises(SystemExit) as stopped:
        _main(monkeypatch, tmp_path)
    assert stopped.value.code == 130


def test_bad_input_in_a_constructor_comes_without_gins_notes(tmp_path, monkeypatch, capsys):
    def refuse(self, seed=0):
        raise ValueError('units = -1 must be positive.')

    monkeypatch.setattr(toy.Model, '__init__', refuse)
    with pytest.raises(SystemExit):
        _main(monkeypatch, tmp_path)
    assert capsys.readouterr().err == 'error: units = -1 must be positive.\n'


@pytest.mark.parametrize(
    'strategy, tpu, path, expected',
    [
        ('one_device', None, 'runs/x', {'NO_GCE_CHECK': 'true'}),
        ('one_device', None, 'gs://bucket/x', {}),
        ('tpu', 'local', 'runs/x', {}),
        ('tpu', 'pod', 'gs://bucket/x', {'TPU_LOAD_LIBRARY': '0'}),
    ],
)
def test_the_environment(monkeypatch, strategy, tpu, path, expected):
    names = ('TF_CPP_MIN_LOG_LEVEL', 'NO_GCE_CHECK', 'TPU_LOAD_LIBRARY')
    for name in names:
        monkeypatch.setenv(name, '')  # So that the value of now is back afterwards.
        monkeypatch.delenv(name)
    launch._prepare_environment(strategy, tpu, (path, ''))
    assert {name: os.environ[name] for name in names if name in os.environ} == {
        'TF_CPP_MIN_LOG_LEVEL': '3',
        **expected,
    }


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(('localhost', 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_workers_and_one_chief(tmp_path):
    toy.write_gin(tmp_path)
    cluster = {'worker': [f'localhost:{port}' for port in _free_ports(2)]}
    flags = ('--gin_file=toy.gin', '--model_dir=run', '--strategy=multi_worker')
    (tmp_path / 'run').mkdir()
    workers = [
        _start(
            tmp_path,
            *flags,
            TOY_WORKER=str(i),
            TF_CONFIG=json.dumps({'cluster': cluster, 'task': {'type': 'worker', 'index': i}}),
        )
        for i in range(2)
    ]
    try:
        outputs = [worker.communicate(timeout=120) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    # Both ran the experiment, the chief alone looked after the folder and said so.
    assert {'result.json.0', 'result.json.1', 'run.json', 'operative_config.gin'} <= set(
        os.listdir(tmp_path / 'run')
    )
    assert 'test error 1.00 %' in outputs[0][0] and 'test error' not in outputs[1][0]
    for i, (_, err) in enumerate(outputs):
        assert re.search(f'worker {i} is one of 2 workers; waiting for all of them', err)


def _start_first_worker(tmp_path, *flags):
    """Starts worker 0 of two; worker 1 never comes. Returns it and both addresses."""
    toy.write_gin(tmp_path)
    addresses = [f'localhost:{port}' for port in _free_ports(2)]
    task = {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': 0}}
    return _start(
        tmp_path,
        '--gin_file=toy.gin',
        '--model_dir=run',
        '--strategy=multi_worker',
        *flags,
        TF_CONFIG=json.dumps(task),
    ), addresses


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_wait_for_a_worker(tmp_path, number):
    worker, _ = _start_first_worker(tmp_path)
    try:
        while 'waiting for all of them' not in (line := worker.stderr.readline()):
            assert line, 'it ended by itself'
        worker.send_signal(number)
        _, err = worker.communicate(timeout=20)
    finally:
        worker.kill()
    if number == signal.SIGINT:
        assert worker.returncode == 130
        assert err == 'error: Interrupted; the same command goes on from the last checkpoint.\n'
    else:
        assert worker.returncode == -signal.SIGTERM


def test_a_worker_that_never_comes_is_named(tmp_path):
    worker, addresses = _start_first_worker(tmp_path, '--wait_minutes=0.01')
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert err.splitlines()[-1] == (
        f'error: worker 0: worker 1 ({addresses[1]}) did not come within 0.01 minutes; start every '
        'worker of TF_CONFIG, or allow more with --wait_minutes.'
    )
