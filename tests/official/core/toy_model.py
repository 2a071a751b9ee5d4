"""A model small enough to follow by hand: y = w x, squared error, plain data."""

import tensorflow as tf

from official.core import keras_experiment
from official.core import model as core_model


class Line(core_model.Model):
    """w x with a cost (w x - y)^2; the logs have the cost, evaluation the error at x = 1."""

    def __init__(self, seed=0, noise_shards=None, nan_at=-1):
        super().__init__(seed=seed, noise_shards=noise_shards)
        self.nan_at = nan_at
        self.w = self.add_weight('w', (), initializer='zeros')
        self.example_shape = ()
        self._set_metrics([tf.keras.metrics.Mean('loss')])
        self.built = True

    def call(self, x):
        return self.w * x

    def update(self, data, key):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x) - y))
            loss = tf.where(self.global_step == self.nan_at, float('nan'), 1.0) * loss
        self.apply_gradients(tape, loss)
        self.metrics[0].update_state(loss)
        return loss, {'loss': self.metrics[0].result()}

    def test_step(self, data):
        x, y, _ = data
        return {'error': tf.reduce_mean(tf.abs(self(x) - y))}


class Ones:
    """x = 1 and y = 1 at every step."""

    class_names = ('one',)

    def __init__(self, seed, data_dir=None):
        del seed, data_dir

    def train(self, start_step=0, input_context=None):
        del start_step
        return tf.data.Dataset.from_tensors((tf.ones([2]), tf.ones([2]))).repeat()

    def evaluation(self, split, input_context=None):
        return tf.data.Dataset.from_tensors((tf.ones([1]), tf.ones([1]), tf.ones([1])))


def make(run_dir, model_overrides=None, **overrides):
    """An experiment of 10 steps with a checkpoint every 4; gradient descent halves w's error."""
    arguments = dict(
        seed=0,
        train_steps=10,
        save_every_steps=4,
        monitor_split='test',
        data=Ones,
        optimizer=lambda: tf.keras.optimizers.SGD(0.25),
        model=lambda seed: Line(seed=seed, **(model_overrides or {})),
    )
    return keras_experiment.KerasExperiment(run_dir, **{**arguments, **overrides})
