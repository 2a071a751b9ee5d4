"""TensorFlow's notes at import are kept back, unless the import fails or they are asked for."""

import os
import subprocess
import sys

import pytest

from official.compat import start_up

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# Stands in for TensorFlow: writes as its libraries do, not through sys.stderr.
NOTES = 'import os, sys\nos.write(2, b"I0000 a note\\n")\nprint("a warning", file=sys.stderr)\n'


def _import(tmp_path, module, level=start_up.QUIET, before='', after=''):
    (tmp_path / 'tensorflow.py').write_text(NOTES + module)
    code = (
        f'import os, sys\n{before}\nfrom official.compat import start_up\n'
        f'start_up.import_tensorflow()\n{after}\nos.write(2, b"behind it\\n")'
    )
    return subprocess.run(
        [sys.executable, '-c', code],
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(tmp_path), ROOT]),
            'TF_CPP_MIN_LOG_LEVEL': level,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_notes_are_kept_back(tmp_path):
    done = _import(tmp_path, 'name = 1', after='assert sys.modules["tensorflow"].name == 1')
    assert (done.returncode, done.stderr) == (0, 'behind it\n')


@pytest.mark.parametrize('level', ['0', '2'])
def test_another_level_shows_them(tmp_path, level):
    done = _import(tmp_path, '', level)
    assert done.stderr == 'I0000 a note\na warning\nbehind it\n'


def test_an_import_that_fails_shows_them_and_its_traceback(tmp_path):
    done = _import(tmp_path, 'raise ImportError("libcudart.so is broken")')
    assert done.returncode == 1
    assert done.stderr.startswith('I0000 a note\na warning\nTraceback')
    assert done.stderr.endswith('ImportError: libcudart.so is broken\n')


def test_a_crash_says_where_it_was(tmp_path):
    done = _import(tmp_path, 'os.abort()')
    assert done.returncode < 0
    assert 'Fatal Python error: Aborted' in done.stderr and 'tensorflow.py' in done.stderr


def test_faulthandler_is_as_before(tmp_path):
    after = 'import faulthandler; print(faulthandler.is_enabled())'
    for before in ('', 'import faulthandler; faulthandler.enable()'):
        done = _import(tmp_path, '', before=before, after=after)
        assert done.stdout == f'{bool(before)}\n', done.stderr


def test_a_closed_standard_error_is_no_obstacle(tmp_path):
    (tmp_path / 'tensorflow.py').write_text('name = 1')
    code = (
        'import os; os.close(2)\nfrom official.compat import start_up\n'
        'start_up.import_tensorflow()\nimport tensorflow\nprint(tensorflow.name)'
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), ROOT])}
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**environment, 'TF_CPP_MIN_LOG_LEVEL': start_up.QUIET},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == '1\n'
