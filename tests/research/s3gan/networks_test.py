"""Generator and discriminator: every tensor of the paper's tables, and what the layers compute."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random, spectral
from research import s3gan
from research.s3gan import layers
from tests.research.s3gan import tables

KEY = np.array([[3, 0]], np.int32)


@pytest.fixture(scope='module', name='paper')
def fixture_paper():
    """The networks without arguments, of zeros: to draw 158 million weights takes a minute."""
    original = spectral._SpectralLayer.__init__

    def of_zeros(self, shape, key, use_bias, normalize, initializer, name):
        del initializer
        original(
            self,
            shape,
            key,
            use_bias,
            normalize,
            lambda key, shape: np.zeros(shape, np.float32),
            name,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectral._SpectralLayer, '__init__', of_zeros)
        return s3gan.Generator(), s3gan.Discriminator()


def test_unit_images():
    np.testing.assert_allclose(
        layers.unit_images(tf.constant([0, 51, 255], tf.uint8)), [0, 0.2, 1], rtol=1e-6
    )
    np.testing.assert_array_equal(layers.unit_images(tf.constant([0.0, 0.25, 1.0])), [0, 0.25, 1])


@pytest.mark.parametrize(
    'which, table, total', [(0, tables.TABLE_11, 70_433_988), (1, tables.TABLE_10, 87_982_370)]
)
def test_every_tensor_of_tables_10_and_11(paper, which, table, total):
    variables = paper[which].trainable_variables
    assert sorted((v.name[:-2], tuple(v.shape), int(np.prod(v.shape))) for v in variables) == (
        sorted(table)
    )
    assert sum(int(np.prod(v.shape)) for v in variables) == total


def test_the_outputs_of_tables_6_and_7(paper):
    generator, discriminator = paper
    shapes = []
    for net in (generator, discriminator):
        for part in [*net.blocks, net.non_local_block]:
            call = part.call

            def watch(*args, _call=call, **kwargs):
                result = _call(*args, **kwargs)
                shapes.append(tuple(result.shape[1:]))
                return result

            part.call = watch
    images = (
        tf.function(generator.call)
        .get_concrete_function(tf.TensorSpec([2, 120]), tf.TensorSpec([2], tf.int32))
        .output_shapes
    )
    ch = 96
    assert shapes == [
        (8, 8, 16 * ch),
        (16, 16, 8 * ch),
        (32, 32, 4 * ch),
        (64, 64, 2 * ch),
        (64, 64, 2 * ch),
        (128, 128, ch),
    ]
    assert images == (2, 128, 128, 3)
    shapes.clear()
    logits = (
        tf.function(discriminator.call)
        .get_concrete_function(tf.TensorSpec([2, 128, 128, 3]), tf.TensorSpec([2], tf.int32))
        .output_shapes
    )
    assert shapes == [
        (64, 64, ch),
        (64, 64, ch),
        (32, 32, 2 * ch),
        (16, 16, 4 * ch),
        (8, 8, 8 * ch),
        (4, 4, 16 * ch),
        (4, 4, 16 * ch),
    ]
    assert logits == (2,)


def _spectrally_normalized(net):
    return {v.name.rsplit('/', 1)[0] for v in net.non_trainable_variables if v.name.endswith('u:0')}


def test_everything_but_the_embedding_is_spectrally_normalized(paper):
    for net, others in zip(paper, ({'generator/embed_y'}, set()), strict=True):
        kernels = {v.name.rsplit('/', 1)[0] for v in net.trainable_variables if 'kernel' in v.name}
        assert kernels - _spectrally_normalized(net) == others


# Widths of the authors' code, in units of ch; widths of the non-local blocks; which blocks of the
# discriminator have a shortcut, counted from 1.
WIDTHS = {
    32: ((4, 4, 4, 4), (2, 2, 2, 2), None, (1,)),
    64: ((16, 16, 8, 4, 2), (2, 4, 8, 16, 16), None, (1, 2, 3, 4)),
    128: ((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), (2, 1), (1, 2, 3, 4, 5)),
    256: ((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), (2, 2), (1, 2, 3, 4, 6)),
}


def _parameters(size, ch, classes, channels):
    """Numbers of trainable parameters by the pattern of Tables 10 and 11."""
    widths, seen, attention, shortcuts = WIDTHS[size]
    conv = lambda size, i, o: size * size * i * o + o
    non_local = lambda c: 2 * c * c // 8 + 2 * c * c // 2 + 1
    first = 16 * widths[0] * ch
    generator = classes * 128 + 20 * first + first
    for i, o in itertools.pairwise(widths):
        i, o = i * ch, o * ch
        generator += 2 * (20 + 128) * (i + o) + conv(3, i, o) + conv(3, o, o) + conv(1, i, o)
    generator += 2 * widths[-1] * ch + conv(3, widths[-1] * ch, channels)
    inputs, discriminator = channels, 0
    for block, width in enumerate(seen, 1):
        o = width * ch
        discriminator += conv(3, inputs, o) + conv(3, o, o)
        discriminator += conv(1, inputs, o) if block in shortcuts else 0
        inputs = o
    discriminator += inputs + 1 + classes * inputs
    if attention:
        generator += non_local(attention[0] * ch)
        discriminator += non_local(attention[1] * ch)
    return generator, discriminator


def test_the_pattern_gives_the_published_numbers():
    """Tables 10 and 11, and what the authors' code states of 256 pixels."""
    assert _parameters(128, 96, 1000, 3) == (70_433_988, 87_982_370)
    assert _parameters(256, 96, 1000, 3) == (82_097_604, 98_635_298)


@pytest.mark.parametrize('size', WIDTHS)
def test_all_sizes_make_images_and_judge_them(size):
    generator = s3gan.Generator(size, ch=8, num_classes=3, channels=1)
    discriminator = s3gan.Discriminator(size, ch=8, num_classes=3, channels=1)
    trainable = lambda net: sum(int(np.prod(v.shape)) for v in net.trainable_variables)
    assert (trainable(generator), trainable(discriminator)) == _parameters(size, 8, 3, 1)
    assert generator.z_dim == 20 * len(WIDTHS[size][0])
    z = tf.constant(np.random.default_rng(0).normal(size=(2, generator.z_dim)), tf.float32)
    images = generator(z, tf.constant([0, 2]), training=True).numpy()
    assert images.shape == (2, size, size, 1)
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.01
    # Other labels and other images have other logits.
    logits = [discriminator(images, tf.constant(y)).numpy() for y in ([0, 2], [1, 2])]
    assert logits[0].shape == (2,) and logits[0][0] != logits[1][0]
    assert logits[0][1] == pytest.approx(logits[1][1], rel=1e-5) and logits[0][0] != logits[0][1]


def test_z_and_label_go_where_the_paper_sends_them():
    """The first chunk to the dense layer, the k-th other and the label to block k."""
    net = s3gan.Generator(32, ch=8, num_classes=3)
    seen = []
    for block in net.blocks:
        original = block.call

        def call(x, condition, _call=original, **kwargs):
            seen.append((x, condition))
            return _call(x, condition, **kwargs)

        block.call = call
    z = np.random.default_rng(0).normal(size=(2, 80)).astype(np.float32)
    net(tf.constant(z), tf.constant([2, 1]))
    embedded = net.embed_y.kernel.numpy()[[2, 1]]
    for number, (_, condition) in enumerate(seen, 1):
        np.testing.assert_allclose(
            condition,
            np.concatenate([z[:, 20 * number : 20 * number + 20], embedded], 1),
            rtol=1e-6,
        )
    dense = net.fc_noise
    kernel = dense.kernel.numpy()
    v = dense.u.numpy() @ kernel.T
    v /= np.linalg.norm(v)
    first = z[:, :20] @ kernel / np.linalg.norm(v @ kernel) + dense.bias.numpy()
    np.testing.assert_allclose(seen[0][0], first.reshape(2, 4, 4, 32), rtol=1e-4, atol=1e-5)


def test_conditional_gain_is_one_plus_and_may_be_without():
    x = np.random.default_rng(0).normal(2, 3, (4, 3, 3, 6)).astype(np.float32)
    condition = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    normalized = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    for unit_gain in (True, False):
        norm = layers.ConditionalBatchNorm(6, 5, KEY, unit_gain, normalize=False)
        gain, shift = condition @ norm.gain.kernel.numpy(), condition @ norm.shift.kernel.numpy()
        expected = (unit_gain + gain)[:, None, None] * normalized + shift[:, None, None]
        np.testing.assert_allclose(
            norm(tf.constant(x), tf.constant(condition), training=True), expected, atol=1e-4
        )


def _pointwise(layer):
    return layer.kernel.numpy()[0, 0].astype(np.float64)


def test_attention_against_numpy():
    block = layers.NonLocalBlock(16, KEY, normalize=False)
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 16)).astype(np.float32)
    np.testing.assert_array_equal(block(tf.constant(x)), x)  # The gate starts at 0.
    block.sigma.assign(0.7)
    expected = np.empty(x.shape)
    pool = lambda y: y.reshape(2, 2, 3, 2, -1).max((1, 3)).reshape(6, -1)
    for n, image in enumerate(x.astype(np.float64)):
        theta = (image @ _pointwise(block.theta)).reshape(24, 2)
        phi, g = pool(image @ _pointwise(block.phi)), pool(image @ _pointwise(block.g))
        scores = np.exp(theta @ phi.T)
        attended = scores / scores.sum(1, keepdims=True) @ g
        expected[n] = image + 0.7 * (attended @ _pointwise(block.attn_g)).reshape(4, 6, 16)
    np.testing.assert_allclose(block(tf.constant(x)), expected, atol=1e-5)


def test_the_head_of_the_discriminator_against_numpy():
    """Sum pooling, and c_rf + x~^T W y with one-hot and with soft labels."""
    net = s3gan.Discriminator(32, ch=8, num_classes=3, spectral_norm=False)
    maps = []
    last = net.blocks[-1]
    original = last.call
    last.call = lambda x, **kwargs: maps.append(original(x, **kwargs)) or maps[-1]
    x = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    logits = net(tf.constant(x), tf.constant([2, 0]))
    h = np.maximum(maps[0].numpy(), 0).sum((1, 2))
    plain = h @ net.final_fc.kernel.numpy()[:, 0] + net.final_fc.bias.numpy()
    kernel = net.projection.kernel.numpy()
    np.testing.assert_allclose(logits, plain + (h * kernel[[2, 0]]).sum(1), rtol=1e-4)
    soft = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32)
    np.testing.assert_allclose(
        net(tf.constant(x), tf.constant(soft)), plain + (h * (soft @ kernel)).sum(1), rtol=1e-4
    )
    without = s3gan.Discriminator(32, ch=8, num_classes=1, projection=False)
    assert not any('projection' in v.name for v in without.trainable_variables)
    assert without(tf.constant(x)).shape == (2,)
    with pytest.raises(ValueError, match='y must be given'):
        net(tf.constant(x))


def test_blocks_against_their_parts():
    """Tables 8 and 9, layer by layer, with the resampling in a step of its own."""
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 8, 8, 6)), tf.float32)
    c = tf.constant(np.random.default_rng(1).normal(size=(2, 5)), tf.float32)
    up = layers.GeneratorBlock(6, 4, 5, KEY)
    weights = lambda layer: layer.weights_of_step(False)
    conv = lambda x, layer: tf.nn.conv2d(x, weights(layer), 1, 'SAME') + layer.bias
    twice = lambda x: tf.repeat(tf.repeat(x, 2, 1), 2, 2)
    y = conv(twice(tf.nn.relu(up.bn1(x, c, training=True, frozen=True))), up.conv1)
    y = conv(tf.nn.relu(up.bn2(y, c, training=True, frozen=True)), up.conv2)
    np.testing.assert_allclose(
        up(x, c, training=True, frozen=True), y + conv(twice(x), up.shortcut), atol=1e-4
    )
    down = layers.DiscriminatorBlock(6, 4, KEY)
    mean = lambda x: tf.nn.avg_pool2d(x, 2, 2, 'VALID')
    y = mean(conv(tf.nn.relu(conv(tf.nn.relu(x), down.conv1)), down.conv2))
    np.testing.assert_allclose(down(x), y + mean(conv(x, down.shortcut)), atol=1e-4)
    last = layers.DiscriminatorBlock(6, 6, KEY, down=False)
    np.testing.assert_allclose(
        last(x), conv(tf.nn.relu(conv(tf.nn.relu(x), last.conv1)), last.conv2), atol=1e-4
    )


def test_only_unfrozen_training_moves_state():
    generator = s3gan.Generator(32, ch=8, num_classes=3, seed=1)
    discriminator = s3gan.Discriminator(32, ch=8, num_classes=3, rotation_head=True)
    z, y = random.normal(KEY, [4, 80]), tf.constant([0, 1, 2, 0])
    state = lambda net: [v.numpy() for v in net.non_trainable_variables]
    same = lambda one, other: [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]
    before = state(generator)
    for options in ({}, {'training': True, 'frozen': True}):
        images = generator(z, y, **options)
        assert all(same(state(generator), before))
    generator(z, y, training=True)
    assert not any(same(state(generator), before))
    before = state(discriminator)
    discriminator(images, y)
    assert all(same(state(discriminator), before))
    discriminator(images, y, training=True)
    moved = [not kept for kept in same(state(discriminator), before)]
    # All but the head for rotations, which was not asked, and the u of one output: 1 or -1.
    assert moved == [
        'rotation' not in v.name and v.shape != (1, 1)
        for v in discriminator.non_trainable_variables
    ]


def test_the_configuration_builds_the_same_network():
    for net in (
        s3gan.Generator(32, ch=8, num_classes=3, seed=4, upsampling='zeros'),
        s3gan.Discriminator(32, ch=8, num_classes=3, seed=4, label_head=True),
    ):
        again = type(net).from_config(net.get_config())
        for one, other in zip(net.variables, again.variables, strict=True):
            assert one.name == other.name
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    'net, arguments, message',
    [
        (
            s3gan.Generator,
            {'image_size': 100},
            r'Generator.image_size = 100 is none of \[32, 64, 128',
        ),
        (s3gan.Generator, {'channels': 4}, 'Generator.channels = 4 is neither 1'),
        (s3gan.Generator, {'ch': 0}, 'Generator.ch = 0 must be a whole number of at least 1'),
        (
            s3gan.Generator,
            {'image_size': 32, 'z_dim': 81},
            'z_dim = 81 is not a positive multiple of 4',
        ),
        (s3gan.Generator, {'image_size': 32, 'attention_after': 4}, r'= 4 is outside \[0, 3\]'),
        (s3gan.Generator, {'ch': 2}, 'channels = 4 is not a multiple of 8: ch is too small'),
        (s3gan.Discriminator, {'num_classes': 0}, 'Discriminator.num_classes = 0 must be a whole'),
        (
            s3gan.Discriminator,
            {'image_size': 32, 'attention_after': -1},
            r'= -1 is outside \[0, 4\]',
        ),
    ],
)
def test_bad_arguments(net, arguments, message):
    with pytest.raises(ValueError, match=message):
        net(**arguments)
