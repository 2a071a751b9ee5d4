"""A suite of two real experiments on the digits, through the launcher."""

import fcntl
import json
import os
import signal
import sys
import threading
import time

import pytest

from official.core import gin_source, run_folder, suite
from tests.official.core import toy

# A file that this test names, so that its folder comes along: gin_configs/ladder/digits_100.gin
FILE = 'gin_configs/ladder/digits_100.gin'
TINY = (
    'KerasExperiment.train_steps=2',
    'KerasExperiment.save_every_steps=2',
    'KerasExperiment.steps_per_execution=2',
    'KerasExperiment.calibrate=False',
    'KerasExperiment.reporter=None',
    'KerasExperiment.monitor_split=None',
    'KerasExperiment.baseline=None',
    'LadderNetwork.encoder=(40, 10)',
    'LadderNetwork.denoising_costs=(100.0, 1.0, 0.1)',
)


@pytest.fixture(autouse=True)
def _signals_heard():
    with toy.signals_heard():
        yield


def make(run_dir, files=(FILE,), gin_params=TINY, **settings):
    return suite.Suite(str(run_dir), 3, None, None, files=files, gin_params=gin_params, **settings)


def in_place_of_python(tmp_path, monkeypatch, script):
    """Has the experiments of a suite run a shell script that knows its run folder as $folder."""
    program = tmp_path / 'program.sh'
    program.write_text(
        """#!/bin/sh
for word; do case $word in --model_dir=*) folder=${word#--model_dir=};; esac; done
"""
        + script
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(program))


def test_each_in_its_folder_and_what_is_done_is_not_done_again(tmp_path, capfd):
    made = make(tmp_path)
    made.train()
    folder = tmp_path / 'digits_100'
    assert run_folder.is_finished(str(folder))
    before = (folder / 'result.json').stat().st_mtime_ns
    again = make(tmp_path)
    again.train()
    assert (folder / 'result.json').stat().st_mtime_ns == before
    result = again.evaluate()
    with open(folder / 'result.json') as f:
        assert result['experiments']['digits_100'] == json.load(f)
    assert result['experiments']['digits_100']['seed'] == 3
    assert result['missing'] == []
    with open(again.report()) as f:
        assert '<a href="digits_100/report.html">digits_100</a>' in f.read()
    assert 'digits_100' in capfd.readouterr().out.splitlines()[-1]


def test_one_that_fails_is_named_and_listed_as_missing(tmp_path):
    made = make(tmp_path, gin_params=('KerasExperiment.train_steps=0',))
    with pytest.raises(RuntimeError, match='1 of 1 experiments of the suite failed.*: digits_100.'):
        made.train()
    assert made.evaluate()['missing'] == ['digits_100']
    with open(made.report()) as f:
        assert 'Not run: digits_100.' in f.read()


def test_two_at_once_run_beside_each_other(tmp_path, monkeypatch):
    """Each of these processes ends when the other has begun."""
    monkeypatch.delenv('TF_NUM_INTRAOP_THREADS', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 6)
    in_place_of_python(
        tmp_path,
        monkeypatch,
        """
echo $TF_NUM_INTRAOP_THREADS
: > $folder.begun
while [ $(ls $(dirname $folder) | grep -c begun) -lt 2 ]; do sleep 0.05; done
""",
    )
    files = (FILE, 'gin_configs/ladder/mnist_50_full.gin')
    make(tmp_path / 'runs', files, at_once=2).train()
    for name in ('digits_100', 'mnist_50_full'):
        assert (tmp_path / 'runs' / f'{name}.log').read_text() == '3\n'


def test_rows():
    found = {
        'one': {
            'test_accuracy_percent': {'mean': 81.25, 'std': 0.5, 'values': [81.0, 81.5]},
            'reference': {'cell': 'Table 1', 'test_accuracy_percent': 81.5, 'std': 0.7},
        },
        'two': {'step': 5, 'test_error_percent': 3.0},
    }
    assert suite.rows(found) == [
        ['one', 'Table 1', '2', '81.25 ±0.50', '81.50 ±0.70', '-0.25'],
        ['two', '', '1', '3.00', '', ''],
    ]


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match='names digits_100 twice'):
        make(tmp_path, (FILE, FILE))
    with pytest.raises(ValueError, match='at_once = 0 must be a whole number of at least 1'):
        make(tmp_path, at_once=0)
    with pytest.raises(FileNotFoundError, match='gin_configs/none.gin does not exist'):
        make(tmp_path, ('gin_configs/none.gin',))
    assert os.path.exists(os.path.join(gin_source.ROOT, FILE))


def test_a_pattern_names_all_that_match_but_parts():
    found = suite.matching(['gin_configs/ladder/table3/*.gin', FILE])
    assert found == [
        'gin_configs/ladder/table3/cifar10_4000_baseline.gin',
        'gin_configs/ladder/table3/cifar10_4000_gamma.gin',
        'gin_configs/ladder/table3/cifar10_all_baseline.gin',
        'gin_configs/ladder/table3/cifar10_all_conv_pool_cnn_c.gin',
        FILE,
    ]
    assert not any('/_' in path for path in suite.matching(['gin_configs/ladder/*.gin']))
    with pytest.raises(FileNotFoundError, match='gin_configs/ladder/_m.*does not exist'):
        suite.matching(['gin_configs/ladder/_m*.gin'])


THREE = (
    FILE,
    'gin_configs/ladder/mnist_50_full.gin',
    'gin_configs/ladder/table1/mnist_all_gamma.gin',
)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_end_is_passed_on_and_waited_for(tmp_path, monkeypatch, capfd, number):
    in_place_of_python(
        tmp_path,
        monkeypatch,
        f"""
trap 'sleep 0.3; : > $folder.saved; exit 7' {number.name[3:]}
: > $folder.begun
while :; do sleep 0.05; done
""",
    )
    runs = tmp_path / 'runs'

    def kill():
        while len(list(runs.glob('*.begun'))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    killer = threading.Thread(target=kill)
    killer.start()
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stopped:
        make(runs, THREE, at_once=2).train()
    killer.join()
    assert stopped.value.code == 128 + number
    assert signal.getsignal(number) is before
    # Both were waited for until they had saved, and the third was not begun.
    assert {path.name for path in runs.glob('*.saved')} == {
        'digits_100.saved',
        'mnist_50_full.saved',
    }
    assert not list(runs.glob('table1*'))
    assert f'Stopped by {number.name}; the same command goes on.' in capfd.readouterr().err


def test_a_folder_that_another_process_holds_is_waited_for(tmp_path, monkeypatch, capfd):
    in_place_of_python(tmp_path, monkeypatch, ': > $folder/begun\n')
    monkeypatch.setattr(suite, '_POLL_SECONDS', 0.05)
    folder = tmp_path / 'runs' / 'digits_100'
    folder.mkdir(parents=True)
    begun = []
    with open(folder / '.lock', 'w+') as lock:
        lock.write('4711')
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)

        def release():
            begun.append((folder / 'begun').exists())
            fcntl.flock(lock, fcntl.LOCK_UN)

        timer = threading.Timer(1.0, release)
        timer.start()
        make(tmp_path / 'runs').train()
        timer.join()
    assert begun == [False] and (folder / 'begun').exists()
    output = capfd.readouterr().out
    assert f'{folder} is in use by another process (4711); waiting for it.' in output
