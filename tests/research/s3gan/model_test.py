"""The update of both players: who moves when, by which gradient, and for which method."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from official.data import digits, image_sources, labelling
from official.modeling import optimizers
from research import s3gan
from research.s3gan import fits, losses
from research.s3gan import model as model_lib
from tests.research.s3gan import tiny

KEY = np.array([[3, 0]], np.int32)
ADAM = functools.partial(optimizers.FusedAdam, beta_1=0.0, beta_2=0.999)


def make(seed=0, projection=True, num_classes=3, **arguments):
    small = {'ch': 8, 'num_classes': num_classes, 'channels': 1}
    model = model_lib.S3GAN(
        seed=seed,
        generator=functools.partial(tiny.make_generator, **small),
        discriminator=functools.partial(tiny.make_discriminator, projection=projection, **small),
        **arguments,
    )
    model.compile(ADAM(5e-5), discriminator_optimizer=ADAM(2e-4))
    model.build_optimizers()
    return model


def batch(number, labels=None, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (number, tiny.SIZE, tiny.SIZE, 1), np.uint8)
    return tf.constant(images), tf.constant(
        rng.integers(0, 3, number, np.int32) if labels is None else labels
    )


def values(net, trainable=True):
    return [v.numpy() for v in (net.trainable_variables if trainable else net.variables)]


SINGLE_LABEL = {'projection': False, 'num_classes': 1}
FEW_LABELS = np.array([0, -1, -1, 2, -1, 1, -1, -1], np.int32)


def test_the_generator_gets_the_labels_that_the_discriminator_judges():
    """In the update of either player and in `sample`; images are of the batch's own statistics."""
    model, (images, labels) = make(), batch(8)
    model.set_label_prior([0.2, 0.3, 0.5])
    calls, judged = [], []
    call, logits = model.generator.call, model.discriminator.logits

    def spy(z, y, **options):
        calls.append((np.array(y), options))
        return call(z, y, **options)

    def judge(features, y, **options):
        judged.append(np.array(y))
        return logits(features, y, **options)

    model.generator.call, model.discriminator.logits = spy, judge
    model.train_step((images, labels))
    own = {'training': True, 'frozen': True}
    assert [options for _, options in calls] == [own, own, {'training': True}]
    # The second half of what is judged in the discriminator's updates is generated.
    for step, (y, _) in enumerate(calls):
        of_fake = judged[step][-4:] if step < 2 else judged[step]
        expected = np.eye(3)[y] if of_fake.ndim == 2 else y
        np.testing.assert_array_equal(of_fake, expected)
    # And what is said to be drawn: not one label always, nor the same in all updates.
    assert len(np.unique([y for y, _ in calls])) > 1
    calls.clear()
    drawn = model.sample(tf.range(64, dtype=tf.int64))[2].numpy()
    np.testing.assert_array_equal(calls[0][0], drawn)
    assert not calls[0][1].get('training') and np.bincount(drawn, minlength=3).min() > 4


def _apart(net, images, y):
    return net.logits(net.features(images), y)


def test_the_losses_are_the_equations_with_a_call_for_each_set_of_images():
    """Real, generated and rotated images go through the network together, and as if apart."""
    model = make(rotation_losses=True, rotated_share=0.5, beta=0.7, alpha=0.3)
    net = model.discriminator
    images, labels = batch(4)
    real = tf.cast(images, tf.float32) / 255
    z, y = model.draw(KEY, 4)
    fake = model.generator(z, y, training=True)
    for _ in range(50):  # Now u hardly moves with a call.
        net.features(real, training=True)
        net.logits(net.features(real), labels, training=True)
        net.rotation(net.features(real), training=True)
    loss, _ = model.discriminator_loss(real, labels, fake, y)

    def rotation(chosen):
        entropy = 0
        for quarter in range(4):
            turned = tf.constant(np.rot90(chosen.numpy(), quarter, (1, 2)).copy())
            logp = tf.nn.log_softmax(net.rotation(net.features(turned)))[:, quarter]
            entropy -= tf.reduce_mean(logp) / 4
        return entropy

    expected = losses.hinge_discriminator(_apart(net, real, labels), _apart(net, fake, y))
    assert loss.numpy() == pytest.approx((expected + 0.7 * rotation(real[::2])).numpy(), rel=1e-3)
    loss, _ = model.generator_loss(fake, y)
    expected = -tf.reduce_mean(_apart(net, fake, y)) + 0.3 * rotation(fake[::2])
    assert loss.numpy() == pytest.approx(expected.numpy(), rel=1e-4)


def test_co_training_projects_on_soft_predictions_and_stops_their_gradient():
    model = make(label_loss=0.4)
    net = model.discriminator
    images, _ = batch(8)
    real, labels = tf.cast(images, tf.float32) / 255, tf.constant(FEW_LABELS)
    z, y = model.draw(KEY, 8)
    fake = model.generator(z, y, training=True)
    for _ in range(50):
        features = net.features(real, training=True)
        net.logits(features, y, training=True)
        net.labels(features, training=True)
    with tf.GradientTape() as tape:
        loss, _ = model.discriminator_loss(real, labels, fake, y)
    gradient = tape.gradient(loss, net.labels.kernel)
    with tf.GradientTape() as tape:
        features = net.features(real)
        label_logits = net.labels(features)
        soft = tf.where(
            labels[:, tf.newaxis] >= 0, tf.one_hot(labels, 3), tf.nn.softmax(label_logits)
        )
        expected = losses.co_training_discriminator(
            net.logits(features, tf.stop_gradient(soft)),
            _apart(net, fake, y),
            label_logits,
            labels,
            0.4,
        )
        entropy = 0.4 * losses.cross_entropy(
            tf.boolean_mask(label_logits, labels >= 0), tf.boolean_mask(labels, labels >= 0)
        )
    assert loss.numpy() == pytest.approx(expected.numpy(), rel=1e-3)
    # Of the loss nothing but the cross-entropy reaches c_CT.
    np.testing.assert_allclose(
        gradient, tape.gradient(entropy, net.labels.kernel), rtol=2e-2, atol=1e-4
    )


def test_labels_are_drawn_from_the_prior():
    model = make()
    z, y = model.draw(KEY, 30000)
    assert np.bincount(y) / 30000 == pytest.approx([1 / 3] * 3, abs=0.01)
    assert z.numpy().std() == pytest.approx(1, rel=0.01)
    model.set_label_prior([0.5, 0, 0.5])
    assert np.bincount(model.draw(KEY, 30000)[1]) / 30000 == pytest.approx([0.5, 0, 0.5], abs=0.01)
    single = make(**SINGLE_LABEL)
    assert single.draw(KEY, 10)[1].numpy().tolist() == [0] * 10
    with pytest.raises(ValueError, match='label prior of 2 labels; the generator has num_cl'):
        model.set_label_prior([0.5, 0.5])
    with pytest.raises(ValueError, match='is no distribution'):
        model.set_label_prior([0.5, 0.4, 0.2])


def test_the_average_is_of_the_generator_and_starts_when_it_should():
    model = make()
    model.average_weights(0.5, start_step=2)
    data = batch(8)
    weights = []
    for _ in range(4):
        model.train_step(data)
        weights.append(values(model.generator))
        averages = [average.numpy() for average in model.average.averages]
        if len(weights) <= 2:
            expected = weights[-1]
        else:
            expected = [0.5 * a + 0.5 * w for a, w in zip(expected, weights[-1], strict=True)]
        for one, other in zip(averages, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def test_soft_labels_and_float_images():
    """Probabilities that are 0 or 1 are labels, and others are not; uint8 is 255 times float32."""
    images, labels = batch(4)
    unit, one_hot = tf.cast(images, tf.float32) / 255, tf.one_hot(labels, 3)
    mixed = 0.5 * one_hot + 0.5 * tf.one_hot((labels + 1) % 3, 3)
    after = []
    for data in ((images, labels), (unit, one_hot), (unit, mixed)):
        model = make()
        model.train_step(data)
        after.append(np.concatenate([v.ravel() for v in values(model.discriminator)]))
    np.testing.assert_array_equal(after[0], after[1])
    assert np.abs(after[2] - after[0]).max() > 1e-5


def test_in_a_notebook():
    """compile and fit, without launcher, gin or flags: what train_step does, three times."""
    model, other = make(rotation_losses=True), make(rotation_losses=True)
    data = batch(32)
    images, labels = (np.concatenate([part] * 3) for part in data)
    history = model.fit(images, labels, batch_size=32, shuffle=False, verbose=0)
    assert int(model.global_step) == 3
    logs = []
    for _ in range(3):
        other.reset_metrics()
        logs.append(float(other.train_step(data)['loss']))
    assert history.history['loss'][0] == pytest.approx(np.mean(logs), rel=1e-2)
    z, y = model.draw(KEY, 2)
    np.testing.assert_array_equal(model((z, y)), model.generator(z, y))
    # Labels are looked at in the graph, too.
    with pytest.raises(tf.errors.InvalidArgumentError, match='label is outside 0 to 2'):
        model.fit(images, labels + 1, batch_size=32, shuffle=False, verbose=0)


def test_labels_of_no_class_are_refused():
    model, (images, _) = make(), batch(8)
    z = tf.zeros([1, 60])
    for label in (3, -1):
        with pytest.raises(ValueError, match=f'label {label} is outside 0 to 2'):
            model((z, [label]))
    with pytest.raises(ValueError, match='label 3 is outside 0 to 2'):
        model.discriminator(tf.zeros([1, 16, 16, 1]), tf.constant([3]))
    with pytest.raises(ValueError, match='1 z and 2 labels'):
        model((z, [0, 1]))
    counted_from_1 = np.arange(8, dtype=np.int32) % 3 + 1
    with pytest.raises(tf.errors.InvalidArgumentError, match='label is outside 0 to 2'):
        model.update((images, tf.constant(counted_from_1)), KEY)
    unlabelled = np.full(8, -1, np.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match='label is outside 0 to 2'):
        model.update((images, tf.constant(unlabelled)), KEY)
    co_training = make(label_loss=0.4)
    with pytest.raises(tf.errors.InvalidArgumentError, match='label is outside -1 to 2'):
        co_training.update((images, tf.constant(unlabelled - 1)), KEY)


def test_keras_can_build_copy_and_save_it(tmp_path):
    model = make(label_loss=0.4, rotation_losses=True, rotated_share=0.25, beta=1.5, seed=3)
    z, y = model.draw(KEY, 2)
    start = model((z, y)).numpy()
    with tiny.sizes():
        copies = (
            model_lib.S3GAN.from_config(model.get_config()),
            tf.keras.models.clone_model(model),
        )
    for copy in copies:
        assert copy.get_config() == model.get_config()
        assert (copy.beta, copy.label_loss, copy.rotated_share) == (1.5, 0.4, 0.25)
        np.testing.assert_array_equal(copy((z, y)), start)
    model.train_step(batch(8))
    trained = model((z, y)).numpy()
    assert np.abs(trained - start).max() > 0
    model.save(tmp_path / 'whole.keras')
    with tiny.sizes():
        loaded = tf.keras.models.load_model(tmp_path / 'whole.keras', compile=False)
    np.testing.assert_allclose(loaded((z, y)), trained, atol=1e-6)
    assert int(loaded.global_step) == 1


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'discriminator_steps': 0}, 'S3GAN.discriminator_steps = 0 must be a whole number of at'),
        ({'rotated_share': 0}, r'S3GAN.rotated_share = 0 is outside \[1e-06, 1\]'),
        ({'rotated_share': 1.5}, r'S3GAN.rotated_share = 1.5 is outside \[1e-06, 1\]'),
        ({'alpha': -1}, r'S3GAN.alpha = -1 is outside \[0, inf\)'),
        ({'label_loss': 0.4, 'projection': False}, 'label_loss needs Discriminator.projection'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_networks_that_do_not_fit_together():
    with pytest.raises(ValueError, match='Generator.image_size = 32 and Discriminator.image_size'):
        model_lib.S3GAN(
            generator=functools.partial(s3gan.Generator, image_size=32, ch=8),
            discriminator=functools.partial(s3gan.Discriminator, image_size=64, ch=8),
        )


def refused(overrides, **arguments):
    """The message with which a model refuses data of the digits with 8 images a batch."""
    model = make(**arguments)
    with pytest.raises(ValueError) as error:
        model.use_data(tiny.make_data(**overrides))
    assert '\n' not in str(error.value)
    return str(error.value)


PARTIAL = functools.partial(labelling.partial_labels, percent=20)


def test_data_that_do_not_fit_are_refused():
    assert refused(
        {'source': functools.partial(image_sources.ArraySource, load=digits.load)}, num_classes=10
    ) == (
        "scikit-learn's digits: images of 8 pixels, grey; the networks are for image_size = 16, "
        'grey.'
    )
    assert refused({}, num_classes=3) == (
        'Generator.num_classes = 3, and the labels of the data are 10.'
    )
    assert refused({}, num_classes=10, rotation_losses=True) == (
        'S3GAN.rotated_share = 0.0625 of the 8 images of an update is 0.5 images; it must be a '
        'whole number of at least 1.'
    )
    assert refused({'discriminator_steps': 1}, num_classes=10) == (
        'GanData.discriminator_steps = 1 and S3GAN.discriminator_steps = 2 differ.'
    )
    assert refused({'labelling': PARTIAL}, num_classes=10).startswith(
        'The data have images without a label'
    )

    def soft(labels, num_classes, seed):
        return labelling.Labelling(
            np.arange(len(labels)),
            np.full((len(labels), num_classes), 0.1, np.float32),
            num_classes,
        )

    assert refused({'labelling': soft}, num_classes=10, label_loss=0.2).startswith(
        'S3GAN.label_loss needs labels with -1 for none'
    )


@pytest.mark.parametrize(
    'shape, labels, sentence',
    [
        ((8, 28, 28, 1), (8,), r'images of \(28, 28, 1\); the networks are for \(16, 16, 1\)'),
        ((8, 16, 16, 3), (8,), r'images of \(16, 16, 3\); the networks are for \(16, 16, 1\)'),
        ((7, 16, 16, 1), (7,), 'A batch of 7 images cannot be divided among'),
        ((None, 16, 16, 1), (None,), 'drop_remainder=True'),
        ((8, 16, 16, 1), (4,), '8 images and 4 labels'),
        ((8, 16, 16, 1), (8, 4), 'labels of 4 probabilities; the networks have num_classes = 3'),
    ],
)
def test_a_batch_of_another_form_is_refused(shape, labels, sentence):
    model = make()
    images = tf.keras.Input(shape[1:], shape[0])
    with pytest.raises(ValueError, match=sentence):
        fits.check_batch(model, (images, tf.keras.Input(labels[1:], labels[0])))


def test_what_is_no_data_of_a_gan_is_refused():
    model, (images, labels) = make(), batch(8)
    with pytest.raises(ValueError, match='must be pairs'):
        fits.check_batch(model, images)
    with pytest.raises(ValueError, match='images of type float64; they must be uint8, or float32'):
        fits.check_batch(model, (tf.cast(images, tf.float64), labels))
    with pytest.raises(ValueError, match='z of 61 numbers; Generator.z_dim = 60'):
        model((tf.zeros([2, 61]), [0, 1]))
    with pytest.raises(NotImplementedError, match='measured by .*GanEvaluation'):
        model.evaluate(images, labels, verbose=0)


def test_optimizers_may_be_names():
    model = make()
    model.compile('adam', discriminator_optimizer='sgd')
    assert isinstance(model.optimizer, tf.keras.optimizers.Adam)
    assert isinstance(model.discriminator_optimizer, tf.keras.optimizers.SGD)


def test_fit_of_arrays_says_what_is_missing():
    model = make()
    with pytest.raises(ValueError, match='drop_remainder=True'):
        model.fit(*batch(10), batch_size=4, shuffle=False, verbose=0)


def test_label_prior_is_that_of_the_data():
    model = make(num_classes=10)

    def two(labels, num_classes, seed):
        return labelling.Labelling(
            np.arange(len(labels)), np.arange(len(labels), dtype=np.int32) % 4 // 3, 10
        )

    model.use_data(tiny.make_data(labelling=two))
    np.testing.assert_allclose(model.label_prior, np.full(10, 0.1))
    model.use_data(tiny.make_data(labelling=two, empirical_prior=True))
    np.testing.assert_allclose(model.label_prior[:2], [0.75, 0.25], atol=1e-3)
    _, y = model.draw(KEY, 4000)
    assert set(y.numpy()) == {0, 1} and 0.7 < np.mean(y == 0) < 0.8
