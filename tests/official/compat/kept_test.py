import gc
import weakref

import tensorflow as tf

from official.compat import kept
from tests import conformance


@tf.custom_gradient
def tripled(x):
    """x, with a gradient that is not its own and that holds a tensor of the graph."""
    held = 3.0 * tf.ones_like(x)
    return tf.identity(x), lambda upstream: upstream * held


def step(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tripled(x)
    return tape.gradient(y, x)


def test_graphs_with_custom_gradients_are_freed_and_run_until_then():
    function = tf.function(step)
    concrete = function.get_concrete_function(tf.TensorSpec([2]))
    graph = weakref.ref(concrete.graph)
    kept.forget_custom_gradients()
    assert function(tf.ones([2])).numpy().tolist() == [3.0, 3.0]
    # A new trace registers anew.
    assert function(tf.ones([5])).numpy().tolist() == [3.0] * 5
    kept.forget_custom_gradients()
    del function, concrete
    gc.collect()
    assert graph() is None


def test_functions_of_a_strategy_are_freed_and_can_be_run_again():
    strategy = conformance.two_devices()
    function = tf.function(lambda x: 2.0 * x)
    assert strategy.run(function, [tf.ones([])]).values[0] == 2.0
    kept.forget_functions_of_strategies()
    assert strategy.run(function, [tf.ones([])]).values[0] == 2.0
    kept.forget_functions_of_strategies()
    freed = weakref.ref(function)
    del function
    gc.collect()
    assert freed() is None
