"""The signatures of an exported policy, and what of them TFLite takes."""

import numpy as np
import pytest
import tensorflow as tf

from official.core import export as core_export
from research.dqn import export, network
from tests import conformance

FRAMES = np.random.default_rng(0).integers(0, 256, (1, 20, 20, 2), dtype=np.uint8)
SCREENS = np.random.default_rng(1).integers(0, 256, (1, 2, 2, 40, 40, 3), dtype=np.uint8)


class Game:
    action_names = ('NOOP', 'LEFT', 'RIGHT')
    observation_shape = (20, 20, 2)
    screen_shape = (40, 40, 3)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A policy's folder, and its network."""
    model = network.NatureQNetwork(3, ((4, 4, 2), (4, 3, 1)), 8)
    model(FRAMES)
    path = str(tmp_path_factory.mktemp('policy') / 'saved_model')
    return core_export.save(model, export.signatures(model, Game), path), model


def converter(path, name):
    return tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=[name])


def answers(content, name, **arguments):
    return tf.lite.Interpreter(model_content=content).get_signature_runner(name)(**arguments)


@pytest.mark.parametrize(
    'name, shape',
    [
        ('predict', (1, 21, 21, 2)),
        ('predict', (1, 20, 20, 3)),
        ('predict', (20, 20, 2)),
        ('screens', (1, 2, 2, 41, 40, 3)),
        ('screens', (1, 2, 1, 40, 40, 3)),
    ],
)
def test_frames_of_another_size_are_refused(saved, name, shape):
    """The network would answer some: its convolutions drop what is over at the edge."""
    signature = tf.saved_model.load(saved[0]).signatures[name]
    (argument,) = signature.structured_input_signature[1]
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match='shape|rank'):
        signature(**{argument: tf.zeros(shape, tf.uint8)})
    assert signature(
        **{
            argument: tf.zeros(
                (3, *({'predict': (20, 20, 2), 'screens': (2, 2, 40, 40, 3)}[name])), tf.uint8
            )
        }
    )['q_values'].shape == (3, 3)


def test_predict_converts_to_tflite(saved):
    path, model = saved
    found = answers(converter(path, 'predict').convert(), 'predict', frames=FRAMES)
    values = model(FRAMES).numpy()
    np.testing.assert_allclose(found['q_values'], values, atol=1e-6)
    assert found['action'] == values.argmax()
    assert found['action_name'][0].decode() == Game.action_names[values.argmax()]


def test_screens_need_select_tf_ops(saved):
    path, _ = saved
    with pytest.raises(Exception, match='TF Select'):
        converter(path, 'screens').convert()
    found = conformance.tflite(path, 'screens', {'screens': SCREENS}, select=True)
    expected = tf.saved_model.load(path).signatures['screens'](screens=tf.constant(SCREENS))
    np.testing.assert_allclose(found['q_values'], expected['q_values'], atol=1e-6)
    assert found['action_name'][0] == expected['action_name'].numpy()[0]
