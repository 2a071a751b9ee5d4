"""Every loss by hand, and over two replicas."""

import math

import numpy as np
import pytest
import tensorflow as tf

from research.s3gan import losses, rotations
from tests import conformance


def test_hinge_losses_by_hand():
    real, fake = tf.constant([2.0, 0.5, -1.0]), tf.constant([-3.0, 1.0])
    # (0 + .5 + 2) / 3 + (0 + 2) / 2.
    assert losses.hinge_discriminator(real, fake).numpy() == pytest.approx(2.5 / 3 + 1)
    assert losses.hinge_generator(fake).numpy() == pytest.approx(1)


def test_hinge_is_the_papers_minimum():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 50))
    expected = -np.mean(np.minimum(0, -1 + real)) - np.mean(np.minimum(0, -1 - fake))
    assert losses.hinge_discriminator(
        tf.constant(real), tf.constant(fake)
    ).numpy() == pytest.approx(expected)


def test_equation_1_by_hand():
    # Two images: p(right) is 1/4 and 1/2.
    logits = tf.constant([[0.0, 0, 0, 0], [0, math.log(3), 0, 0]])
    assert losses.rotation(logits, tf.constant([2, 1])).numpy() == pytest.approx(
        (math.log(4) + math.log(2)) / 2
    )


def test_equation_2_by_hand():
    value = losses.semi_supervised(
        tf.constant([[0.0, 0, 0, 0]]),
        tf.constant([3]),
        tf.constant([[0.0, 0], [math.log(3), 0]]),
        tf.constant([1, 0]),
        gamma=0.5,
    )
    # log 4 + .5 (log 2 + log 4/3) / 2.
    assert value.numpy() == pytest.approx(math.log(4) + 0.25 * (math.log(2) + math.log(4 / 3)))


LOGITS = [[math.log(3), 0.0], [0.0, 0.0], [5.0, 5.0], [0.0, math.log(7)]]
REAL, FAKE, LABELS = [0.0, 0.5, -1.0, 3.0], [-2.0, 0.0], [0, -1, -1, 0]


@pytest.mark.parametrize('separate, of_real', [(False, 3.5 / 4), (True, 0.5 + 1.25)])
def test_equation_3_by_hand(separate, of_real):
    value = losses.co_training_discriminator(
        tf.constant(REAL),
        tf.constant(FAKE),
        tf.constant(LOGITS),
        tf.constant(LABELS),
        0.4,
        separate,
    )
    # Labelled: images 0 and 3, hinge 1 and 0, entropies log 4/3 and log 8. Unlabelled: .5 and 2.
    # Generated: 0 and 1.
    expected = of_real + 0.4 * (math.log(4 / 3) + math.log(8)) / 2 + 0.5
    assert value.numpy() == pytest.approx(expected)


@pytest.mark.parametrize(
    'arguments, expected',
    [
        # Without separate_means each image counts 1 / n, n = 2 048; with it the 205 labelled images
        # count 1 / 205 and the other 1 843 count 1 / 1 843.
        ({}, [1, 1, 1]),
        ({'separate_means': True}, [2048 / 205, 2048 / 1843, 1]),
    ],
)
def test_weight_of_an_image_in_equation_3(arguments, expected):
    number, labelled = 2048, 205
    labels = np.where(np.arange(number) < labelled, 1, -1).astype(np.int32)
    real, fake = tf.zeros([number]), tf.zeros([number])  # All within the hinge.
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        value = losses.co_training_discriminator(
            real, fake, tf.zeros([number, 2]), tf.constant(labels), 0.2, **arguments
        )
    of_real, of_fake = (
        number * gradient.numpy() for gradient in tape.gradient(value, [real, fake])
    )
    np.testing.assert_allclose(of_real[:labelled], -expected[0], rtol=1e-5)
    np.testing.assert_allclose(of_real[labelled:], -expected[1], rtol=1e-5)
    np.testing.assert_allclose(of_fake, expected[2], rtol=1e-5)


@pytest.mark.parametrize('separate', [False, True])
@pytest.mark.parametrize(
    'labels, expected',
    [
        ([-1] * 4, 3.5 / 4 + 0.5),
        (
            [0, 0, 1, 1],
            3.5 / 4
            + 0.5
            + 0.4 * (math.log(4 / 3) + math.log(2) + math.log(2) + math.log(8 / 7)) / 4,
        ),
    ],
)
def test_equation_3_of_a_batch_of_one_kind(labels, expected, separate):
    value = losses.co_training_discriminator(
        tf.constant(REAL),
        tf.constant(FAKE),
        tf.constant(LOGITS),
        tf.constant(labels),
        0.4,
        separate,
    )
    assert value.numpy() == pytest.approx(expected)


def test_no_gradient_reaches_the_classifier_from_images_without_a_label():
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = losses.co_training_discriminator(
            tf.constant(REAL), tf.constant(FAKE), logits, tf.constant(LABELS), 0.4
        )
    gradient = tape.gradient(value, logits).numpy()
    # .4 / 2 (softmax - one-hot) where there is a label.
    np.testing.assert_allclose(
        gradient, [[-0.05, 0.05], [0, 0], [0, 0], [0.2 * (1 / 8 - 1), 0.2 * 7 / 8]], atol=1e-6
    )


def test_the_error_of_the_labelled():
    logits = tf.constant([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    error = lambda labels: losses.labelled_error_percent(logits, tf.constant(labels)).numpy()
    assert error([0, 0, -1, 1]) == pytest.approx(200 / 3)
    assert error([-1] * 4) == 0


@pytest.mark.parametrize('separate', [False, True])
def test_replicas_with_unequal_numbers_of_labels_have_the_loss_of_the_batch(separate):
    labels = [0, 0, 0, -1]  # Two labelled on the first replica, one on the second.
    arguments = [np.array(value, np.float32) for value in (REAL, FAKE, LOGITS)]
    whole = losses.co_training_discriminator(
        *(tf.constant(value) for value in arguments), tf.constant(labels), 0.4, separate
    )
    strategy = conformance.two_devices()
    parts = [
        strategy.experimental_distribute_values_from_function(
            lambda context, value=value: tf.constant(
                np.split(value, 2)[context.replica_id_in_sync_group]
            )
        )
        for value in [*arguments, np.array(labels, np.int32)]
    ]
    values = tf.function(
        lambda: strategy.run(
            lambda *part: losses.co_training_discriminator(*part, 0.4, separate), args=parts
        )
    )()
    assert strategy.reduce(tf.distribute.ReduceOp.MEAN, values, axis=None).numpy() == (
        pytest.approx(whole.numpy())
    )


def test_rotations_hold_what_they_say():
    images = np.random.default_rng(0).uniform(size=(3, 4, 4, 2)).astype(np.float32)
    turned = rotations.turned(tf.constant(images)).numpy()
    labels = rotations.quarters(3).numpy()
    assert labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for image, quarter, upright in zip(
        np.concatenate([images, turned]), labels, np.tile(images, (4, 1, 1, 1)), strict=True
    ):
        np.testing.assert_array_equal(image, np.rot90(upright, quarter))


@pytest.mark.parametrize(
    'number, share, expected',
    [
        (16, 1 / 16, [0]),
        (16, 1 / 8, [0, 8]),
        (10, 0.3, [0, 4, 7]),
        (4, 1.0, [0, 1, 2, 3]),
        (12, 5 / 12, [0, 3, 5, 8, 10]),
    ],
)
def test_which_images_are_rotated_does_not_depend_on_the_number_of_replicas(
    number, share, expected
):
    for replicas in (count for count in (1, 2, 4) if number % count == 0):
        chosen = rotations.chosen(number, share, replicas)
        size = number // replicas
        found = [
            index + replica * size
            for replica in range(replicas)
            for index, counted in zip(chosen.indices[replica], chosen.counted[replica], strict=True)
            if counted
        ]
        assert found == expected
        # No replica rotates more images than it must.
        assert chosen.indices.shape == (
            replicas,
            max(sum(index // size == replica for index in expected) for replica in range(replicas)),
        )
        for replica in range(replicas):
            np.testing.assert_array_equal(
                chosen.of(tf.range(size), replica), chosen.indices[replica]
            )


@pytest.mark.parametrize('number, share, images', [(16, 0.3, '4.8'), (8, 1 / 16, '0.5')])
def test_a_share_that_is_no_whole_number_of_images_is_refused(number, share, images):
    with pytest.raises(ValueError) as error:
        rotations.chosen(number, share, 2)
    assert str(error.value) == (
        f'S3GAN.rotated_share = {share:g} of the {number} images of an update is {images} images; '
        'it must be a whole number of at least 1.'
    )


def test_rows_that_do_not_count():
    logits = tf.constant([[0.0, 0, 0, 0], [5, 0, 0, 0], [0, math.log(3), 0, 0]])
    assert losses.rotation(
        logits, tf.constant([2, 2, 1]), tf.constant([1.0, 0, 1])
    ).numpy() == pytest.approx((math.log(4) + math.log(2)) / 2)
