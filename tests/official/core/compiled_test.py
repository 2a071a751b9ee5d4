"""A plain Keras model in an experiment: the steps of its loss, its metrics, its SavedModel."""

import numpy as np
import pytest
import tensorflow as tf

from official.core import compiled, keras_experiment
from tests import conformance

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
Y = (X @ np.float32([1.0, -2.0, 0.5]) + 0.25)[:, np.newaxis]


class Data:
    """Four rows at a time, in turn, divided between the replicas."""

    def __init__(self, seed, data_dir=None):
        del seed, data_dir

    def train(self, start_step=0, input_context=None):
        steps = tf.data.Dataset.counter(start_step)
        first = lambda step: 4 * (step % 2)
        size = input_context.get_per_replica_batch_size(4)
        rows = steps.map(lambda step: first(step) + tf.range(4, dtype=tf.int64)).unbatch()
        return rows.batch(size).map(lambda row: (tf.gather(X, row), tf.gather(Y, row)))

    def evaluation(self, split, input_context=None):
        size = input_context.get_per_replica_batch_size(4) if input_context else 4
        return tf.data.Dataset.from_tensor_slices((X, Y)).batch(size)


def sequential(seed):
    network = tf.keras.Sequential(
        [
            tf.keras.Input([3]),
            tf.keras.layers.Dense(1, kernel_initializer='zeros', kernel_regularizer='l2'),
        ]
    )
    network.compile(loss='mse', metrics=['mae'])
    return network


def make(run_dir, train_steps=10, model=sequential, strategy=None):
    return keras_experiment.KerasExperiment(
        str(run_dir),
        strategy=strategy,
        model=model,
        optimizer=lambda: tf.keras.optimizers.SGD(0.1),
        data=Data,
        train_steps=train_steps,
        save_every_steps=4,
        monitor_split='test',
    )


def by_hand(steps):
    """Gradient descent on the mean squared error and 0.01 |w|^2, in float64."""
    w, b, x, y = np.zeros((3, 1)), np.zeros(1), X.astype(np.float64), Y.astype(np.float64)
    for step in range(steps):
        rows = slice(4 * (step % 2), 4 * (step % 2) + 4)
        error = x[rows] @ w + b - y[rows]
        w, b = w - 0.1 * 2 * (x[rows].T @ error / 4 + 0.01 * w), b - 0.1 * 2 * error.mean(0)
    return w, b


@pytest.mark.parametrize('devices, stop_at', [(1, None), (1, 4), (2, None)])
def test_steps_metrics_and_export(tmp_path, devices, stop_at):
    if stop_at is not None:
        conformance.train_until(make(tmp_path), stop_at)
    experiment = make(tmp_path, strategy=conformance.two_devices() if devices == 2 else None)
    experiment.train()
    w, b = by_hand(10)
    kernel, bias = experiment.model.network.get_weights()
    np.testing.assert_allclose(kernel, w, rtol=1e-5)
    np.testing.assert_allclose(bias, b, rtol=1e-5)
    result = experiment.evaluate()
    error = X.astype(np.float64) @ w + b - Y
    assert result['test_loss'] == pytest.approx((error**2).mean() + 0.01 * (w**2).sum(), rel=1e-5)
    assert result['test_mae'] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    rows = conformance.read_history(tmp_path)
    assert [row['step'] for row in rows] == [4, 8, 10]
    assert rows[-1]['test_loss'] == pytest.approx(result['test_loss'])
    served = tf.saved_model.load(experiment.export()).signatures['predict'](x=tf.constant(X))
    np.testing.assert_allclose(served['output'], X @ w + b, rtol=1e-4, atol=1e-6)
    assert experiment.report().endswith('report.html')


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ValueError, match=r'has no loss; compile it with one, as in compile\(loss='):
        make(tmp_path, model=lambda seed: tf.keras.Sequential([tf.keras.Input([3])]))
    with pytest.raises(ValueError, match=r"'mine' is not built; call build\(input_shape\)"):
        compiled.Compiled(tf.keras.Sequential([tf.keras.layers.Dense(1)], name='mine'))
