"""Mutants are noticed or survive in a small project whose tests are known."""

from __future__ import annotations

import json
import subprocess

import pytest

from tools import mutants, mutate


@pytest.fixture
def project(tmp_path):
    """A paper of one function, one test that holds its sum, none that holds its scale."""
    root = tmp_path / 'project'
    for name, text in {
        'research/p/model.py': 'def f(x):\n    scale = 2\n    return x + 1, scale\n',
        'tests/research/p/model_test.py': (
            'from research.p import model\n\n\ndef test_f():\n    assert model.f(4)[0] == 5\n'
        ),
        'gin_configs/p/a.gin': 'f.x = 1\n',
        'tests/gin_configs/p_test.py': (
            'import pathlib\n\n\ndef test_x():\n'
            "    assert 'f.x = 1' in pathlib.Path('gin_configs/p/a.gin').read_text()\n"
        ),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for command in (['init', '-q'], ['add', '-A']):
        subprocess.run(['git', *command], cwd=root, check=True)
    return root


def test_noticed_and_surviving_mutants(project, tmp_path, capsys):
    wanted = [
        mutant
        for path in ('research/p/model.py', 'gin_configs/p/a.gin')
        for mutant in mutants.of_file(path, (project / path).read_text())
    ]
    results = tmp_path / 'results.jsonl'
    mutate.run_all(wanted, results, jobs=2, root=project)
    rows = mutate.read(results)
    assert {row['mutant']: row['outcome'] for row in rows} == {
        'research/p/model.py:2: 2 to 3': 'survived',
        'research/p/model.py:3: + to -': 'killed',
        'research/p/model.py:3: 1 to 2': 'killed',
        'gin_configs/p/a.gin:1: f.x omitted': 'killed',
        'gin_configs/p/a.gin:1: f.x: 1 to 2': 'killed',
    }
    by = {row['mutant']: row['by'] for row in rows}
    assert 'model_test.py::test_f' in by['research/p/model.py:3: + to -']
    lines = mutate.table(rows).splitlines()
    assert [line.split() for line in lines] == [
        ['paper', 'files', 'mutants', 'noticed'],
        ['p', 'code', '3', '2'],
        ['p', 'gin', '2', '2'],
        ['all', '5', '4', '(80.0', '%)'],
        ['survived:', 'research/p/model.py:2:', '2', 'to', '3'],
    ]
    # The sources are as they were, and finished mutants are not run again.
    assert 'scale = 2' in (project / 'research/p/model.py').read_text()
    capsys.readouterr()
    mutate.run_all(wanted, results, jobs=1, root=project)
    assert capsys.readouterr().out == '' and len(mutate.read(results)) == 5


def test_the_nearest_tests_run_first(project):
    (project / 'tests/research/p/deep').mkdir()
    for name, text in {
        'deep/user_test.py': 'from research.p import model\n',
        'other_test.py': 'from research.p import models\n',
    }.items():
        (project / 'tests/research/p' / name).write_text(text)
    tests = [f'tests/research/p/{name}_test.py' for name in ('model', 'deep/user')]
    gin = 'tests/gin_configs/p_test.py'
    ignored = [f'--ignore={test}' for test in (*tests, gin)]
    steps = mutate.steps_of(mutants.Mutant('research/p/model.py', 0, 1, '', ''), project)
    assert steps == [tests[:1], tests[1:], [gin], ['tests/research/p', *ignored]]
    steps = mutate.steps_of(mutants.Mutant('gin_configs/p/a.gin', 0, 1, '', ''), project)
    assert steps == [[gin], ['tests/research/p', ignored[-1]]]


def test_a_mutant_that_never_ends_is_stopped(project, tmp_path):
    place = tmp_path / 'place'
    place.mkdir()
    workplace = mutate.Workplace(place, root=project)
    endless = mutants.Mutant('research/p/model.py', 0, 0, 'while True:\n    pass\n', 'a loop')
    assert workplace.run(endless, seconds=3)['outcome'] == 'timed out'


def test_the_sample_is_even_and_follows_from_its_seed():
    sample = mutate.draw(30, seed=1)
    assert sample == mutate.draw(30, seed=1) != mutate.draw(30, seed=2)
    assert len(set(sample)) == 30
    papers = [mutant.path.split('/')[1] for mutant in sample]
    assert {paper: papers.count(paper) for paper in mutate.SOURCES} == dict.fromkeys(
        mutate.SOURCES, 6
    )
    assert sum(mutant.path.endswith('.gin') for mutant in sample) == 10


def test_faults_of_wiring_fit_the_sources():
    for mutant in mutate.hand_written():
        text = (mutate.ROOT / mutant.path).read_text()
        assert mutant.applied_to(text) != text


def test_a_fault_whose_place_is_gone_is_named(tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'a.py').write_text('x = 1\n')
    (tmp_path / mutate.HAND_WRITTEN).write_text(
        json.dumps([{'name': 'one', 'path': 'a.py', 'old': 'y = 1', 'new': ''}])
    )
    with pytest.raises(ValueError, match=r'one: a\.py has 0 places with .y = 1., not one'):
        mutate.hand_written(tmp_path)
