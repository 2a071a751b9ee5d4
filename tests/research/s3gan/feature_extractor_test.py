"""The feature extractor: its loss against Eqs. (1) and (2), metrics, what every model must do."""

import functools
import types

import numpy as np
import pytest
import tensorflow as tf

from official.core import keras_experiment
from official.data import digits, image_sources
from official.modeling import schedules
from official.vision import resnet_v2
from research.s3gan import feature_data, feature_extractor
from tests import conformance

SIZE, CLASSES = 6, 7
TINY = functools.partial(resnet_v2.ResNetV2, 1, SIZE, 1, (1, 1), True, decay=0.5)


class Pixels(tf.keras.Model):
    """In the place of F: the pixels are the features. Remembers what it was given."""

    def __init__(self, seed):
        super().__init__()
        self.image_size, self.channels, self.num_features = SIZE, 1, SIZE * SIZE
        self.seen = []

    def call(self, images, training=False):
        self.seen.append((images.numpy() if tf.executing_eagerly() else None, training))
        return tf.reshape(images, [-1, SIZE * SIZE])


def make(network=Pixels, num_classes=CLASSES, heads=0, **arguments):
    model = feature_extractor.FeatureExtractor(
        seed=1, network=network, num_classes=num_classes, **arguments
    )
    rng = np.random.default_rng(heads)
    for head in filter(None, (model.rotation_head, model.label_head)):
        head.kernel.assign(rng.normal(0, 0.3, head.kernel.shape))
        head.bias.assign(rng.normal(size=head.bias.shape))
    return model


def batch(unlabelled=5, labelled=3, seed=0):
    rng = np.random.default_rng(seed)
    return (
        (
            rng.integers(0, 256, (unlabelled, SIZE, SIZE, 1), np.uint8),
            rng.integers(0, 256, (labelled, SIZE, SIZE, 1), np.uint8),
        ),
        rng.integers(0, CLASSES, labelled, np.int32),
    )


def tensors(data):
    return tf.nest.map_structure(tf.constant, data)


def log_p(features, head):
    logits = features.astype(np.float64) @ head.kernel.numpy() + head.bias.numpy()
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def inputs(images):
    return images.astype(np.float64) / 255 * 2 - 1


def equation(model, data, features):
    """Eqs. (1) and (2), printed sums and means, in float64; features(x) gives F(x) of images."""
    (unlabelled, labelled), labels = data
    rotation = label = 0.0
    for r in range(4):  # Quarter turns counterclockwise.
        of_unlabelled = features(np.rot90(inputs(unlabelled), r, (1, 2)))
        rotation -= log_p(of_unlabelled, model.rotation_head)[:, r].mean() / 4
        of_labelled = features(np.rot90(inputs(labelled), r, (1, 2)))
        if model.label_head:
            own = log_p(of_labelled, model.label_head)[np.arange(len(labels)), labels]
            label -= own.mean() / 4
    return rotation, label


def pixels(images):
    return images.reshape(len(images), -1)


@pytest.mark.parametrize('gamma', [0.5, 2.0])
def test_the_loss_is_equation_2(gamma):
    model, data = make(gamma=gamma, weight_decay=0.0), batch()
    terms = model.loss_terms(tensors(data))
    rotation, label = equation(model, data, pixels)
    assert float(terms['rotation_loss']) == pytest.approx(rotation, rel=1e-5)
    assert float(terms['label_loss']) == pytest.approx(label, rel=1e-5)
    assert float(terms['loss']) == pytest.approx(rotation + gamma * label, rel=1e-5)


def test_without_classes_the_loss_is_equation_1():
    model = make(num_classes=None, weight_decay=0.0)
    (unlabelled, labelled), labels = batch()
    terms = model.loss_terms(tf.constant(unlabelled))
    rotation, _ = equation(model, ((unlabelled, labelled), labels), pixels)
    assert float(terms['loss']) == pytest.approx(rotation, rel=1e-5)
    assert set(terms) == {'loss', 'rotation_loss', 'rotation_error_percent'}


def test_the_weights_decay_and_gains_shifts_and_biases_do_not():
    data = tensors(batch())
    plain, decayed = (make(TINY, weight_decay=decay) for decay in (0.0, 0.1))
    kernels = [v.numpy() for v in plain.trainable_variables if 'kernel' in v.name]
    # The stem; four kernels in each of the two blocks, both of which change the width; two heads.
    assert len(kernels) == 1 + 2 * 4 + 2
    penalty = 0.1 * sum(np.square(kernel.astype(np.float64)).sum() for kernel in kernels) / 2
    difference = decayed.loss_terms(data)['loss'] - plain.loss_terms(data)['loss']
    assert float(difference) == pytest.approx(penalty, rel=1e-3)


def test_every_image_comes_in_all_four_rotations_and_in_one_batch():
    model, data = make(), batch()
    terms = model.loss_terms(tensors(data))
    ((seen, training),) = model.network.seen
    assert training and seen.shape == (4 * 8, SIZE, SIZE, 1)
    images = inputs(np.concatenate(data[0]))
    for image in images:
        for r in range(4):
            turned = np.rot90(image, r, (0, 1))
            assert sum(np.allclose(turned, other, atol=1e-6) for other in seen) == 1
    assert 0 <= float(terms['rotation_error_percent']) <= 100


def test_the_loss_of_a_network_with_batch_norm():
    """All images, four ways each, share the statistics."""
    model, data = make(TINY, weight_decay=0.0), batch()
    terms = model.loss_terms(tensors(data))
    every = np.concatenate(
        [np.rot90(inputs(part), r, (1, 2)) for part in data[0] for r in range(4)]
    )
    reference = TINY(seed=1)
    known = reference(tf.constant(every, tf.float32), training=True).numpy()

    def features(images):
        which = [np.abs(every - image).sum((1, 2, 3)).argmin() for image in images]
        return known[which]

    rotation, label = equation(model, data, features)
    assert float(terms['loss']) == pytest.approx(rotation + 0.5 * label, rel=1e-4)


def test_a_step_goes_down_the_gradient_of_the_equation():
    model, data = make(gamma=0.5, weight_decay=0.01), batch()
    model.compile(tf.keras.optimizers.SGD(0.3))
    model.build_optimizers()
    kernel = model.label_head.kernel.numpy().astype(np.float64)
    (_, labelled), labels = data
    features = np.concatenate([pixels(np.rot90(inputs(labelled), r, (1, 2))) for r in range(4)])
    # By hand: the gradient of the mean cross-entropy of softmax(x W + b) is x^T (p - y) / n.
    error = np.exp(log_p(features, model.label_head)) - np.eye(CLASSES)[np.tile(labels, 4)]
    gradient = 0.5 * features.T @ error / len(features) + 0.01 * kernel
    logs = model.train_step(tensors(data))
    np.testing.assert_allclose(model.label_head.kernel, kernel - 0.3 * gradient, atol=1e-5)
    assert int(model.global_step) == 1
    assert set(logs) == {
        'loss',
        'rotation_loss',
        'rotation_error_percent',
        'label_loss',
        'error_percent',
    }


def test_errors_are_those_of_upright_images_and_padding_does_not_count():
    model = make()
    model.compile(tf.keras.optimizers.SGD(0.1))
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (23, SIZE, SIZE, 1), np.uint8)
    labels = rng.integers(0, CLASSES, 23, np.int32)
    padded = [np.concatenate([array, array[:1].repeat(1, 0)]) for array in (images, labels)]
    weights = np.float32([1] * 23 + [0])
    dataset = tf.data.Dataset.from_tensor_slices((*padded, weights)).batch(8, drop_remainder=True)
    logs = model.evaluate(dataset, verbose=0, return_dict=True)
    ranks = (-log_p(pixels(inputs(images)), model.label_head)).argsort(1)
    wrong = 100 * np.mean(ranks[:, 0] != labels)
    wrong_5 = 100 * np.mean(~np.any(ranks[:, :5] == labels[:, np.newaxis], 1))
    assert 0 < wrong_5 < wrong
    assert float(logs['error_percent']) == pytest.approx(wrong, rel=1e-5)
    assert float(logs['top5_error_percent']) == pytest.approx(wrong_5, rel=1e-5)
    predicted = np.stack(
        [
            log_p(pixels(np.rot90(inputs(images), r, (1, 2))), model.rotation_head).argmax(1)
            for r in range(4)
        ]
    )
    wrong_r = 100 * np.mean(predicted != np.arange(4)[:, np.newaxis])
    assert float(logs['rotation_error_percent']) == pytest.approx(wrong_r, rel=1e-5)
    counts = np.zeros((4, 4))
    np.add.at(counts, (np.repeat(np.arange(4), 23), predicted.ravel()), 1)
    np.testing.assert_array_equal(logs['rotation_confusion_matrix'], counts)
    assert np.sum(logs['confusion_matrix']) == 23
    assert np.trace(logs['confusion_matrix']) == np.sum(ranks[:, 0] == labels)


def test_bytes_and_floats_give_the_same():
    model = make(TINY)
    images = batch()[0][0]
    outputs, same = model.predict(images, verbose=0), model(tf.constant(images / 255, tf.float32))
    assert {name: value.shape for name, value in outputs.items()} == {
        'features': (5, 128),
        'rotation_logits': (5, 4),
        'label_logits': (5, CLASSES),
    }
    for name in outputs:
        np.testing.assert_allclose(outputs[name], same[name], atol=1e-5)


def data_like(percent=10.0, classes=CLASSES, size=SIZE):
    source = types.SimpleNamespace(name='a set', image_size=size, channels=1)
    return types.SimpleNamespace(source=source, percent=percent, class_names=('x',) * classes)


@pytest.mark.parametrize(
    'num_classes, data, told',
    [
        (CLASSES, data_like(percent=None), 'num_classes = 7 needs labels, and FeatureData.percent'),
        (CLASSES, data_like(classes=8), 'num_classes = 7, and a set has 8 classes'),
        (None, data_like(), 'num_classes = None, and a set has 7'),
        (
            CLASSES,
            data_like(size=9),
            'images of 9 pixels, grey; the networks are for image_size = 6',
        ),
    ],
)
def test_data_that_do_not_fit(num_classes, data, told):
    with pytest.raises(ValueError, match=told):
        make(num_classes=num_classes).use_data(data)
    make().use_data(data_like())


@pytest.mark.parametrize(
    'arguments, told',
    [
        ({'gamma': -1.0}, 'FeatureExtractor.gamma = -1.0'),
        ({'num_classes': 1}, 'num_classes = 1'),
        ({'weight_decay': float('nan')}, 'weight_decay = nan'),
    ],
)
def test_a_model_that_cannot_be(arguments, told):
    with pytest.raises(ValueError, match=told):
        feature_extractor.FeatureExtractor(network=Pixels, **arguments)


def make_experiment(run_dir, strategy=None, model_overrides=None, **overrides):
    """Six steps of a tiny ResNet on the digits, two steps a call, a checkpoint at 4."""
    arguments = dict(
        seed=3,
        train_steps=6,
        save_every_steps=4,
        steps_per_execution=2,
        signatures=feature_extractor.signatures,
        model=functools.partial(
            feature_extractor.FeatureExtractor,
            **{
                'num_classes': 10,
                'network': functools.partial(resnet_v2.ResNetV2, 1, 8, 1, (1,)),
                **(model_overrides or {}),
            },
        ),
        optimizer=lambda: tf.keras.optimizers.SGD(
            schedules.WarmupThenSteps(0.05, 2, (4, 5)), momentum=0.9
        ),
        data=functools.partial(
            feature_data.FeatureData,
            percent=20,
            unlabelled_batch=12,
            labelled_batch=4,
            evaluation_batch=100,
            source=functools.partial(image_sources.ArraySource, load=digits.load),
        ),
    )
    return keras_experiment.KerasExperiment(
        run_dir, strategy=strategy, **{**arguments, **overrides}
    )


def test_keras_can_build_copy_and_save_it(tmp_path):
    model, (images, _) = make(TINY, heads=3, gamma=0.7), batch(4)[0]
    assert model.losses == []  # Keras' own property.
    expected = model(images)
    model.save(tmp_path / 'whole.keras')
    loaded = tf.keras.models.load_model(tmp_path / 'whole.keras', compile=False)
    assert loaded.get_config() == model.get_config() and loaded.gamma == 0.7
    for name, value in loaded(images).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, err_msg=name)
    copy = tf.keras.models.clone_model(model)
    assert copy.get_config() == model.get_config()


@pytest.fixture(name='trained', scope='module')
def trained_fixture(tmp_path_factory):
    return conformance.Trained(make_experiment, tmp_path_factory.mktemp('trained'), stop_at=5)


def test_resume(trained, tmp_path):
    conformance.check_resume(trained, tmp_path)


def test_xla(trained, tmp_path):
    conformance.check_xla(trained, tmp_path)


def test_two_devices(trained, tmp_path):
    conformance.check_two_devices(trained, tmp_path)


def test_export_answers_as_the_model_does(tmp_path):
    experiment = make_experiment(
        str(tmp_path / 'run'),
        train_steps=20,
        save_every_steps=20,
        steps_per_execution=10,
        optimizer=lambda: tf.keras.optimizers.SGD(0.05, momentum=0.9),
    )
    experiment.train()
    path = experiment.export()
    images, _, _ = next(iter(experiment.data.evaluation('test')))
    with experiment.reported_model() as model:
        expected = {name: value.numpy() for name, value in model(images).items()}
    images = images.numpy()
    wide = np.pad(images[:3], ((0, 0), (0, 0), (4, 4), (0, 0)), constant_values=99)
    answers = conformance.check_export(
        path,
        {
            'serving_default': {'images': images.astype(np.float32) / 255},
            'pixels': {'images': images},
            'image_bytes': {'files': np.array([tf.io.encode_png(image).numpy() for image in wide])},
        },
        tmp_path,
    )
    for name, number in (('serving_default', 100), ('pixels', 100), ('image_bytes', 3)):
        answer = answers[name]
        for output in ('features', 'rotation_logits'):
            np.testing.assert_allclose(answer[output], expected[output][:number], atol=1e-3)
        labels = expected['label_logits'][:number].argmax(1)
        np.testing.assert_array_equal(answer['labels'], labels)
        assert [name.decode() for name in answer['names']] == [str(label) for label in labels]
        np.testing.assert_allclose(answer['probabilities'].sum(1), 1, atol=1e-5)
    assert len(set(answers['pixels']['labels'])) > 1
    with pytest.raises(tf.errors.InvalidArgumentError, match='images has shape'):
        tf.saved_model.load(path).signatures['pixels'](images=tf.constant(images[:, ::2, ::2]))
