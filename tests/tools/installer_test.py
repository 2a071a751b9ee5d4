"""uv: which one is taken, where it comes from, and what it is told of the user's settings."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import threading

import pytest
import uv

from tests.tools.copies import BASE, ROOT
from tools import installer

PROGRAM = '#!/bin/sh\necho "uv 1.0 (stand-in)"\n'


@pytest.fixture
def run(tmp_path):
    with open(tmp_path / 'log', 'w') as log:
        yield installer.Runner(log)


@pytest.fixture
def find(repository, monkeypatch, run):
    """Returns a function that finds a uv with the variables of a copy and `more`."""
    repository.wheel('uv', '1.0', {'uv-1.0.data/scripts/uv': PROGRAM})
    repository.lock()
    shutil.rmtree(repository.root / '.uv')
    (repository.root / 'tools/get_uv').write_text('exit 1\n')
    monkeypatch.setattr(installer, '__file__', str(repository.root / 'tools/installer.py'))

    def find(**more):
        for name in [name for name in os.environ if name.startswith(('PIP_', 'UV_'))]:
            monkeypatch.delenv(name)
        for name, value in repository.environ(**more).items():
            monkeypatch.setenv(name, value)
        return installer.find(repository.root / '.uv', repository.root / 'requirements.lock', run)

    return find


# Where it comes from.


@pytest.mark.parametrize('version, taken', [
    ('0.13.9', True), ('0.8.0', True), ('1.2', True), ('0.7.22', False), ('', False),
])  # fmt: skip
def test_uv_on_path_is_taken_where_it_is_recent_enough(find, repository, version, taken):
    mine = repository.program('uv', f'echo "uv {version}"\n')
    there = str(mine) if taken else str(repository.root / '.uv/uv-1.0')
    assert find().program == there


def test_pip_downloads_it_once(find, repository):
    program = find().program
    assert program == str(repository.root / '.uv/uv-1.0')
    assert subprocess.run([program], capture_output=True, text=True).stdout.startswith('uv 1.0')
    shutil.rmtree(repository.wheels)
    assert find().program == program


def test_pip_of_ensurepip_is_found(monkeypatch):
    real = subprocess.run

    def no_module(command, **named):
        # A Python with ensurepip that nobody has called, as fresh from its makers.
        if command[0] in ('pip', 'pip3') or command[-2:] == ['pip', '--version']:
            raise FileNotFoundError
        return real(command, **named)

    monkeypatch.setattr(installer.subprocess, 'run', no_module)
    pip = installer._pip()
    assert re.search(r'/pip-[^/]*\.whl/pip$', pip[-1])


def test_wheel_with_another_hash_is_no_uv(find, repository):
    repository.wheel('uv', '1.0', {'uv-1.0.data/scripts/uv': PROGRAM + 'evil\n'})
    with pytest.raises(
        installer.EnvironmentFailure, match='uv, which makes the environment, could'
    ):
        find()
    assert not (repository.root / '.uv/uv-1.0').exists()


@pytest.fixture
def index(repository, tmp_path):
    """Serves the wheels as an index with a user and a password; yields its address."""
    page = tmp_path / 'index/simple/uv/index.html'
    page.parent.mkdir(parents=True)
    wheel = 'uv-1.0-py3-none-any.whl'
    page.write_text(
        '<a href="../../files/uv-0.9-py3-none-any.whl">old</a>'
        f'<a href="../../files/{wheel}#sha256=0">{wheel}</a>'
    )
    (tmp_path / 'index/files').symlink_to(repository.wheels)
    right = 'Basic ' + base64.b64encode(b'me:pass@word').decode()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.headers['Authorization'] == right:
                super().do_GET()
            else:
                self.send_error(401)

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(tmp_path / 'index'))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://me:pass%40word@127.0.0.1:{server.server_port}/simple/'
        server.shutdown()


def test_index_serves_it_where_pip_fails(find, repository, index, monkeypatch):
    monkeypatch.setattr(installer, '_pip', lambda: ['/bin/false'])
    assert find(PIP_INDEX_URL=index).program == str(repository.root / '.uv/uv-1.0')


@pytest.mark.parametrize('name', ['PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'UV_DEFAULT_INDEX'])
def test_index_serves_it_where_there_is_no_pip(find, repository, index, monkeypatch, name):
    monkeypatch.setattr(installer, '_pip', lambda: None)
    assert find(**{name: index}).program == str(repository.root / '.uv/uv-1.0')


def test_other_hash_from_the_index_is_refused(find, repository, index, monkeypatch, tmp_path):
    monkeypatch.setattr(installer, '_pip', lambda: None)
    repository.wheel('uv', '1.0', {'uv-1.0.data/scripts/uv': 'evil\n'})
    with pytest.raises(installer.EnvironmentFailure, match='has another hash than the lock says'):
        find(PIP_INDEX_URL=index)
    assert 'pass' not in (tmp_path / 'log').read_text()


def test_neither_pip_nor_index(find, monkeypatch):
    monkeypatch.setattr(installer, '_pip', lambda: None)
    with pytest.raises(installer.EnvironmentFailure) as failure:
        find()
    assert str(failure.value) == (
        'uv, which makes the environment, could not be downloaded (there is no pip and no'
        f' index is configured); {installer.INSTALL}.'
    )


# Its makers' own archive.


@pytest.fixture
def get_uv(tmp_path):
    """Returns a function that calls tools/get_uv, set up for a stand-in, on a mirror."""
    name = 'uv-x86_64-unknown-linux-gnu'
    (tmp_path / name).mkdir()
    (tmp_path / name / 'uv').write_text(PROGRAM)
    with tarfile.open(tmp_path / f'{name}.tar.gz', 'w:gz') as tar:
        tar.add(tmp_path / name, name)
    (tmp_path / 'to').mkdir()

    def get_uv(program=PROGRAM, mirror=f'file://{tmp_path}', path=os.environ['PATH']):
        text = (ROOT / 'tools/get_uv').read_text()
        digest = hashlib.sha256(program.encode()).hexdigest()
        script = tmp_path / 'get_uv'
        script.write_text(re.sub(r'(?m)^sum=.*', f'sum={digest}', text))
        return subprocess.run(
            ['/bin/sh', script, tmp_path / 'to'],
            env={'PATH': path, 'UV_DOWNLOAD_URL': mirror}, capture_output=True, text=True,
        )  # fmt: skip

    return get_uv


@pytest.fixture
def only(tmp_path):
    """Returns a function that makes a PATH with the programs that get_uv needs, and others."""

    def only(*others):
        folder = tmp_path / 'only'
        folder.mkdir()
        for name in ('tar', 'gzip', 'sha256sum', 'chmod', 'mv', 'rm', *others):
            (folder / name).symlink_to(BASE if name == 'python3' else shutil.which(name))
        return str(folder)

    return only


# wget reads no file: an address.
@pytest.mark.parametrize('downloader', ['curl', 'python3'])
def test_makers_archive_is_unpacked(get_uv, only, tmp_path, downloader):
    if downloader == 'curl' and not shutil.which('curl'):
        pytest.skip('This machine has no curl.')
    result = get_uv(path=only(downloader))
    assert result.returncode == 0, result.stderr
    program = pathlib.Path(result.stdout.strip())
    assert program.parent == tmp_path / 'to'
    assert program.read_text() == PROGRAM and os.access(program, os.X_OK)
    # Once is enough.
    assert get_uv(mirror='file:///nowhere').stdout == result.stdout


@pytest.mark.parametrize('named, says', [
    ({'program': 'another'}, 'holds another uv than it should'),
    ({'mirror': 'file:///nowhere'}, 'cannot be downloaded'),
])  # fmt: skip
def test_makers_archive_is_refused(get_uv, tmp_path, named, says):
    result = get_uv(**named)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(says)
    assert not list((tmp_path / 'to').iterdir())


def test_no_downloader(get_uv, only):
    assert 'there is no curl, wget or python3' in get_uv(path=only()).stderr


def test_archive_is_of_the_uv_that_the_locks_pin():
    text = (ROOT / 'tools/get_uv').read_text()
    version, digest = re.search(r'^version=(.*)\nsum=(.*)$', text, re.MULTILINE).groups()
    for lock in ROOT.glob('requirements*.lock'):
        assert f'\nuv=={version} ' in lock.read_text()
    # The environment's came out of its wheel, whose hash pip and uv have compared.
    program = pathlib.Path(uv.find_uv_bin())
    assert hashlib.sha256(program.read_bytes()).hexdigest() == digest


# The user's settings.


def test_settings_of_pip(tmp_path):
    (tmp_path / 'xdg/pip').mkdir(parents=True)
    (tmp_path / 'xdg/pip/pip.conf').write_text('[global]\nindex-url = https://far\nproxy = far:1\n')
    (tmp_path / '.config/pip').mkdir(parents=True)
    (tmp_path / '.config/pip/pip.conf').write_text(
        '[global]\nindex_url = https://near/%40\n[install]\ntrusted-host =\n    a\n    b\n'
        '[list]\nformat = json\n'
    )
    env = {
        'HOME': str(tmp_path), 'XDG_CONFIG_DIRS': str(tmp_path / 'xdg'),
        'PIP_EXTRA_INDEX_URL': 'https://one https://two', 'PIP_CERT': '',
    }  # fmt: skip
    settings = installer.pip_settings(env)
    expected = {
        'index-url': ['https://near/%40'], 'proxy': ['far:1'], 'trusted-host': ['a', 'b'],
        'extra-index-url': ['https://one', 'https://two'],
    }  # fmt: skip
    assert {name: settings.get(name) for name in expected} == expected
    assert 'format' not in settings
    (tmp_path / 'own').write_text('[global]\nindex-url = https://own\n')
    env['PIP_CONFIG_FILE'] = str(tmp_path / 'own')
    assert installer.pip_settings(env)['index-url'] == ['https://own']
    env['PIP_CONFIG_FILE'] = os.devnull
    assert 'index-url' not in installer.pip_settings(env)


def test_damaged_settings_of_pip_are_passed_over(tmp_path):
    (tmp_path / 'own').write_bytes(b'\xffno section\n')
    assert installer.pip_settings({'HOME': str(tmp_path), 'PIP_CONFIG_FILE': str(tmp_path / 'own')})


def variables(pip, env=None):
    return installer.uv_variables({name: text.split() for name, text in pip.items()}, env or {})


def test_uv_gets_the_settings_of_pip():
    given = variables({
        'index-url': 'https://pypi/simple', 'extra-index-url': 'https://a/simple https://b/simple',
        'find-links': '/wheels /more', 'trusted-host': 'pypi', 'cert': '/my.pem',
        'client-cert': '/me.pem', 'proxy': 'http://proxy:3128', 'timeout': '180',
    })  # fmt: skip
    given.pop('UV_KEYRING_PROVIDER', None)
    assert given == {
        'UV_DEFAULT_INDEX': 'https://pypi/simple',
        'UV_INDEX': 'https://a/simple https://b/simple',
        'UV_FIND_LINKS': '/wheels,/more',
        'UV_INSECURE_HOST': 'pypi',
        'SSL_CERT_FILE': '/my.pem',
        'SSL_CLIENT_CERT': '/me.pem',
        'ALL_PROXY': 'http://proxy:3128',
        'UV_HTTP_TIMEOUT': '180',
        'UV_INDEX_STRATEGY': 'unsafe-best-match',
        'UV_PYTHON_INSTALL_BIN': '0',
    }


def test_settings_of_uv_go_before_those_of_pip():
    given = variables(
        {'index-url': 'https://pip', 'cert': '/pip.pem'},
        {'UV_INDEX_URL': 'https://uv', 'SSL_CERT_FILE': '/uv.pem'},
    )
    assert not {'UV_DEFAULT_INDEX', 'SSL_CERT_FILE'} & set(given)


def test_key_ring_and_certificates_of_the_system(monkeypatch, tmp_path):
    (tmp_path / 'keyring').write_text('#!/bin/sh\n')
    (tmp_path / 'keyring').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setenv('SSL_CERT_DIR', str(tmp_path))
    monkeypatch.setenv('SSL_CERT_FILE', '/nowhere')
    given = variables({})
    assert (given['UV_KEYRING_PROVIDER'], given['UV_SYSTEM_CERTS']) == ('subprocess', '1')
    (tmp_path / 'keyring').unlink()
    # An empty store would let uv trust nobody.
    given = variables({})
    assert 'UV_KEYRING_PROVIDER' not in given and 'UV_SYSTEM_CERTS' not in given


@pytest.mark.parametrize('no_index, flags', [('1', ['--no-index']), ('0', []), ('false', [])])
def test_no_index_is_a_flag(find, no_index, flags, repository):
    repository.program('uv', 'echo "uv 0.13.9"\n')
    assert find(PIP_NO_INDEX=no_index).no_index == flags


def test_variables_for_other_projects_are_left_out(find, repository, monkeypatch):
    repository.program('uv', 'echo "uv 0.13.9"\n')
    astray = ('PYTHONPATH', 'PIP_TARGET', 'UV_OVERRIDE', 'UV_NO_VERIFY_HASHES')
    env = find(**dict.fromkeys(astray, '/theirs')).env
    assert not set(astray) & set(env)


@pytest.mark.parametrize('log, why', [
    ('$ pip\nerror\n$ uv\n cause: Connection refused (os error 111)\n', 'no server answers'),
    ('$ uv\nConnection refused\n$ uv\n[Errno 28] No space left on device\n', 'the disk is full'),
    ('$ uv\nCollecting a\nerror: a has the wrong hash.\nbye\n', 'error: a has the wrong hash'),
    ('$ uv\n', '$ uv'),
])  # fmt: skip
def test_reason_of_a_failure(tmp_path, log, why):
    (tmp_path / 'log').write_text(log)
    with open(tmp_path / 'log', 'a') as file:
        assert installer.Runner(file).reason() == why
