"""The private parts of TensorFlow do what they are used for."""

import pytest
import tensorflow as tf

from official.compat import tensorflow_private


@pytest.mark.parametrize('compiled', [False, True])
def test_it_is_known_in_functions_and_in_what_they_call(compiled):
    seen = []

    @tf.function
    def inner(x):
        seen.append(tensorflow_private.is_compiled())
        return x + 1

    @tf.function(jit_compile=compiled)
    def outer(x):
        seen.append(tensorflow_private.is_compiled())
        return tf.while_loop(
            lambda y: y < 3,
            lambda y: [seen.append(tensorflow_private.is_compiled()), inner(y)][1:],
            [x],
        )[0]

    assert outer(tf.constant(0)) == 3
    assert len(seen) >= 3 and set(seen) == {compiled}


def test_eagerly_nothing_is_compiled():
    assert not tensorflow_private.is_compiled()
