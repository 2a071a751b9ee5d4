import collections

import numpy as np
import pytest
import tensorflow as tf

from official.vision import resnet
from tests.official.vision import numpy_residual

EPSILON = numpy_residual.EPSILON
STAGES = ((2, 3), (3, 4), (4, 6), (5, 3))


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


# Against Keras.


@pytest.fixture(scope='module')
def keras_network():
    """ResNet50 of Keras with the outputs of its stages; no weight is left at 0 or 1."""
    model = tf.keras.applications.ResNet50(weights=None, include_top=False)
    rng = np.random.default_rng(0)
    for v in model.variables:
        if 'variance' in v.name or 'gamma' in v.name:
            v.assign(rng.uniform(0.5, 1.5, v.shape))
        elif 'kernel' not in v.name:
            v.assign(rng.normal(0, 0.2, v.shape))
    return tf.keras.Model(
        model.input,
        [model.get_layer(f'conv{stage}_block{number}_out').output for stage, number in STAGES],
    )


@pytest.fixture(scope='module')
def keras_file(keras_network, tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'resnet50.h5'
    keras_network.save_weights(path)
    return str(path)


@pytest.mark.parametrize('frozen', [True, False])
def test_stages_with_the_weights_of_keras_are_those_of_keras(keras_network, keras_file, frozen):
    model = resnet.ResNet(frozen=frozen, freeze_stages=2 if frozen else 0)
    model.load_keras_applications(keras_file)
    for height, width in ((64, 96), (97, 75)):
        images = np.random.default_rng(1).integers(0, 256, (2, height, width, 3), np.uint8)
        theirs = keras_network(
            tf.keras.applications.resnet.preprocess_input(images.astype(np.float32))
        )
        ours = model(resnet.preprocess(images), training=frozen)
        for one, other, stride, channels in zip(
            ours, theirs, model.strides, model.num_channels, strict=True
        ):
            assert one.shape == (2, -(-height // stride), -(-width // stride), channels)
            assert other.numpy().std() > 1
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    assert model.strides == (4, 8, 16, 32) and model.num_channels == (256, 512, 1024, 2048)


def test_weights_of_another_network_leave_this_one_as_it_was(keras_file):
    def refused(told, **arguments):
        model = resnet.ResNet(**arguments)
        before = model.get_weights()
        with pytest.raises(ValueError, match=told):
            model.load_keras_applications(keras_file)
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    refused(r'resnet50\.h5: conv1_conv/kernel is \[7, 7, 3, 64\] .* \[7, 7, 3, 8\]', width=8)
    refused(r'resnet50\.h5: conv1_conv/kernel is .* \[3, 3, 3, 64\]', stem_stride=2, blocks=(1,))
    refused(r'resnet50\.h5 has no tensor conv2_block4_1_conv/kernel', blocks=(4,))
    refused(r'resnet50\.h5 has conv2_block2_1_conv/.*, which this network has not', blocks=(1, 4))
    refused(r'resnet50\.h5: ResNet\.bottleneck is False', bottleneck=False, width=4)
    with pytest.raises(FileNotFoundError, match='nothing.h5'):
        resnet.ResNet(width=4).load_keras_applications('nothing.h5')


def test_preprocessing_is_that_of_keras():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    expected = tf.keras.applications.resnet.preprocess_input(images.astype(np.float32))
    np.testing.assert_allclose(resnet.preprocess(images), expected, atol=1e-4)
    assert resnet.preprocess(images).dtype == tf.float32
    # Beyond an image in its canvas is the mean.
    x = resnet.preprocess(images, tf.constant([[3.0, 4.0], [5.0, 2.0]])).numpy()
    np.testing.assert_allclose(x[0, :3], expected[0, :3], atol=1e-4)
    np.testing.assert_allclose(x[1, :, :2], expected[1, :, :2], atol=1e-4)
    assert not x[0, 3:].any() and not x[1, :, 2:].any()


def test_resnet_50_has_as_many_weights_as_published():
    model = resnet.ResNet(frozen=False)
    # With 1000 classes the network has 25 557 032 weights, and 53 120 more statistics.
    assert count(model.trainable_variables) + 2048 * 1000 + 1000 == 25_557_032
    # Keras counts 23 587 712 without the classes; its convolutions have 26 560 biases.
    assert count(model.variables) + 26_560 == 23_587_712
    frozen = resnet.ResNet(freeze_stages=2)
    assert count(frozen.variables) == count(model.variables) - 53_120
    # Of the stem, 64 * 147; of C2, by hand from Table 1.
    first = 64 * 64 + 64 * 256 + 2 * 256 * 64 + 3 * (9 * 64 * 64 + 64 * 256)
    kernels = 23_587_712 - 26_560 - 4 * 26_560
    assert count(frozen.trainable_variables) == kernels - 64 * 147 - first


# Against NumPy.


def np_resnet(x, model, pooled, training):
    x = np.maximum(numpy_residual.conv_norm(x, model.stem, training), 0)
    if pooled:
        x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        rows, columns = ((n - 3) // 2 + 1 for n in x.shape[1:3])
        x = np.stack(
            [
                np.stack(
                    [
                        x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2))
                        for j in range(columns)
                    ],
                    1,
                )
                for i in range(rows)
            ],
            1,
        )
    outputs = []
    for stage in model.stages:
        for block in stage:
            x = numpy_residual.block(x, block, training)
        outputs.append(x)
    return outputs


def tiny(**arguments):
    return numpy_residual.draw(
        resnet.ResNet(**{'blocks': (1, 2), 'width': 4, 'epsilon': EPSILON, **arguments})
    )


@pytest.mark.parametrize(
    'bottleneck, stem_stride, frozen, training',
    [
        (True, 4, True, True),
        (True, 4, False, True),
        (False, 4, False, False),
        (True, 2, False, True),
        (False, 1, True, False),
    ],
)
def test_outputs_against_numpy(bottleneck, stem_stride, frozen, training):
    model = tiny(bottleneck=bottleneck, stem_stride=stem_stride, frozen=frozen)
    images = np.random.default_rng(1).normal(size=(3, 17, 14, 3))
    expected = np_resnet(images, model, stem_stride == 4, training)
    outputs = model(tf.constant(images, tf.float32), training=training)
    assert model.strides == (stem_stride, 2 * stem_stride)
    for one, other, stride in zip(outputs, expected, model.strides, strict=True):
        assert one.shape[1:3] == (-(-17 // stride), -(-14 // stride)) and other.std() > 0.1
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    if not training:  # Sizes that are not known when the graph is made, as in an export.
        graph = tf.function(model, input_signature=[tf.TensorSpec([None, None, None, 3])])
        for one, other in zip(graph(tf.constant(images, tf.float32)), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


# Stages that are not trained.


def gradients(model, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=True)
        loss = tf.add_n([tf.reduce_sum(tf.square(x)) for x in outputs])
    names = [v.name for v in model.variables if 'kernel' in v.name]
    kernels = [v for v in model.variables if 'kernel' in v.name]
    return dict(zip(['images', *names], tape.gradient(loss, [images, *kernels]), strict=True))


@pytest.mark.parametrize(
    'freeze_stages, frozen_names',
    [(0, ()), (1, ('stem',)), (2, ('stem', 'stage2')), (3, ('stem', 'stage2', 'stage3'))],
)
def test_no_gradient_is_computed_in_frozen_stages(freeze_stages, frozen_names):
    images = tf.constant(np.random.default_rng(1).normal(size=(2, 17, 14, 3)), tf.float32)
    free, model = tiny(), tiny(freeze_stages=freeze_stages)
    values = {v.name: v for v in free.variables}
    for v in model.variables:
        v.assign(values[v.name])
    expected, found = gradients(free, images), gradients(model, images)
    # The images, the stem, and by block 3 + 1, 3 + 1 and 3.
    assert len(found) == 13 and None not in expected.values()
    for name, gradient in found.items():
        if any(part in name for part in frozen_names) or (frozen_names and name == 'images'):
            assert gradient is None, name
        else:
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-3, atol=1e-3)
    trained = {v.name for v in model.trainable_variables}
    assert trained == {name for name, g in found.items() if g is not None and name != 'images'}
    # Nor does one in a graph depend on another.
    graph = tf.function(lambda x: [g for g in gradients(model, x).values() if g is not None])
    needed = operations_of(graph.get_concrete_function(images).outputs)
    # Those of 1 x 1 kernels are products.
    assert needed['Conv2DBackpropFilter'] + needed['MatMul'] == len(trained)
    # What comes into the first two that are trained needs none.
    inputs = len(trained) - 2 if freeze_stages else len(trained)
    assert needed['Conv2DBackpropInput'] == max(inputs, 0)


def operations_of(tensors):
    """How many operations of each type some tensors depend on."""
    seen, left = {}, [tensor.op for tensor in tensors]
    while left:
        op = left.pop()
        if op.name not in seen:
            seen[op.name] = op.type
            left += [tensor.op for tensor in op.inputs]
    return collections.Counter(seen.values())


def test_batch_norms_of_frozen_stages_are_frozen_and_others_move():
    model = tiny(frozen=False, freeze_stages=2)
    images = tf.constant(np.random.default_rng(1).normal(size=(3, 17, 14, 3)), tf.float32)
    expected = np_resnet(images.numpy().astype(np.float64), model, True, True)
    before = {v.name: v.numpy() for v in model.variables}
    for one, other in zip(model(images, training=True), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    moved = {v.name for v in model.variables if not np.array_equal(v, before[v.name])}
    assert moved == {v.name for v in model.variables if 'moving' in v.name}
    assert len(moved) == 2 * 7 and all('stage3' in name for name in moved)


# All else.


def test_xla_computes_the_same():
    model = tiny()
    images = tf.constant(np.random.default_rng(1).normal(size=(2, 17, 14, 3)), tf.float32)
    plain = gradients(model, images)
    compiled = tf.function(lambda x: gradients(model, x), jit_compile=True)(images)
    for name, value in plain.items():
        np.testing.assert_allclose(compiled[name], value, rtol=1e-3, atol=1e-3)


def test_in_bfloat16_products_are():
    tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
    try:
        model = tiny()
    finally:
        tf.keras.mixed_precision.set_global_policy('float32')
    images = tf.constant(np.random.default_rng(1).normal(size=(2, 17, 14, 3)), tf.float32)
    assert {v.dtype for v in model.variables} == {tf.float32}
    for one, other in zip(model(images), tiny()(images), strict=True):
        assert one.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(one, tf.float32), other, rtol=0.1, atol=0.2)


def test_initial_weights_follow_from_the_seed():
    one, same, other = (resnet.ResNet((1, 1), 16, seed=seed) for seed in (5, 5, 6))
    kernels = [
        [v.numpy() for v in model.variables if len(v.shape) == 4] for model in (one, same, other)
    ]
    for kernel, again, differs in zip(*kernels, strict=True):
        np.testing.assert_array_equal(kernel, again)
        assert not np.any(kernel == differs)
        deviation = np.sqrt(2 / np.prod(kernel.shape[:3]))  # He et al. 2015.
        assert kernel.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * kernel.size))
    assert len({kernel.flat[0] for kernel in kernels[0]}) == len(kernels[0])


def test_the_configuration_makes_the_same_model():
    model = tiny(bottleneck=False, frozen=False, freeze_stages=1, stem_stride=2, seed=3)
    copy = resnet.ResNet.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    assert [(v.name, v.shape) for v in copy.variables] == [
        (v.name, v.shape) for v in model.variables
    ]


@pytest.mark.parametrize(
    'arguments, told',
    [
        ({'width': 0}, r'ResNet\.width = 0'),
        ({'blocks': ()}, r'ResNet\.blocks is empty'),
        ({'blocks': (1, 0)}, r'ResNet\.blocks\[1\] = 0'),
        (
            {'freeze_stages': 6},
            r'ResNet\.freeze_stages = 6, and there are only the stem and 4 stages',
        ),
        ({'freeze_stages': -1}, r'ResNet\.freeze_stages = -1'),
        ({'decay': 2.0}, r'ResNet\.decay = 2.0 is outside \[0, 1\)'),
        ({'epsilon': 0.0}, r'ResNet\.epsilon = 0.0 must be a finite number above 0'),
        ({'stem_stride': 3}, r'ResNet\.stem_stride = 3 is none of 1, 2 and 4'),
    ],
)
def test_a_network_that_cannot_be(arguments, told):
    with pytest.raises(ValueError, match=told):
        resnet.ResNet(**arguments)
