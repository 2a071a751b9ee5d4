import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from official.vision import fpn


def first_key():
    # Not when this is imported: TensorFlow would run before others have set it up.
    return random.make_key(7)


def drawn(channels, filters, seed=0):
    """A pyramid all of whose weights are drawn anew, and those in float64 by name."""
    pyramid = fpn.FPN(channels, first_key(), filters)
    rng = np.random.default_rng(seed)
    for v in pyramid.variables:
        v.assign(rng.normal(size=v.shape))
    return pyramid, {v.name[:-2]: v.numpy().astype(np.float64) for v in pyramid.variables}


def maps_of(sizes, channels, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, *size, count)) for size, count in zip(sizes, channels, strict=True)]


def np_conv(x, kernel, bias):
    border = kernel.shape[0] // 2
    _, height, width, _ = x.shape
    x = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    y = np.zeros((len(x), height, width, kernel.shape[-1])) + bias
    for i, j in np.ndindex(kernel.shape[:2]):
        y += x[:, i : i + height, j : j + width] @ kernel[i, j]
    return y


def np_pyramid(maps, weights):
    above, outputs = None, []
    for level in reversed(range(len(maps))):
        lateral = np_conv(
            maps[level], weights[f'fpn/lateral{level}/kernel'], weights[f'fpn/lateral{level}/bias']
        )
        if above is not None:
            for y, x in np.ndindex(lateral.shape[1:3]):
                lateral[:, y, x] += above[:, y // 2, x // 2]
        above = lateral
        outputs.insert(
            0,
            np_conv(
                lateral, weights[f'fpn/output{level}/kernel'], weights[f'fpn/output{level}/bias']
            ),
        )
    # A 1 x 1 max pool of stride 2.
    return outputs + [
        outputs[-1][:, [i for i in range(outputs[-1].shape[1]) if i % 2 == 0]][
            :, :, [i for i in range(outputs[-1].shape[2]) if i % 2 == 0]
        ]
    ]


CASES = [
    ([(16, 8), (8, 4), (4, 2), (2, 1)], (3, 4, 5, 6)),
    ([(13, 11), (7, 6), (4, 3), (2, 2)], (3, 4, 5, 6)),  # Odd ones.
    ([(5, 3), (3, 2)], (2, 2)),
    ([(3, 4)], (2,)),
]


@pytest.mark.parametrize('sizes, channels', CASES)
def test_levels_against_numpy(sizes, channels):
    pyramid, weights = drawn(channels, 4)
    maps = maps_of(sizes, channels)
    expected = np_pyramid(maps, weights)
    inputs = [tf.constant(x, tf.float32) for x in maps]
    outputs = pyramid(inputs)
    assert len(outputs) == len(maps) + 1
    # Sizes that are not known when the graph is made, as in an export.
    graph = tf.function(
        pyramid, input_signature=[[tf.TensorSpec([None, None, None, count]) for count in channels]]
    )
    for one, also, other in zip(outputs, graph(inputs), expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(also, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('jit', [False, True])
def test_the_gradient_is_the_slope(jit):
    sizes, channels = CASES[1]
    pyramid, weights = drawn(channels, 3)
    maps = maps_of(sizes, channels)
    directions = [np.random.default_rng(2).normal(size=x.shape) for x in np_pyramid(maps, weights)]

    @tf.function(jit_compile=jit)
    def gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.add_n(
                [
                    tf.reduce_sum(y * d.astype(np.float32))
                    for y, d in zip(pyramid(inputs), directions, strict=True)
                ]
            )
        return tape.gradient(loss, inputs)

    found = gradient([tf.constant(x, tf.float32) for x in maps])
    rng = np.random.default_rng(3)
    for level, part in enumerate(found):
        step = rng.normal(size=part.shape)
        # The levels are linear in the maps, so one difference is the slope.
        ends = []
        for sign in (1, -1):
            moved = list(maps)
            moved[level] = maps[level] + sign * step
            ends.append(
                sum(
                    (y * d).sum()
                    for y, d in zip(np_pyramid(moved, weights), directions, strict=True)
                )
            )
        assert np.sum(part * step) == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-4, abs=1e-2)


def test_repeated_pixels_by_hand():
    x = tf.reshape([1.0, 2.0, 3.0, 4.0], [1, 2, 2, 1])
    y = fpn.repeat_pixels(x, tf.zeros([1, 3, 4, 5]))
    np.testing.assert_array_equal(y[0, ..., 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]])


def test_initial_weights():
    pyramid = fpn.FPN((64, 128), first_key(), 200)
    kernels = {v.name: v.numpy() for v in pyramid.variables if 'kernel' in v.name}
    inputs = {'lateral0': 64, 'lateral1': 128, 'output0': 1800, 'output1': 1800}
    for name, kernel in kernels.items():
        deviation = inputs[name.split('/')[1]] ** -0.5
        assert kernel.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * kernel.size))
    assert len(kernels) == len({kernel.flat[0] for kernel in kernels.values()}) == 4
    # By hand: 64 * 200 + 128 * 200 + 2 * 9 * 200 * 200 and four biases.
    assert sum(int(tf.size(v)) for v in pyramid.variables) == 38_400 + 720_000 + 800
    assert pyramid.filters == 200


def test_in_bfloat16():
    pyramid, _ = drawn((3, 4), 4)
    inputs = [tf.constant(x, tf.float32) for x in maps_of([(5, 4), (3, 2)], (3, 4))]
    with tf.GradientTape() as tape:
        outputs = pyramid([tf.cast(x, tf.bfloat16) for x in inputs])
        loss = tf.add_n([tf.reduce_sum(tf.cast(y, tf.float32)) for y in outputs])
    assert {v.dtype for v in pyramid.variables} == {tf.float32}
    assert None not in tape.gradient(loss, pyramid.trainable_variables)
    for one, other in zip(outputs, pyramid(inputs), strict=True):
        assert one.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(one, tf.float32), other, rtol=0.1, atol=0.5)


def test_maps_that_do_not_follow_one_another():
    pyramid, _ = drawn((3, 4), 4)
    with pytest.raises(ValueError, match='FPN has 2 levels and got 1 maps'):
        pyramid([tf.zeros([1, 4, 4, 3])])
    for size in ((2, 2), (3, 1), (5, 3)):
        with pytest.raises(ValueError, match=r'map 0 is \[5, 3\] and map 1 is .* rounded up'):
            pyramid([tf.zeros([1, 5, 3, 3]), tf.zeros([1, *size, 4])])
    with pytest.raises(ValueError, match=r'FPN\.channels is empty'):
        fpn.FPN((), first_key())
    with pytest.raises(ValueError, match=r'FPN\.filters = 0'):
        fpn.FPN((3,), first_key(), 0)
