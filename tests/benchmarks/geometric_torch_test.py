"""All forms of torch-geometric are the same networks as this project's.

torch-geometric is not of the locked stack. It runs in a process of the Python that
ARBORETUM_TORCH_PYTHON names (or of this one, should it have it).
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import contest, geometric, geometric_data, geometric_tensorflow
from tests.benchmarks import graphs

SCRIPT = pathlib.Path(geometric.__file__).parent / 'geometric_torch.py'


def _torch_python():
    python = os.environ.get(contest.TORCH_VARIABLE)
    if not python:
        return importlib.util.find_spec('torch_geometric') and sys.executable
    done = subprocess.run([python, '-I', '-c', 'import torch_geometric'], capture_output=True)
    return None if done.returncode else python


TORCH_PYTHON = _torch_python()
pytestmark = pytest.mark.skipif(
    not TORCH_PYTHON,
    reason=f'no torch-geometric here, and {contest.TORCH_VARIABLE} names no Python with it',
)

# Run by the other Python: folder of geometric_torch.py, file of the graph, file of the weights,
# network, file to write. Its keys are '<features> <edges> <what>'.
PROGRAM = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter('ignore')
import numpy as np
import torch
import geometric_torch as g

network = sys.argv[4]
found = g.read(sys.argv[2], network)
weights = {name: torch.tensor(value) for name, value in np.load(sys.argv[3]).items()}
results = {}
forms = [(None, None)] + [
    (features, edges) for edges in g.EDGES[network]
    for features in ((None,) if network == 'rgcn' else g.FEATURES)]
for features, edges in forms:
    training = g.Training(network, found, features, edges)
    model = training.model.eval()
    parameters = dict(model.named_parameters())
    assert set(parameters) == set(weights), (sorted(parameters), sorted(weights))
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name].reshape(parameter.shape))
    logits = model(*training.edges)
    torch.nn.functional.cross_entropy(
        logits[training.nodes], training.labels[training.nodes]).backward()
    name = f'{features} {edges} '
    results[name + 'logits'] = logits.detach().numpy()
    for parameter, value in parameters.items():
        results[name + parameter] = value.grad.numpy()
    if network == 'gat' and features not in (None, 'edge_index'):
        model.train()
        results[name + 'dropped'] = model.features().to_dense().numpy()
np.savez(sys.argv[5], **results)
"""

# Name in torch-geometric to that in Keras.
NAMES = {
    'gcn': {'lin.weight': 'kernel', 'bias': 'bias'},
    'gat': {
        'lin.weight': 'kernel',
        'bias': 'bias',
        'att_src': 'attention_source',
        'att_dst': 'attention_target',
    },
    'rgcn': {'weight': 'kernel', 'comp': 'coefficients', 'root': 'root_kernel', 'bias': 'bias'},
}


def by_torch_name(network, model, values):
    """Weights or gradients of the Keras model's variables by the names that torch has."""
    arrays = {}
    for place, operator in zip(('first', 'second'), model.network.operators, strict=True):
        for theirs, ours in NAMES[network].items():
            variable = getattr(operator, ours)
            value = values[[v is variable for v in model.trainable_variables].index(True)]
            arrays[f'{place}.{theirs}'] = value.T if theirs == 'lin.weight' else value
    return arrays


@pytest.mark.parametrize('network', ['gcn', 'gat', 'rgcn'])
def test_all_forms_are_the_network(tmp_path, network):
    found = geometric_data.synthetic(graphs.sizes_for(network))
    training = geometric_tensorflow.Training(network, found)
    model, (inputs, labels, nodes) = training.model, training.batch
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.5)
    with tf.GradientTape() as tape:
        logits = model(inputs)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.gather(labels, nodes), tf.gather(logits, nodes)
            )
        )
    gradients = [
        tf.convert_to_tensor(gradient).numpy()
        for gradient in tape.gradient(loss, model.trainable_variables)
    ]
    expected = by_torch_name(network, model, gradients) | {'logits': logits.numpy()}

    np.savez(tmp_path / 'graph.npz', **found)
    np.savez(
        tmp_path / 'weights.npz',
        **by_torch_name(
            network, model, [variable.numpy() for variable in model.trainable_variables]
        ),
    )
    files = [str(tmp_path / name) for name in ('graph.npz', 'weights.npz')]
    done = subprocess.run(
        [
            TORCH_PYTHON,
            '-I',
            '-c',
            PROGRAM,
            str(SCRIPT.parent),
            *files,
            network,
            str(tmp_path / 'results.npz'),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = dict(np.load(tmp_path / 'results.npz'))
    dropped = {key: results.pop(key) for key in list(results) if key.endswith('dropped')}
    forms = {key.rpartition(' ')[0] for key in results}
    assert len(forms) == 1 + {'gcn': 5 * 5, 'gat': 5 * 4, 'rgcn': 3}[network]
    for key, value in results.items():
        wanted = expected[key.rpartition(' ')[2]]
        np.testing.assert_allclose(
            value.reshape(wanted.shape), wanted, rtol=1e-3, atol=1e-5, err_msg=key
        )

    x = geometric_data.matrix(found).toarray() if network == 'gat' else None
    for key, value in dropped.items():
        kept = value != 0
        np.testing.assert_allclose(value[kept], x[kept] / 0.4, rtol=1e-5, err_msg=key)
        assert 0.1 < kept.sum() / (x != 0).sum() < 0.75, key  # 0.4 expected, of 90.
    assert bool(dropped) == (network == 'gat')


def run(*arguments):
    return subprocess.run(
        [TORCH_PYTHON, '-I', str(SCRIPT), *map(str, arguments)], capture_output=True, text=True
    )


@pytest.fixture
def tiny(tmp_path):
    np.savez(tmp_path / 'tiny.npz', **geometric_data.synthetic(graphs.TINY))
    return tmp_path / 'tiny.npz'


def test_prints_what_the_benchmark_reads(tiny):
    done = run('gcn', tiny, '--epochs=2', '--warm_up=1', '--threads=1')
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed['seconds'] > 0 and np.isfinite(printed['loss'])
    assert printed['parameters'] == geometric.parameters('gcn', graphs.TINY)
    assert printed['memory']['peak_mb'] >= printed['memory']['libraries_mb'] > 0
    assert sorted(printed['libraries']) == ['torch', 'torch_geometric']


def test_the_fastest_form_is_found_and_can_be_run(tiny):
    tried = json.loads(run('gcn', tiny, '--find', '--epochs=1', '--threads=1').stdout)
    assert not tried['failed'] and 'csr features, plain edges, 1 threads' in tried['seconds']
    assert min(tried['seconds'], key=tried['seconds'].get) == ', '.join(
        f'{value} {key}' for key, value in tried['fastest'].items()
    )
    options = [f'--{key}={value}' for key, value in tried['fastest'].items()]
    assert run('gcn', tiny, '--epochs=1', *options).returncode == 0


@pytest.mark.parametrize(
    'arguments, complaint',
    [
        (['gcn', 'nowhere.npz'], 'nowhere.npz: no file of arrays'),
        (['rgcn', 'tiny.npz'], 'tiny.npz: has no edge_type, which rgcn needs.'),
        (['gcn', 'tiny.npz', '--features=csr'], '--features and --edges go together'),
        (
            ['gcn', 'tiny.npz', '--features=csr', '--edges=fast'],
            '--edges=fast: gcn has plain, sorted',
        ),
    ],
)
def test_bad_input(tiny, arguments, complaint):
    done = run(*(tiny.parent / word if word.endswith('npz') else word for word in arguments))
    assert done.returncode and complaint in done.stderr.splitlines()[-1]
