"""The Ladder network in PyTorch, against the float64 NumPy transcription of the paper.

PyTorch is not of the locked stack. It runs in a process of the Python that ARBORETUM_TORCH_PYTHON
names (or of this one, should it have torch), which needs torch and numpy and no more.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import contest, ladder
from tests.research.ladder import numpy_reference as reference

TORCH_PYTHON = os.environ.get(contest.TORCH_VARIABLE) or (
    importlib.util.find_spec('torch') and sys.executable
)
SCRIPT = pathlib.Path(ladder.__file__).parent / 'ladder_torch.py'
pytestmark = pytest.mark.skipif(
    not TORCH_PYTHON, reason=f'no torch here, and {contest.TORCH_VARIABLE} names no Python with it'
)

# Run by the other Python: folder of ladder_torch.py, file of arrays to read, file to write.
PROGRAM = """
import sys
import numpy as np
import torch
sys.path.insert(0, sys.argv[1])
import ladder_torch

given = {name: torch.tensor(value) for name, value in np.load(sys.argv[2]).items()}
torch.set_default_dtype(torch.float64)
model = ladder_torch.Ladder(given['widths'].tolist())
parameters = dict(model.named_parameters())
assert set(parameters) == {name[6:] for name in given if name.startswith('start ')}
with torch.no_grad():
    for name, parameter in parameters.items():
        parameter.copy_(given['start ' + name])
noise = [given[f'noise {l}'] for l in range(len(given['widths']))]
classification, denoising = model.costs(
    given['x_labelled'], given['y'], given['x_unlabelled'], given['lambdas'].tolist(), noise)
(classification + sum(denoising)).backward()
results = {name: parameter.grad.numpy() for name, parameter in parameters.items()}
results['costs'] = [cost.item() for cost in (classification, *denoising)]
results['sizes'] = [*ladder_torch.WIDTHS, ladder_torch.BATCH]
np.savez(sys.argv[3], **results)
"""


def by_torch_name(params):
    """The arrays of the reference (parameters or gradients) by the names that torch has."""
    arrays = {'gamma': params['gamma']}
    for l in range(1, len(params['W'])):
        arrays[f'encoder.{l - 1}.weight'] = params['W'][l].T
        arrays[f'decoder.{l - 1}.weight'] = params['V'][l].T
        arrays[f'beta.{l - 1}'] = params['beta'][l]
    for l, denoiser in enumerate(params['g']):
        arrays.update({f'denoisers.{l}.{name}': value for name, value in denoiser.items()})
    return arrays


def test_costs_and_gradients_are_the_paper_s(tmp_path):
    widths, lambdas = (7, 6, 5, 4), (1000.0, 10.0, 0.1, 0.1)
    rng = np.random.default_rng(0)
    params = reference.random_parameters(widths, reference.g, rng)
    x_labelled, x_unlabelled = rng.uniform(size=(8, 7)), rng.uniform(size=(6, 7))
    y = np.arange(8) % 4
    noise = [[0.3 * rng.normal(size=(n, width)) for width in widths] for n in (8, 6)]
    np.savez(
        tmp_path / 'given.npz',
        widths=widths,
        lambdas=lambdas,
        y=y,
        x_labelled=x_labelled,
        x_unlabelled=x_unlabelled,
        **{
            f'noise {l}': np.concatenate(halves)
            for l, halves in enumerate(zip(*noise, strict=True))
        },
        **{f'start {name}': value for name, value in by_torch_name(params).items()},
    )
    files = [str(SCRIPT.parent), str(tmp_path / 'given.npz'), str(tmp_path / 'results.npz')]
    done = subprocess.run(
        [TORCH_PYTHON, '-I', '-c', PROGRAM, *files], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = dict(np.load(tmp_path / 'results.npz'))
    assert tuple(results.pop('sizes')) == (*ladder.WIDTHS, ladder.BATCH)

    def cost(p):
        return reference.ladder(p, x_labelled, y, x_unlabelled, *noise, lambdas)

    expected = cost(params)
    np.testing.assert_allclose(
        results.pop('costs'), [expected.classification_cost, *expected.weighted_costs], rtol=1e-9
    )
    gradients = reference.numerical_gradients(lambda p: cost(p).total, params)
    for name, gradient in by_torch_name(gradients).items():
        error = np.linalg.norm(results.pop(name) - gradient) / np.linalg.norm(gradient)
        assert error < 1e-4, name
    assert not results
