"""The environment: made once, whole or not at all, by one garden at a time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.tools.copies import GIN
from tools import environment


def test_environment_is_made_once(repository):
    status, _, errors = repository.run('train', GIN)
    assert status == 0
    first, second = errors.splitlines()
    assert first.startswith(f'garden: making the environment {repository.venv} (3 packages;')
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
    return folder / 'lib/python3.11/site-packages'


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
    lock = ready.root / 'requirements.lock'
    assert environment.is_current(ready.venv, lock)
    harm(ready.venv)
    assert not environment.is_current(ready.venv, lock)


def test_what_the_user_adds_is_no_damage(ready):
    (site_packages(ready.venv) / 'more').mkdir()
    assert environment.is_current(ready.venv, ready.root / 'requirements.lock')


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
        environment._run(['sleep', '60'], dict(os.environ), log, ())
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
    with open(ready.root / 'requirements.lock', 'a') as lock:
        lock.write('# Changed.\n')
    second = ready.start('train', GIN)
    assert second.stderr.readline().startswith('garden: waiting for another garden')
    assert ready.uv_calls == 0
    running.communicate(b'')
    assert second.communicate(timeout=30)[0].startswith('launch|')
    assert ready.uv_calls == 1


def test_no_network_is_one_sentence_and_the_next_run_repairs(repository):
    closed = {'PIP_NO_INDEX': '0', 'PIP_INDEX_URL': 'http://127.0.0.1:9/', 'PIP_FIND_LINKS': ''}
    status, _, errors = repository.run('train', GIN, PIP_RETRIES='0', **closed)
    assert status == 1
    making, sentence = errors.splitlines()
    assert making.startswith('garden: making')
    assert sentence.startswith(
        'garden: the packages of requirements.lock could not be installed (no package index'
        ' answers); ./garden begins anew'
    )
    assert sentence.endswith(f'{repository.venv}/install.log has the details.')
    assert repository.run('train', GIN)[0] == 0


def test_wheel_with_another_hash_is_refused(repository):
    repository.wheel('uv', '1.0', {'uv/__main__.py': 'print("evil")'})
    status, _, errors = repository.run('train', GIN)
    assert status == 1
    assert 'could not be installed' in errors and 'Traceback' not in errors
    assert not (repository.venv / 'made_from_lock').exists()


def test_pip_installs_where_uv_fails(repository):
    status, output, errors = repository.run('train', GIN, FAKE_UV='fail')
    assert status == 0, errors
    assert output.startswith('launch|')
    assert repository.uv_calls == 1
    assert list(repository.venv.rglob('thing/__pycache__/*.pyc'))


def test_folder_that_cannot_be_written(ready, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(os, 'open', refuse)
    lock = ready.root / 'requirements.lock'
    environment.ensure(ready.venv, lock, pytest.fail)  # Whole: used as it is.
    lock.write_text('other==1')
    with pytest.raises(environment.EnvironmentFailure, match='Permission denied; ARBORETUM_VENV'):
        environment.ensure(ready.venv, lock, pytest.fail)


# Which pip, and what uv is told.


@pytest.mark.parametrize('has_pip, has_ensurepip, commands', [
    (True, False, 'venv --without-pip F; B pip --python F/bin/python'),
    (False, True, 'venv F; F/bin/python pip'),
    (True, True, 'venv --without-pip F; B pip --python F/bin/python'),
])  # fmt: skip
def test_pip_of_the_python_or_ensurepip(monkeypatch, tmp_path, has_pip, has_ensurepip, commands):
    # Debian leaves out ensurepip; other Pythons may come without pip.
    calls = []
    monkeypatch.setattr(environment, '_has_pip', lambda: has_pip)
    monkeypatch.setattr(environment.importlib.util, 'find_spec', lambda name: has_ensurepip)
    pip = environment._make_empty(tmp_path, {}, lambda command, env: not calls.append(command))
    words = ' '.join(map(str, ['venv', *calls[0][4:], ';', *pip]))
    words = words.replace(sys.executable, 'B').replace(str(tmp_path), 'F')
    assert words.replace(' -I -m', '').replace(' ;', ';') == commands


def test_neither_pip_nor_ensurepip(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, '_has_pip', lambda: False)
    monkeypatch.setattr(environment.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(environment.EnvironmentFailure, match='neither pip nor ensurepip'):
        environment._make_empty(tmp_path, {}, lambda command, env: True)


@pytest.mark.parametrize('version, does', [
    ('23.0.1', True), ('22.3', True), ('22.2.2', False), ('9.0.1', False),
])  # fmt: skip
def test_pip_has_to_know_the_option_python(monkeypatch, version, does):
    monkeypatch.setattr(environment.importlib.metadata, 'version', lambda name: version)
    assert environment._has_pip() is does


LISTED = """\
:env:.extra-index-url='https://c/simple'
global.extra-index-url='https://a/simple https://b/simple'
global.index-url='https://pypi/simple'
global.no-index='false'
install.trusted-host='pypi'
global.find-links='/wheels\\n/more'
"""


def test_uv_gets_the_indexes_of_pip(tmp_path):
    script = tmp_path / 'pip'
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTED}END\n")
    script.chmod(0o755)
    settings = environment._pip_settings([script], dict(os.environ))
    given, flags = environment._uv_settings(settings, {})
    assert flags == []
    assert given == {
        'UV_DEFAULT_INDEX': 'https://pypi/simple',
        'UV_INDEX': 'https://c/simple',
        'UV_FIND_LINKS': '/wheels,/more',
        'UV_INSECURE_HOST': 'pypi',
        'UV_INDEX_STRATEGY': 'unsafe-best-match',
        'UV_PYTHON_DOWNLOADS': 'never',
    }


def test_settings_of_uv_go_before_those_of_pip():
    settings = {'index-url': ['https://pip'], 'no-index': ['1'], 'cert': ['/pip.pem']}
    mine = {'UV_INDEX_URL': 'https://uv', 'SSL_CERT_FILE': '/uv.pem'}
    given, flags = environment._uv_settings(settings, mine)
    assert not {'UV_DEFAULT_INDEX', 'SSL_CERT_FILE'} & set(given)
    assert flags == ['--no-index']


@pytest.mark.parametrize('log, why', [
    ('$ pip\nsome error\n$ uv\n cause: Connection refused (os error 111)\n', 'no package index'),
    ('$ uv\nConnection refused\n$ pip\n[Errno 28] No space left on device\n', 'the disk is full'),
    ('$ pip\nCollecting a\nERROR: a has the wrong hash\nbye\n', 'ERROR: a has the wrong hash'),
    ('$ pip\n', r'\$ pip'),
])  # fmt: skip
def test_failure_says_why(tmp_path, log, why):
    (tmp_path / environment.LOG).write_text(log)
    sentence = environment._failure(tmp_path, tmp_path / 'requirements.lock')
    assert re.match('the packages of requirements.lock could not be installed \\(' + why, sentence)
    assert '\n' not in sentence


def test_block_is_a_package_with_its_hashes(tmp_path):
    lock = tmp_path / 'lock'
    lock.write_text('uvicorn==3 \\\n    --hash=b\nuv==1 \\\n    --hash=a\n    # via x\nz==2\n')
    assert environment._block(lock, 'uv') == 'uv==1 \\\n    --hash=a\n    # via x\n'
    with pytest.raises(environment.EnvironmentFailure, match='pins no setuptools'):
        environment._block(lock, 'setuptools')
