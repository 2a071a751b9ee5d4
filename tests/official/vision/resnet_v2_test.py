import numpy as np
import pytest
import tensorflow as tf

from official.modeling import normalization
from official.vision import resnet_v2


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


def expected_count(k, blocks, channels, small):
    """Weights by layer, from Table 1 of He et al. 2016a and Fig. 4e of He et al. 2016b."""
    conv = 16 * k * channels * (9 if small else 49)
    norm, inputs = 0, 16 * k
    for stage, number in enumerate(blocks):
        w = 16 * k * 2**stage
        for block in range(number):
            conv += inputs * w + 9 * w * w + w * 4 * w
            norm += 2 * (inputs + w + w)
            if block == 0:  # A projection: four times the width, or half the size.
                conv += inputs * 4 * w
            inputs = 4 * w
    return conv + norm + 2 * inputs


def test_resnet_50_has_as_many_weights_as_published():
    model = resnet_v2.ResNetV2()
    head = 2048 * 1000 + 1000
    # The first version has 25 557 032 weights with 1000 classes, 53 120 of them in batch norms.
    # The second has the same convolutions; the gains and shifts of its batch norms, summed by
    # stage, are 2 (960 + 2816 + 8704 + 8192), and 2 * 2048 at the end.
    assert 25_557_032 - 53_120 + 2 * (960 + 2816 + 8704 + 8192 + 2048) == 25_549_352
    assert count(model.trainable_variables) + head == 25_549_352
    assert count(model.trainable_variables) == expected_count(4, (3, 4, 6, 3), 3, False)
    assert count(model.non_trainable_variables) == 45_440
    assert model.num_features == 2048


def test_the_kernels_are_those_of_keras():
    ours = resnet_v2.ResNetV2()
    theirs = tf.keras.applications.ResNet50V2(weights=None, include_top=False)
    shapes = lambda model: sorted(
        tuple(v.shape) for v in model.trainable_variables if len(v.shape) == 4
    )
    assert shapes(ours) == shapes(theirs)
    norms = sum(isinstance(layer, normalization.BatchNorm) for layer in ours.submodules)
    assert (
        norms
        == sum(isinstance(layer, tf.keras.layers.BatchNormalization) for layer in theirs.layers)
        == 49
    )


@pytest.mark.parametrize(
    'k, blocks, channels, small',
    [
        (1, (1, 1, 1, 1), 1, False),
        (2, (2, 1), 3, True),
        (3, (1,), 1, True),
        (1, (2, 3, 2), 3, False),
    ],
)
def test_weights_of_other_sizes(k, blocks, channels, small):
    model = resnet_v2.ResNetV2(k, 32, channels, blocks, small)
    assert count(model.trainable_variables) == expected_count(k, blocks, channels, small)
    assert model.num_features == 64 * k * 2 ** (len(blocks) - 1)


def test_shapes_of_the_stages():
    # He et al. 2016a, Table 1: 56, 28, 14 and 7 pixels; widths times k / 4.
    outputs = resnet_v2.ResNetV2(1).stage_outputs(tf.zeros([1, 224, 224, 3]))
    assert [tuple(x.shape) for x in outputs] == [
        (1, 56, 56, 16),
        (1, 56, 56, 64),
        (1, 28, 28, 128),
        (1, 14, 14, 256),
        (1, 7, 7, 512),
    ]
    small = resnet_v2.ResNetV2(2, 32, 1, (1, 1, 1), True)
    assert [tuple(x.shape) for x in small.stage_outputs(tf.zeros([3, 32, 32, 1]))] == [
        (3, 32, 32, 32),
        (3, 32, 32, 128),
        (3, 16, 16, 256),
        (3, 8, 8, 512),
    ]
    assert small(tf.zeros([3, 32, 32, 1])).shape == (3, 512)


# The network once more, in float64.


def np_conv(x, kernel, stride):
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            part = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, i, j] = np.einsum('nhwc,hwcd->nd', part, kernel)
    return y


def np_max_pool(x):
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    height, width = ((n - 3) // 2 + 1 for n in x.shape[1:3])
    return np.stack(
        [
            np.stack(
                [x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)) for j in range(width)], 1
            )
            for i in range(height)
        ],
        1,
    )


class NumpyResNet:
    """Reads weights by name: of one model, in the order the forward pass needs them."""

    def __init__(self, model, training, epsilon):
        self.values = {
            v.name.split('/', 1)[1][:-2]: v.numpy().astype(np.float64) for v in model.variables
        }
        self.training, self.epsilon = training, epsilon
        self.means = {}

    def norm_relu(self, x, name):
        mean, variance = (self.values[f'{name}/moving_{m}'] for m in ('mean', 'variance'))
        if self.training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            self.means[name] = mean, variance
        y = (x - mean) / np.sqrt(variance + self.epsilon)
        return np.maximum(y * self.values[f'{name}/gamma'] + self.values[f'{name}/beta'], 0)

    def conv(self, x, name, stride=1):
        return np_conv(x, self.values[f'{name}/kernel'], stride)

    def block(self, x, name, stride):
        y = self.norm_relu(x, f'{name}/norm1')
        shortcut = x
        if f'{name}/shortcut/kernel' in self.values:
            shortcut = self.conv(y, f'{name}/shortcut', stride)
        y = self.conv(y, f'{name}/conv1')
        y = self.conv(self.norm_relu(y, f'{name}/norm2'), f'{name}/conv2', stride)
        return shortcut + self.conv(self.norm_relu(y, f'{name}/norm3'), f'{name}/conv3')

    def __call__(self, x, blocks, small):
        x = self.conv(x, 'stem', 1 if small else 2)
        if not small:
            x = np_max_pool(x)
        for stage, number in enumerate(blocks, 1):
            for block in range(1, number + 1):
                x = self.block(
                    x, f'stage{stage}_block{block}', 2 if stage > 1 and block == 1 else 1
                )
        return self.norm_relu(x, 'final_norm').mean((1, 2))


def tiny(small, size, seed=1, **arguments):
    model = resnet_v2.ResNetV2(1, size, 3, (1, 2), small, epsilon=1e-3, seed=seed, **arguments)
    rng = np.random.default_rng(0)
    for v in model.variables:  # Nothing is left at 0 or 1, where a fault would not show.
        if len(v.shape) == 1:
            v.assign(rng.uniform(0.5, 1.5, v.shape))
    return model, rng.normal(size=(4, size, size, 3))


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('small, size', [(True, 6), (False, 18)])
def test_the_forward_pass_against_numpy(small, size, training):
    model, images = tiny(small, size, decay=0.7)
    reference = NumpyResNet(model, training, 1e-3)
    expected = reference(images, (1, 2), small)
    features = model(tf.constant(images, tf.float32), training=training)
    assert features.dtype == tf.float32 and expected.std() > 0.05
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    # Only training moves the averages, by a share of 1 - decay.
    values = NumpyResNet(model, training, 1e-3).values
    for name, before in reference.values.items():
        if 'moving' in name and training:
            moment = reference.means[name.rsplit('/', 1)[0]]['variance' in name]
            np.testing.assert_allclose(
                values[name], 0.7 * before + 0.3 * moment, rtol=1e-4, atol=1e-5
            )
        else:
            np.testing.assert_array_equal(values[name], before)


def test_initial_weights_follow_from_the_seed():
    one, same, other = (resnet_v2.ResNetV2(2, 32, 3, (1, 1), seed=seed) for seed in (5, 5, 6))
    kernels = [v.numpy() for v in one.trainable_variables if len(v.shape) == 4]
    for kernel, again, differs in zip(
        kernels,
        *(
            [v.numpy() for v in model.trainable_variables if len(v.shape) == 4]
            for model in (same, other)
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(kernel, again)
        assert not np.any(kernel == differs)
        deviation = np.sqrt(2 / np.prod(kernel.shape[:3]))  # He et al. 2015.
        error = 4 / np.sqrt(2 * kernel.size)  # Four standard errors of a standard deviation.
        assert kernel.std() == pytest.approx(deviation, rel=error)
    assert len({kernel.flat[0] for kernel in kernels}) == len(kernels)


def test_in_bfloat16_products_are_and_features_are_not():
    tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
    try:
        model, images = tiny(False, 18)
    finally:
        tf.keras.mixed_precision.set_global_policy('float32')
    images = tf.constant(images, tf.float32)
    assert {x.dtype for x in model.stage_outputs(images)} == {tf.bfloat16}
    assert {v.dtype for v in model.variables} == {tf.float32}
    features, expected = model(images), tiny(False, 18)[0](images)
    assert features.dtype == tf.float32
    np.testing.assert_allclose(features, expected, rtol=0.1, atol=0.05)
    assert not np.array_equal(features, expected)


def test_the_configuration_makes_the_same_model():
    model, images = tiny(False, 18)
    copy = resnet_v2.ResNetV2.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        copy(tf.constant(images, tf.float32)), model(tf.constant(images, tf.float32))
    )
    assert copy.get_config() == model.get_config()


@pytest.mark.parametrize(
    'arguments, told',
    [
        ({'widening': 0}, 'ResNetV2.widening = 0'),
        ({'channels': 2}, 'ResNetV2.channels = 2'),
        ({'blocks': ()}, 'ResNetV2.blocks is empty'),
        ({'blocks': (1, 0)}, r'ResNetV2.blocks\[1\] = 0'),
        ({'image_size': 2.5}, 'image_size = 2.5'),
    ],
)
def test_a_network_that_cannot_be(arguments, told):
    with pytest.raises(ValueError, match=told):
        resnet_v2.ResNetV2(**arguments)
