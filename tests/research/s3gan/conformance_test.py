"""The GAN against what every model of the house must do."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from official.core import checkpoints
from official.data import digits, image_sources, labelling
from research.s3gan import data as data_lib
from research.s3gan import discriminator, generator
from tests import conformance  # Before any op of TensorFlow's.
from tests.research.s3gan import tiny

make = tiny.make
without_scores = functools.partial(make, evaluator=None, monitor_split=None)


@pytest.fixture(name='trained', scope='module')
def trained_fixture(tmp_path_factory):
    return conformance.Trained(make, tmp_path_factory.mktemp('trained'), stop_at=3)


def test_resume(trained, tmp_path):
    conformance.check_resume(trained, tmp_path)


def test_xla(trained, tmp_path):
    conformance.check_xla(trained, tmp_path, evaluator=None, monitor_split=None)


def test_two_devices(trained, tmp_path):
    """Statistics of batch norm, the vectors u, the averages and the scores are those of one."""
    conformance.check_two_devices(trained, tmp_path, atol=5e-4, counted=False)


def test_standing_statistics_on_two_devices(tmp_path):
    one = make(str(tmp_path / 'one'), model_overrides={'noise_shards': 2})
    two = make(str(tmp_path / 'two'), strategy=conformance.two_devices())
    for experiment in (one, two):
        experiment.model.calibrate(experiment._distributed(experiment.data.calibration))
    for variable, other in zip(
        one.model.generator.variables, two.model.generator.variables, strict=True
    ):
        for replica in other.values:
            np.testing.assert_allclose(variable, replica, atol=1e-5, err_msg=variable.name)


def test_export_answers_as_the_model_does(trained, tmp_path):
    experiment = trained.experiment
    path = experiment.export()
    with experiment.reported_model() as trained:
        z, y = tiny.z_and_labels(5, trained.generator.z_dim)
        images = trained((tf.constant(z), tf.constant(y))).numpy()
        raw = experiment.model.generator.trainable_variables[1].numpy()
        logits = trained.discriminator(tf.constant(images), tf.constant(y)).numpy()
    # The averaged weights and not the last ones.
    assert np.any(raw != experiment.model.generator.trainable_variables[1].numpy())
    answers = conformance.check_export(
        path,
        {
            'serving_default': {'z': z, 'label': y},
            'generate': {'z': z[:2], 'label': y[:2]},
            'generate_pixels': {'z': z, 'label': y},
            'discriminate': {'images': images, 'label': y},
        },
        tmp_path,
    )
    np.testing.assert_allclose(answers['serving_default']['images'], images, atol=1e-5)
    np.testing.assert_allclose(answers['generate']['images'], images[:2], atol=1e-5)
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0
    pixels = answers['generate_pixels']['pixels']
    assert pixels.dtype == np.uint8 and np.abs(pixels - images * 255).max() <= 0.5001
    np.testing.assert_allclose(answers['discriminate']['logits'], logits, atol=1e-4)
    loaded = tf.saved_model.load(path).signatures
    for signature, arguments, sentence in (
        ('generate', {'z': z, 'label': y + 10}, 'label is outside 0 to 9'),
        ('generate', {'z': z, 'label': y[:1]}, 'z has shape'),
        ('generate_pixels', {'z': z[:, 1:], 'label': y}, 'z has shape'),
        ('discriminate', {'images': images[:3], 'label': y[:1]}, 'images has shape'),
        ('discriminate', {'images': images[:, ::2, ::2], 'label': y}, 'images has shape'),
        ('discriminate', {'images': images, 'label': y - 10}, 'label is outside 0 to 9'),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            loaded[signature](**{key: tf.constant(value) for key, value in arguments.items()})
    lite = conformance.tflite(path, 'discriminate', {'images': images, 'label': y})
    np.testing.assert_allclose(lite['logits'], logits, atol=1e-4)
    lite = conformance.tflite(path, 'generate', {'z': z, 'label': y}, select=True)
    np.testing.assert_allclose(lite['images'], images, atol=1e-5)


@pytest.mark.parametrize('field, value', [('ch', 4), ('image_size', 32)])
def test_weights_of_another_architecture_are_refused(trained, tmp_path, field, value):
    run_dir = trained.copy(tmp_path)
    sizes = {'ch': 2, 'channels': 1, 'num_classes': 10, field: value}
    networks, data = (tiny.make_generator, tiny.make_discriminator), {}
    if field == 'image_size':
        networks = generator.Generator, discriminator.Discriminator
        data = {
            'data': functools.partial(
                data_lib.GanData,
                source=functools.partial(
                    image_sources.ArraySource, load=digits.load, image_size=value, resize=True
                ),
                batch_size=8,
                labelling=functools.partial(labelling.partial_labels, percent=20),
            )
        }
    other = without_scores(
        run_dir,
        model_overrides={
            name: functools.partial(network, **sizes)
            for name, network in zip(('generator', 'discriminator'), networks, strict=True)
        },
        **data,
    )
    with pytest.raises(checkpoints.CheckpointError) as error:
        other.train()
    assert run_dir in str(error.value) and str(error.value).count('\n') == 0


def test_bfloat16_changes_little(tmp_path):
    images = []
    for bfloat16 in (False, True):
        experiment = make(str(tmp_path), bfloat16=bfloat16)
        z, y = tiny.z_and_labels(20, experiment.model.generator.z_dim)
        images.append(
            experiment.model.generator(tf.constant(z), tf.constant(y), training=True).numpy()
        )
        assert all(v.dtype == tf.float32 for v in experiment.model.trainable_variables)
    assert np.any(images[0] != images[1])
    np.testing.assert_allclose(images[0], images[1], atol=0.05)
    experiment.train()
