"""Without dm-reverb, whoever asks for actors on other machines gets one sentence."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# Runs the launcher as if the package were not installed.
LAUNCH = (
    "import runpy, sys\nsys.modules['reverb'] = None\n"
    "runpy.run_module('official.launch', run_name='__main__', alter_sys=True)"
)


@pytest.mark.parametrize('role', ['learner', 'actor'])
def test_the_launcher_says_what_is_missing(tmp_path, role):
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            LAUNCH,
            '--mode=train',
            f'--gin_file=gin_configs/dqn/catch_reverb_{role}.gin',
            f'--model_dir={tmp_path / "run"}',
        ],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        'error: Actors on other machines need dm-reverb, which exists for TensorFlow 2.15 on '
        'Python 3.11 only ('
    ), done.stderr
    assert 'Traceback' not in done.stderr
