import gc
import weakref

import tensorflow as tf

from official.compat import gradient_registry


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
    gradient_registry.forget_custom_gradients()
    assert function(tf.ones([2])).numpy().tolist() == [3.0, 3.0]
    # A new trace registers anew.
    assert function(tf.ones([5])).numpy().tolist() == [3.0] * 5
    gradient_registry.forget_custom_gradients()
    del function, concrete
    gc.collect()
    assert graph() is None
