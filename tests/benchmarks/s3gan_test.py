"""The S3GAN benchmark: its arithmetic and its complaints."""

from __future__ import annotations

import json
import sys

import pytest
import tensorflow as tf

from benchmarks import s3gan, s3gan_tensorflow

SMALL = s3gan.CONFIGS['small']._replace(batch=32)  # Two images are rotated.
LARGE = s3gan.CONFIGS['full']._replace(ch=8, classes=10)


# Arithmetic.


def test_products_of_small_networks_counted_by_hand():
    # 8 pixels: one block of the generator from 16 to 8 channels, two of the discriminator, 8 wide,
    # a non-local block in both.
    config = s3gan.Config(8, 3, 8, 10, 2, (2, 1), (1, 1), (1, 1))
    attention = 64 * 8 * (1 + 1 + 4) + 64 * 4 * 8  # theta, phi, g; out
    assert s3gan.generator_products(config) == (
        20 * 256  # noise to 4 x 4 x 16
        + 148 * 2 * (16 + 8)  # gains and shifts
        + 64 * 16 * 8 * (9 + 1)
        + 64 * 8 * 8 * 9  # up_conv1, shortcut, same_conv2
        + attention
        + 64 * 8 * 3 * 9,
        20 * 256,
        64 * 16 * (1 + 4),
    )
    # A second block, from 8 to 16 pixels, has 4 x 4 weights; the first but its 1 x 1 convolution.
    two = config._replace(image_size=16, generator=(2, 1, 1))
    assert s3gan.generator_products(two, fused=True).weights == (
        s3gan.generator_products(two).weights
        - 64 * 16 * 8
        + 16 * 16 * 8
        - 256 * 8 * 8 * (9 + 1)
        + 64 * 8 * 8 * (16 + 1)
    )
    lowest = 64 * 3 * 8 * (9 + 1)  # same_conv1, shortcut
    in_first_attention = 16 * 8 * (1 + 1 + 4) + 16 * 4 * 8
    rest = 64 * 8 * 8 * 9 + in_first_attention + 2 * 16 * 8 * 8 * 9
    assert s3gan.discriminator_products(config) == (lowest + rest, lowest, 16 * 4 * (1 + 4))


def counted(function, *specs):
    """Floating-point operations of the products that the outputs of a function need."""
    graph = tf.function(function).get_concrete_function(*specs).graph
    needed, waiting, total = set(), [tensor.op for tensor in graph.outputs], 0
    while waiting:
        op = waiting.pop()
        if op in needed:
            continue
        needed.add(op)
        waiting += [tensor.op for tensor in op.inputs]
        shapes = [tensor.shape for tensor in op.inputs]
        if op.type.startswith('Conv2D'):
            # Of the convolution itself or of the one whose gradient this is.
            made = op.outputs[0].shape
            kernel = made if op.type == 'Conv2DBackpropFilter' else shapes[1]
            image = made if op.type == 'Conv2D' else shapes[2]
            total += 2 * kernel.num_elements() * image[:3].num_elements()
        elif op.type in ('MatMul', 'BatchMatMulV2'):
            if [16, 9] in (*shapes, op.outputs[0].shape):
                continue  # Makes 4 x 4 weights, which is no product with images.
            transposed = op.get_attr('transpose_a' if op.type == 'MatMul' else 'adj_x')
            inner = shapes[0][-2 if transposed else -1]
            total += 2 * inner * op.outputs[0].shape.num_elements()
    return total


@pytest.mark.parametrize('config', [SMALL, LARGE], ids=['small', 'large'])
@pytest.mark.parametrize('fused', [False, True])
def test_products_of_a_step_are_as_many_as_counted(config, fused):
    model = s3gan_tensorflow.training(config, fused)
    for layer in model.submodules:  # The power iterations are not counted.
        if hasattr(layer, 'u'):
            layer.u = None
    made, seen = model.generator, model.discriminator
    number = config.batch
    images = tf.TensorSpec([number, config.image_size, config.image_size, config.channels])
    labels = tf.TensorSpec([number], tf.int32)
    noise = tf.TensorSpec([number, made.z_dim])

    def forward(z, y):
        return made(z, y, training=True, frozen=True)

    def discriminator(real, labels, fake, y):
        with tf.GradientTape() as tape:
            loss, _ = model.discriminator_loss(real, labels, fake, y)
        return tape.gradient(loss, seen.trainable_variables)

    def generator(z, y):
        with tf.GradientTape() as tape:
            loss, _ = model.generator_loss(made(z, y, training=True), y)
        return tape.gradient(loss, made.trainable_variables)

    # Labels and heads are left out.
    once = counted(forward, noise, labels)
    assert s3gan.flops('forward', config, fused) == pytest.approx(once, rel=2e-3)
    step = 2 * (once + counted(discriminator, images, labels, images, labels)) + counted(
        generator, noise, labels
    )
    assert s3gan.flops('step', config, fused) == pytest.approx(step, rel=2e-3)


def run(ms, parameters=7, peak_mb=100.0):
    return {
        'ms': [ms, ms - 1, ms + 1],
        'first_s': 2.0,
        'parameters': parameters,
        'memory': {'peak_mb': peak_mb},
        'libraries': {},
    }


RUNS = {
    'arboretum': [run(20), run(50)],
    'xla': [run(10), run(30)],
    'unfused': [run(40), run(50)],
    'torch': [run(40), run(90)],
    'torch_contiguous': [run(50), run(95)],
    'bfloat16': [run(5), run(5)],
}
PEAKS = {'float32': 100.0, 'bfloat16': 200.0}


def test_summary():
    config = s3gan.CONFIGS['small']
    row = s3gan.summary('small_forward', config, RUNS, PEAKS)
    assert row['gflop'] > row['fused_gflop']
    forms = row['forms']
    assert forms['xla']['round_ms'] == [10, 30] and forms['xla']['median_ms'] == 20
    assert forms['xla']['images_per_s'] == pytest.approx(64 / 0.020)
    assert forms['xla']['floor_ms'] == pytest.approx(row['gflop'] * 10)
    assert forms['xla']['floor_fraction'] == pytest.approx(row['gflop'] / 2)
    assert forms['bfloat16']['floor_ms'] == pytest.approx(row['gflop'] * 5)
    # The best of each, and no ratio where PyTorch has no form.
    assert list(row['ratios']) == ['torch over xla', 'unfused over arboretum']
    assert row['ratios']['torch over xla']['median'] == pytest.approx(3.5)  # of 4 and 3
    with pytest.raises(SystemExit, match='different numbers of parameters'):
        s3gan.summary('small_forward', config, RUNS | {'torch': [run(9, 8)] * 2}, PEAKS)


def test_table_says_what_was_measured():
    config = s3gan.CONFIGS['small']
    runs = RUNS | {'xla': [run(10, peak_mb=None), run(30)]}
    text = s3gan.table(
        {
            'peaks': PEAKS,
            'workloads': {
                name: s3gan.summary(name, config, runs, PEAKS)
                for name in ('small_forward', 'small_step')
            },
        }
    )
    lines = text.splitlines()
    assert lines[0] == '32 pixels, ch 8, generator, batch 64, 7 parameters'
    assert lines[1].split() == [
        'ms',
        'median',
        'lowest',
        'highest',
        'peak',
        'MB',
        'floor',
        'images/s',
    ]
    assert lines[2].split()[:5] == ['Arboretum', '35.0', '20.0', '50.0', '100']
    assert lines[2].split()[-1] == '1828.6'
    assert lines[3].split()[2:6] == ['20.0', '10.0', '30.0', '?']
    assert 'torch over xla: 3.50 (3.00 to 4.00; of the medians 3.25)' in lines
    assert 'peak of convolutions, 100 GFLOP/s in float32, 200 GFLOP/s in bfloat16' in lines[-1]


@pytest.mark.parametrize(
    'argument', ['--rounds=0', '--only=small', '--forms=torch,jax', '--full_batch=x']
)
def test_bad_argument(monkeypatch, capsys, argument):
    monkeypatch.setattr(sys, 'argv', ['s3gan.py', argument])
    with pytest.raises(SystemExit):
        s3gan.main()
    assert argument.partition('=')[0] in capsys.readouterr().err


# This project's side.


@pytest.mark.parametrize('timed', [s3gan_tensorflow.forward_ms, s3gan_tensorflow.step_ms])
def test_one_block_to_warm_up_and_the_others_timed(timed):
    config = SMALL._replace(ch=1, batch=2)
    result = timed(config, repetitions=2, blocks=2)
    assert len(result['ms']) == 2 and min(result['ms']) > 0 and result['first_s'] > 0


def test_peak_is_printed_as_the_benchmark_reads_it(monkeypatch, capsys):
    monkeypatch.setattr(s3gan_tensorflow, 'gflop_per_s', {'float32': 1.0, 'bfloat16': 2.0}.get)
    monkeypatch.setattr(sys, 'argv', ['s3gan_tensorflow.py', 'peak'])
    monkeypatch.setattr(tf.config.experimental, 'enable_op_determinism', lambda: None)
    s3gan_tensorflow.main()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed['gflop_per_s'] == {'float32': 1.0, 'bfloat16': 2.0}
    assert list(printed['libraries']) == ['tensorflow']
