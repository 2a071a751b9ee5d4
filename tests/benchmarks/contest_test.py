"""What the benchmarks share: turns, workers, another Python, the machine; nothing is timed."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest

from benchmarks import contest

PEER = contest.Peer('PyTorch', 'torch', ('torch', 'numpy'))


def test_ratio_is_of_each_round_and_not_of_the_medians_alone():
    # A round in which the machine was slow for both has an ordinary ratio.
    found = contest.ratio([30.0, 80.0, 32.0], [20.0, 50.0, 16.0])
    assert found == {
        'median': pytest.approx(1.6),
        'lowest': pytest.approx(1.5),
        'highest': pytest.approx(2.0),
        'of_medians': pytest.approx(32 / 20),
    }
    with pytest.raises(ValueError):
        contest.ratio([1.0, 2.0], [1.0])


def test_contestants_take_turns():
    called = []

    def contestant(name):
        def measure():
            called.append(name)
            return float(len(called))

        return measure

    taken = contest.take_turns({name: contestant(name) for name in 'ab'}, rounds=3)
    assert ''.join(called) == 'ababab'
    assert taken == {'a': [1.0, 3.0, 5.0], 'b': [2.0, 4.0, 6.0]}


def test_a_worker_s_last_line_is_its_answer(tmp_path):
    script = tmp_path / 'worker.py'
    script.write_text('print("noise"); print(\'{"update_ms": [1.5]}\')')
    assert contest.run_worker([sys.executable, str(script)]) == {'update_ms': [1.5]}


def test_a_worker_that_fails_is_named_with_its_reason(tmp_path):
    script = tmp_path / 'worker.py'
    script.write_text('raise OverflowError("too large")')
    with pytest.raises(SystemExit, match=r'^worker.py ended with status 1: OverflowError: too'):
        contest.run_worker([sys.executable, str(script)])


@pytest.fixture
def python_without_torch(tmp_path):
    """A command that answers as a Python without torch and without a network does."""
    path = tmp_path / 'python'
    complaint = "ModuleNotFoundError: No module named 'torch'"
    path.write_text(f'#!/bin/sh\necho "{complaint}" >&2\nexit 1\n')
    path.chmod(0o755)
    return str(path)


def test_python_without_torch(monkeypatch, python_without_torch):
    with (
        pytest.raises(SystemExit, match=r"^--torch_python names .*python, .* named 'torch'$"),
        contest.peer_environment(python_without_torch, PEER),
    ):
        pass
    monkeypatch.setenv(contest.TORCH_VARIABLE, '/nowhere/python')
    with (
        pytest.raises(SystemExit, match=r'^ARBORETUM_TORCH_PYTHON names /nowhere.* No such file'),
        contest.peer_environment(None, PEER),
    ):
        pass


def test_torch_that_cannot_be_installed(monkeypatch, python_without_torch):
    monkeypatch.delenv(contest.TORCH_VARIABLE, raising=False)
    monkeypatch.setattr(sys, 'executable', python_without_torch)
    with (
        pytest.raises(SystemExit, match='installed only for this comparison, cannot be: Module'),
        contest.peer_environment(None, PEER),
    ):
        pass


def test_another_peer_has_its_own_argument_and_variable(monkeypatch, python_without_torch):
    peer = contest.Peer('the peer', 'peer', ('peer==1',), 'peer_python', 'THE_PEER')
    with (
        pytest.raises(SystemExit, match=r'^--peer_python names .*, which has no the peer: '),
        contest.peer_environment(python_without_torch, peer),
    ):
        pass
    monkeypatch.setenv('THE_PEER', '/nowhere/python')
    with (
        pytest.raises(SystemExit, match=r'^THE_PEER names /nowhere/python'),
        contest.peer_environment(None, peer),
    ):
        pass
    monkeypatch.setattr(sys, 'argv', ['x', '--peer_python=none', '--json=x.json'])
    arguments = contest.parse(argparse.ArgumentParser(), peer, rounds=3)
    assert vars(arguments) == {'peer_python': 'none', 'json': 'x.json', 'rounds': 3}
    monkeypatch.setattr(sys, 'argv', ['x'])
    arguments = contest.parse(argparse.ArgumentParser())
    assert vars(arguments) == {'torch_python': None, 'json': None, 'rounds': 7}


def test_torch_can_be_left_out():
    with contest.peer_environment('none', PEER) as python:
        assert python is None


def test_machine_is_described_without_names(monkeypatch):
    for name in (
        'ONEDNN_MAX_CPU_ISA',
        'TF_ENABLE_ONEDNN_OPTS',
        'OPENBLAS_CORETYPE',
        'NPY_DISABLE_CPU_FEATURES',
    ):
        monkeypatch.delenv(name, raising=False)
    facts = contest.machine()
    assert sorted(facts) == [
        'instruction_sets',
        'load_before',
        'processor',
        'processors',
        'python',
        'system',
    ]
    assert facts['processors'] >= 1
    monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', 'AVX2')
    assert contest.machine()['ONEDNN_MAX_CPU_ISA'] == 'AVX2'


@pytest.mark.parametrize(
    'line, expected',
    [
        (
            'flags\t\t: fpu sse2 fma avx f16c avx2 avx512f avx512_bf16 amx_tile aes',
            'fma avx f16c avx2 avx512f avx512_bf16 amx_tile',
        ),
        (
            'Features\t: fp asimd evtstrm asimdhp sve sve2 bf16 i8mm',
            'asimd asimdhp sve sve2 bf16 i8mm',
        ),
    ],
)
def test_instruction_sets(tmp_path, monkeypatch, line, expected):
    cpuinfo = tmp_path / 'cpuinfo'
    cpuinfo.write_text(f'processor\t: 0\nmodel name\t: Some 1 : 2\n{line}\n\nprocessor\t: 1\n')
    monkeypatch.setattr(contest, '_PROC_CPUINFO', str(cpuinfo))
    facts = contest.machine()
    assert facts['instruction_sets'] == expected and facts['processor'] == 'Some 1 : 2'


def test_a_busy_machine_is_named():
    facts = {'processors': 2}
    assert not contest.busy(facts | {'load_before': None})
    assert not contest.busy(facts | {'load_before': 0.3})
    warning = contest.busy(facts | {'load_before': 1.04})
    assert warning.startswith('The load was 1.0 on 2 processors')


def test_memory_is_that_of_this_process_and_its_peak_stays():
    before = contest.memory_mb()
    big = bytearray(os.urandom(1) * 200_000_000)  # Written, so that it is really there.
    with_it = contest.memory_mb()
    del big
    after = contest.memory_mb()
    assert with_it['now_mb'] - before['now_mb'] == pytest.approx(200, abs=20)
    assert after['peak_mb'] >= with_it['now_mb'] - 1 and with_it['now_mb'] - after['now_mb'] > 150
    # A process that this one starts begins anew.
    program = 'from benchmarks import contest; import json; print(json.dumps(contest.memory_mb()))'
    answer = subprocess.run(
        [sys.executable, '-c', program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {'PYTHONPATH': str(contest.ROOT)},
    )
    assert json.loads(answer.stdout)['peak_mb'] < 150


def test_a_peak_can_be_forgotten():
    if not os.access('/proc/self/clear_refs', os.W_OK):
        pytest.skip('this system does not let a process forget its peak')
    program = """
from benchmarks import contest
import json, os
big = bytearray(os.urandom(1) * 200_000_000)
del big
before = contest.memory_mb()
contest.forget_peak()
print(json.dumps([before, contest.memory_mb()]))
"""
    answer = subprocess.run(
        [sys.executable, '-c', program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {'PYTHONPATH': str(contest.ROOT)},
    )
    before, after = json.loads(answer.stdout)
    assert before['peak_mb'] - after['peak_mb'] > 150


def test_memory_is_unknown_elsewhere(monkeypatch):
    monkeypatch.setattr(contest, '_PROC_STATUS', '/nowhere/status')
    assert contest.memory_mb() == {}


def test_report_warns_of_a_busy_machine_and_writes_all_numbers(tmp_path, capsys):
    numbers = {'machine': {'processors': 2, 'load_before': 3.0}, 'settings': {'rounds': 5}, 'x': 1}
    contest.report(numbers, 'the table', str(tmp_path / 'all.json'))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ['processors: 2, load_before: 3.0', 'rounds: 5']
    assert lines[3] == 'the table' and lines[4].startswith('The load was 3.0')
    assert json.loads((tmp_path / 'all.json').read_text()) == numbers
