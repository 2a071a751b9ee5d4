"""The examples in the model card run."""

import pathlib
import re

import numpy as np
import tensorflow as tf

from tests.research.geometric.datasets import real

CARD = pathlib.Path(__file__).resolve().parents[3] / 'research' / 'geometric' / 'README.md'


def blocks():
    return re.findall(r'```python\n(.*?)```', CARD.read_text(), re.DOTALL)


def run(code, names):
    exec(compile(code, str(CARD), 'exec'), names)
    return names


def test_an_operator():
    """Kipf & Welling 2017, Eq. (2), on a path of four nodes with the unit matrix as features."""
    tf.keras.utils.set_random_seed(1)
    h = run(blocks()[0], {})['h']
    tf.keras.utils.set_random_seed(1)
    theta = tf.keras.initializers.GlorotUniform()([4, 16]).numpy()
    with_loops = np.eye(4) + np.eye(4, k=1) + np.eye(4, k=-1)
    scale = np.diag(np.array([2.0, 3, 3, 2]) ** -0.5)
    np.testing.assert_allclose(h, scale @ with_loops @ scale @ theta, rtol=1e-5, atol=1e-6)


def test_a_network_on_the_karate_club(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(blocks()[1], {})
    assert int(names['model'].global_step) == 100
    accuracy = float(re.search(r"'accuracy': ([\d.]+)}", capsys.readouterr().out).group(1))
    assert accuracy > 0.6  # Four classes, the largest of which has 40 % of the nodes.


def test_a_network_on_graphs(capsys):
    names = run(blocks()[1].split('data =')[0], {})
    run(blocks()[2].replace("'MUTAG.zip'", repr(str(real.powerful_gnns('MUTAG')))), names)
    labels = names['graphs'].labels[names['members'][150:]]
    assert names['logits'].shape == (38, 2)
    assert (names['logits'].argmax(1) == labels).mean() > 0.6
