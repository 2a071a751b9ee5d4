"""Functions of arrays: their values, and that calls lose no memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from research.dqn import arrays

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def test_values():
    function = arrays.ArrayFunction(
        lambda x, k: (tf.cast(x, tf.float32) * k, tf.reduce_sum(x)),
        [np.zeros((2, 3), np.uint8), np.zeros((), np.float32)],
    )
    for value in (1, 7):
        x = np.full((2, 3), value, np.uint8)
        product, total = function(x, np.float32(0.5)[...])
        np.testing.assert_array_equal(product, x * 0.5)
        assert total == (6 * value) % 256
        assert product.dtype == np.float32


def test_shapes_are_known_inside():
    seen = []
    function = arrays.ArrayFunction(lambda x: seen.append(x.shape) or x, [np.zeros((4, 2))])
    function(np.ones((4, 2)))
    assert seen == [(4, 2)]


def test_outputs_stay_as_they_were():
    function = arrays.ArrayFunction(lambda x: x + 1, [np.zeros(1000)])
    (first,) = function(np.zeros(1000))
    function(np.full(1000, 5.0))
    assert np.all(first == 1)


def test_other_arrays_are_refused():
    function = arrays.ArrayFunction(lambda x: x, [np.zeros(3)])
    for other in (np.zeros(4), np.zeros(3, np.float32)):
        with pytest.raises(ValueError, match='Arrays of .* are not of'):
            function(other)


def test_what_goes_wrong_inside_is_raised():
    function = arrays.ArrayFunction(
        lambda x: tf.debugging.check_numerics(x, 'inf or nan'), [np.zeros(2)]
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match='inf or nan'):
        function(np.array([1.0, np.nan]))
    function(np.ones(2))  # And the next call works.


_GROWTH = """
import numpy as np
from research.dqn import arrays

def anonymous_memory():
    with open('/proc/self/status', encoding='ascii') as file:
        rows = dict(line.split(':') for line in file)
    return int(rows['RssAnon'].split()[0]) * 1024

function = arrays.ArrayFunction(
    lambda *xs: [x + 1 for x in xs], [np.zeros(10, np.float32)] * 6)
given = [np.zeros(10, np.float32)] * 6
grown = []
for _ in range(6):
    before = anonymous_memory()
    for _ in range(1500):
        function(*given)
    grown.append((anonymous_memory() - before) / 1500)
print(min(grown[1:]))
"""


def test_calls_lose_no_memory():
    """TensorFlow's own calls with arrays lose 48 bytes and more for each array, each time."""
    # In a process of its own: here threads that other tests have left may ask for memory.
    answer = subprocess.run(
        [sys.executable, '-c', _GROWTH],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': ROOT},
    )
    # 12 arrays would lose 192 bytes a call at least, one of them 16.
    assert float(answer.stdout) < 8
