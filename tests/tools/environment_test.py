"""The environment: made once, whole or not at all, by one garden at a time."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import time
import zipfile

import pytest

from tests.tools.copies import (
    BASE,
    FOLDER,
    GIN,
    LOCK,
    OTHER_VERSION,
    VERSION,
    python_mirror,
)
from tools import environment, installer


def choice(repository, python=BASE):
    return environment.Choice(VERSION, python, repository.root / FOLDER, repository.root / LOCK)


def test_environment_is_made_once(repository):
    shutil.rmtree(repository.root / '.uv')
    status, _, errors = repository.run('train', GIN)
    assert status == 0
    first, second = errors.splitlines()
    assert first.startswith(f'garden: making the environment {repository.venv} (2 packages;')
    assert second.startswith('garden: the environment is ready after ')
    assert repository.run('train', GIN)[2] == ''
    assert repository.uv_calls == 1


def test_changed_lock_makes_it_anew(ready):
    (ready.wheels / 'thing-1.0-py3-none-any.whl').unlink()
    ready.wheel('thing', '2.0', {'thing/__init__.py': 'VERSION = 2\n'})
    ready.lock()
    output = ready.run('python', '-c', 'import thing; print(thing.VERSION)')[1]
    assert output == '2\n'
    assert ready.uv_calls == 1


def site_packages(folder):
    return folder / f'lib/python{VERSION}/site-packages'


HARMS = {
    'no stamp': lambda venv: (venv / environment.STAMP).unlink(),
    'stamp cut short': lambda venv: (venv / environment.STAMP).write_text(''),
    'no python': lambda venv: (venv / 'bin/python').unlink(),
    'package gone': lambda venv: shutil.rmtree(site_packages(venv) / 'thing'),
    'no packages': lambda venv: shutil.rmtree(site_packages(venv)),
    'empty': lambda venv: [shutil.rmtree(venv), venv.mkdir()],
    'missing': shutil.rmtree,
    'a file': lambda venv: [shutil.rmtree(venv), venv.write_text('a file')],
}


@pytest.mark.parametrize('harm', HARMS.values(), ids=HARMS)
def test_damage_is_seen(ready, harm):
    assert environment.is_current(choice(ready))
    harm(ready.venv)
    assert not environment.is_current(choice(ready))


def test_what_the_user_adds_is_no_damage(ready):
    (site_packages(ready.venv) / 'more').mkdir()
    assert environment.is_current(choice(ready))


@pytest.mark.parametrize('harm', ['package gone', 'a file'])
def test_damage_is_repaired(ready, harm):
    HARMS[harm](ready.venv)
    status, output, errors = ready.run('train', GIN)
    assert status == 0, errors
    assert output.startswith('launch|')
    assert ready.uv_calls == 1


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_interrupted_making_is_repaired(repository):
    process = repository.start('train', GIN, FAKE_UV='until:/never')
    wait_for(lambda: repository.uv_calls == 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert repository.run('train', GIN)[0] == 0
    assert repository.uv_calls == 2


@pytest.fixture
def interruptible():
    """Interrupts heard here and in what a test starts; a shell's background job ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def assert_gone(pid):
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# To garden alone, or as a terminal does to the installer too.
@pytest.mark.parametrize('send', [os.kill, os.killpg], ids=['garden', 'group'])
def test_interrupt_is_one_sentence_and_stops_the_installer(repository, interruptible, send):
    process = repository.start('train', GIN, FAKE_UV='until:/never')
    wait_for(lambda: repository.uv_calls == 1)
    send(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert errors.splitlines()[1:] == ['garden: interrupted.']
    assert_gone(int(repository.uv_log.read_text()))


@pytest.mark.parametrize('moment', ['__init__', 'poll'])
def test_interrupt_at_any_moment_stops_the_installer(monkeypatch, interruptible, tmp_path, moment):
    children = []
    real = getattr(subprocess.Popen, moment)

    def then_interrupt(child, *arguments, **named):
        result = real(child, *arguments, **named)
        if not children:
            children.append(child.pid)
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(subprocess.Popen, moment, then_interrupt)
    with open(tmp_path / 'log', 'w') as log, pytest.raises(KeyboardInterrupt):
        installer.Runner(log)(['sleep', '60'], dict(os.environ))
    assert_gone(*children)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_job_in_the_background_is_not_interrupted(repository, interruptible, tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = repository.start('train', GIN, FAKE_UV=f'until:{tmp_path}/go')
    wait_for(lambda: repository.uv_calls == 1)
    os.killpg(process.pid, signal.SIGINT)
    (tmp_path / 'go').touch()
    assert process.communicate(timeout=60)[0].startswith('launch|')
    assert repository.uv_calls == 1


def test_installer_that_outlives_its_garden_is_waited_for(repository, tmp_path):
    process = repository.start('train', GIN, FAKE_UV=f'until:{tmp_path}/go')
    wait_for(lambda: repository.uv_calls == 1)
    os.kill(process.pid, signal.SIGKILL)
    second = repository.start('train', GIN)
    assert second.stderr.readline().startswith('garden: waiting for another garden')
    assert repository.uv_calls == 1
    (tmp_path / 'go').touch()
    process.communicate(timeout=60)
    assert second.communicate(timeout=60)[0].startswith('launch|')
    assert repository.uv_calls == 2


def test_two_at_once_make_one(repository, tmp_path):
    first = repository.start('train', GIN, FAKE_UV=f'until:{tmp_path}/go')
    wait_for(lambda: repository.uv_calls == 1)
    second = repository.start('train', GIN)
    assert second.stderr.readline().startswith('garden: waiting for another garden')
    (tmp_path / 'go').touch()
    for process in (first, second):
        assert process.communicate(timeout=60)[0].startswith('launch|')
        assert process.returncode == 0
    assert repository.uv_calls == 1


def test_environment_is_not_remade_under_a_run(ready):
    code = 'import sys; print("up", flush=True); sys.stdin.read()'
    running = subprocess.Popen(
        [ready.root / 'garden', 'python', '-c', code],
        env=ready.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert running.stdout.readline() == b'up\n'
    with open(ready.root / LOCK, 'a') as lock:
        lock.write('# Changed.\n')
    second = ready.start('train', GIN)
    assert second.stderr.readline().startswith('garden: waiting for another garden')
    assert ready.uv_calls == 0
    running.communicate(b'')
    assert second.communicate(timeout=30)[0].startswith('launch|')
    assert ready.uv_calls == 1


def test_failure_is_one_sentence_and_the_next_run_repairs(repository):
    status, _, errors = repository.run('train', GIN, FAKE_UV='fail:error: Connection refused')
    assert status == 1
    making, sentence = errors.splitlines()
    assert making.startswith('garden: making')
    assert sentence == (
        f'garden: the packages of {LOCK} could not be installed (no server answers); ./garden'
        f' begins anew when it is run again, and {repository.venv}/install.log has the details.'
    )
    assert repository.run('train', GIN)[0] == 0


def test_wheel_with_another_hash_is_refused(repository):
    repository.wheel('thing', '1.0', {'thing/__init__.py': 'print("evil")'})
    status, _, errors = repository.run('train', GIN)
    assert status == 1
    assert 'could not be installed (' in errors and 'Traceback' not in errors
    assert not (repository.venv / environment.STAMP).exists()


def test_pins_of_a_package_on_another_are_not_looked_at(repository):
    # As tf-agents and typing-extensions: the lock overrides what one asks of the other.
    path = repository.wheels / 'thing-1.0-py3-none-any.whl'
    with zipfile.ZipFile(path) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    metadata = texts['thing-1.0.dist-info/METADATA'] + 'Requires-Dist: uv==0.5\n'
    path.unlink()
    repository.wheel('thing', '1.0', texts | {'thing-1.0.dist-info/METADATA': metadata})
    repository.lock()
    assert repository.run('train', GIN)[0] == 0


def test_folder_that_cannot_be_written(ready, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(os, 'open', refuse)
    environment.ensure(choice(ready), pytest.fail)  # Whole: used as it is.
    (ready.root / LOCK).write_text('other==1')
    with pytest.raises(environment.EnvironmentFailure, match='Permission denied; ARBORETUM_VENV'):
        environment.ensure(choice(ready), pytest.fail)


# Which Python, and so which environment.


@pytest.fixture
def chosen(repository, monkeypatch):
    """Returns version and lock that are chosen with `pythons` on PATH, name -> version."""
    monkeypatch.setattr(environment.sys, '_base_executable', '/nowhere/python')

    def choose(pythons, asked=''):
        environment.version_of.cache_clear()
        for name, version in pythons.items():
            repository.python(name, version)
        (repository.bin / f'python{VERSION}').unlink(missing_ok=f'python{VERSION}' not in pythons)
        for name in pythons:
            repository.python(name, pythons[name])
        monkeypatch.setenv('PATH', str(repository.bin))
        monkeypatch.setenv('ARBORETUM_PYTHON', asked)
        made = environment.choose(repository.root)
        python = made.python and os.path.basename(made.python)
        return made.version, python, made.folder.name, made.lock.name

    return choose


FIRST = ('.venv', 'requirements.lock')
SECOND = 'requirements_py312.lock'


@pytest.mark.parametrize('pythons, expected', [
    ({'python3': '3.11'}, ('3.11', 'python3', *FIRST)),
    ({'python3': '3.12'}, ('3.12', 'python3', '.venv-3.12', SECOND)),
    ({'python3': '3.13'}, ('3.13', 'python3', '.venv-3.13', SECOND)),
    # Several: the one of the model cards, then the newest.
    ({'python3': '3.13', 'python3.11': '3.11'}, ('3.11', 'python3.11', *FIRST)),
    ({'python3': '3.12', 'python3.13': '3.13'}, ('3.13', 'python3.13', '.venv-3.13', SECOND)),
    # A starter that starts nothing, or another version.
    ({'python3.11': '', 'python3.12': '3.12'}, ('3.12', 'python3.12', '.venv-3.12', SECOND)),
    # Too old, too new or none: uv gets one.
    ({'python3': '3.10', 'python': '3.14'}, ('3.11', None, *FIRST)),
    ({}, ('3.11', None, *FIRST)),
])  # fmt: skip
def test_python_of_the_machine_decides(chosen, pythons, expected):
    assert chosen(pythons) == expected


@pytest.mark.parametrize('asked, expected', [
    ('3.11', ('3.11', None, *FIRST)),
    ('3.12', ('3.12', 'python3.12', '.venv-3.12', SECOND)),
    ('3.13', ('3.13', 'python3', '.venv-3.13', SECOND)),
    ('python3.12', ('3.12', 'python3.12', '.venv-3.12', SECOND)),
])  # fmt: skip
def test_python_that_is_asked_for(chosen, asked, expected):
    assert chosen({'python3': '3.13', 'python3.12': '3.12'}, asked) == expected


def test_starter_in_front_of_a_python_on_path(repository, chosen, monkeypatch, tmp_path):
    repository.program('python3.12', 'echo "no such version" >&2; exit 127\n')
    behind = dataclasses.replace(repository, bin=tmp_path / 'behind')
    behind.bin.mkdir()
    behind.python('python3.12', '3.12')
    monkeypatch.setenv('PATH', f'{repository.bin}:{behind.bin}')
    assert environment._find('3.12') == str(behind.bin / 'python3.12')


def test_python_that_pyenv_has_and_does_not_start(repository, chosen, monkeypatch, tmp_path):
    assert chosen({'python3': '3.10'}) == ('3.11', None, *FIRST)
    installed = dataclasses.replace(repository, bin=tmp_path / 'versions/3.13.0/bin')
    installed.bin.mkdir(parents=True)
    installed.python('python', '3.13')
    monkeypatch.setenv('PATH', f'{repository.bin}:{tmp_path}/shims')
    assert environment._find('3.13') == str(installed.bin / 'python')
    assert environment._find('3.12') is None


@pytest.mark.parametrize('asked, says', [
    ('python3', 'python3, which is Python 3.10; 3.11, 3.12 or 3.13 is needed.'),
    ('3.14', '3.14, which cannot be run; 3.11, 3.12 or 3.13 is needed.'),
    ('/nowhere/python', '/nowhere/python, which cannot be run; 3.11, 3.12 or 3.13 is needed.'),
])  # fmt: skip
def test_python_that_does_not_fit(chosen, asked, says):
    with pytest.raises(environment.EnvironmentFailure) as failure:
        chosen({'python3': '3.10'}, asked)
    assert str(failure.value) == 'ARBORETUM_PYTHON names ' + says


def test_environments_stand_side_by_side(ready):
    # As if the tests' Python were another one.
    ready.python('other', OTHER_VERSION)
    other = ready.root / environment.STACKS[OTHER_VERSION][0]
    other.mkdir()
    (other / 'mine').touch()
    status, _, errors = ready.run('train', GIN)
    assert (status, errors) == (0, '')
    assert (other / 'mine').exists()


# A Python from uv.


def test_uv_gets_a_python_where_none_fits(repository, tmp_path, monkeypatch):
    (repository.bin / f'python{VERSION}').unlink()
    for name, value in repository.environ(**python_mirror(tmp_path, VERSION)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv('ARBORETUM_PYTHON', raising=False)
    told = []
    environment.make(choice(repository, None), told.append)
    assert told == [
        f'there is no Python 3.11, 3.12 or 3.13 on PATH; uv gets a Python {VERSION} ...'
    ]
    assert environment.is_current(choice(repository))
    # The user's PATH stays as it is.
    assert not (repository.root / '.local/bin').exists()


@pytest.mark.parametrize('asked, wanted', [
    ('', '3.11, 3.12 or 3.13'), (VERSION, VERSION),
])  # fmt: skip
def test_python_that_cannot_be_downloaded(repository, tmp_path, monkeypatch, asked, wanted):
    monkeypatch.setenv('ARBORETUM_PYTHON', asked)
    mirror = python_mirror(tmp_path, VERSION)
    shutil.rmtree(tmp_path / 'mirror')
    for name, value in repository.environ(**mirror).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(environment.EnvironmentFailure) as failure:
        environment.make(choice(repository, None), lambda sentence: None)
    sentence = str(failure.value)
    assert sentence.startswith(f'there is no Python {wanted} on PATH, and uv could not get one (')
    for word in (
        'No such file',
        'Debian, Ubuntu: apt-get install ',
        'Fedora: dnf ',
        'Arch: pacman ',
    ):
        assert word in sentence
    assert '\n' not in sentence
