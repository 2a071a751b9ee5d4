"""Max pooling against TensorFlow's own, and where that one cannot be differentiated."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import pooling

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@pytest.mark.parametrize(
    'size, stride, height, width',
    [(2, 2, 8, 6), (2, 2, 7, 9), (3, 2, 9, 8), (3, 1, 5, 7), (1, 1, 3, 3)],
)
@pytest.mark.parametrize('compiled', [False, True])
def test_values_and_gradients_are_those_of_tensorflow(compiled, size, stride, height, width):
    random = np.random.RandomState(0)
    # Small whole numbers: many are equal.
    x = tf.constant(random.randint(0, 4, (2, height, width, 3)).astype(np.float32))

    def result(pool):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = pool(x, size, stride)
            weighted = tf.reduce_sum(
                y * tf.reshape(tf.range(tf.size(y), dtype=tf.float32), y.shape)
            )
        return y, tape.gradient(weighted, x)

    ours = tf.function(lambda: result(pooling.max_pool), jit_compile=compiled)()
    theirs = result(lambda *args: tf.nn.max_pool2d(*args, 'VALID'))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


_DETERMINISTIC = """
import tensorflow as tf
from official.modeling import pooling
tf.config.experimental.enable_op_determinism()

@tf.function(jit_compile=True)
def gradient(x):
    return tf.gradients(tf.square(pooling.max_pool(x, 3, 2)), x)[0]

x = tf.reshape(tf.range(2 * 25, dtype=tf.float32), [2, 5, 5, 1])
print(int(tf.reduce_sum(gradient(x))))
"""


def test_xla_differentiates_it_deterministically():
    answer = subprocess.run(
        [sys.executable, '-c', _DETERMINISTIC],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': ROOT},
    )
    # Maxima 12, 14, 22 and 24 of the first image and 25 more of the second, each twice.
    assert int(answer.stdout) == 2 * (12 + 14 + 22 + 24 + 37 + 39 + 47 + 49)
