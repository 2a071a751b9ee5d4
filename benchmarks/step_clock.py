"""When the training steps of a benchmark end."""

from __future__ import annotations

import time

import tensorflow as tf


class StepClock(tf.keras.callbacks.Callback):
    """Notes when `fit` begins and when each call of the compiled function ends, which is after
    steps_per_execution steps.

    Attributes:
      seconds: of `time.perf_counter`, the beginning first.
    """

    _supports_tf_logs = True

    def on_train_begin(self, logs=None):
        self.seconds = [time.perf_counter()]

    def on_train_batch_end(self, batch, logs=None):
        self.model.global_step.numpy()  # Waits for the last step.
        self.seconds.append(time.perf_counter())
