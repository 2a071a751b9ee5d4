"""SavedModels and checkpoints of one stack, read by the other one, both ways.

`ARBORETUM_OTHER_VENV` names an environment of the other stack; without it there is none to ask.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from official.compat import legacy_keras
from tests import across_stacks

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTHER = os.environ.get('ARBORETUM_OTHER_VENV')
pytestmark = pytest.mark.skipif(
    not OTHER, reason='ARBORETUM_OTHER_VENV names no environment of the other stack'
)


def _start(python, *arguments):
    environment = {**os.environ, 'PYTHONPATH': ROOT, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    environment.pop(legacy_keras.VARIABLE, None)  # The package sets it where it belongs.
    return subprocess.Popen(
        [python, '-m', 'tests.across_stacks', *map(str, arguments)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait(processes):
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output


@pytest.fixture(name='folders', scope='module')
def folders_fixture(tmp_path_factory):
    """Name of a direction to the folder that is written and the one of what was read there."""
    pythons = {'here': sys.executable, 'there': os.path.join(OTHER, 'bin', 'python')}
    written, read = (
        {name: tmp_path_factory.mktemp(f'{what}_{name}') for name in pythons}
        for what in ('written', 'read')
    )
    _wait([_start(python, 'write', written[name]) for name, python in pythons.items()])
    # Each reads what the other one has written.
    other = {'here': 'there', 'there': 'here'}
    _wait([_start(pythons[other[name]], 'read', written[name], read[name]) for name in pythons])
    return {f'written {name}': (written[name], read[name]) for name in pythons}


@pytest.mark.parametrize('kind', ['saved_model', 'checkpoint'])
@pytest.mark.parametrize('paper', across_stacks.PAPERS)
@pytest.mark.parametrize('direction', ['written here', 'written there'])
def test_the_other_stack_gives_the_same_answers(folders, direction, paper, kind):
    written, read = folders[direction]
    expected = across_stacks.load(written, paper, 'answers')
    found = across_stacks.load(read, paper, kind)
    assert found.keys() == expected.keys()
    for signature, answers in expected.items():
        assert found[signature].keys() == answers.keys()
        for name, answer in answers.items():
            if answer.dtype.kind == 'f':
                # The same float32 weights, and sums that oneDNN and Eigen order otherwise: some
                # units in the last place (6e-8) per layer. 1.2e-7 is the most that was seen.
                np.testing.assert_allclose(
                    found[signature][name], answer, rtol=1e-5, atol=1e-5, err_msg=name
                )
            else:
                np.testing.assert_array_equal(found[signature][name], answer, err_msg=name)
