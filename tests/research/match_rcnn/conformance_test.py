"""Match R-CNN against what every model of the house must do."""

import functools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from official.core import checkpoints
from tests import conformance  # Before any op of TensorFlow's.
from tests.research.match_rcnn import tiny

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
    """Sampled anchors, RoIs and pairs, statistics of both kinds of batch norm, and the scores."""
    conformance.check_two_devices(trained, tmp_path, counted=False)


def test_export_answers_as_the_model_does(trained, tmp_path):
    experiment = trained.experiment
    path = experiment.export()
    data = experiment.data
    table = data.table('validation')
    files = [pathlib.Path(file).read_bytes() for file in table.paths[:3]]
    with experiment.reported_model() as trained:
        batch = next(iter(data.evaluation('validation')))
        found = trained.detect(batch['images'], batch['sizes'])
        probability = trained.similarity(
            found['embeddings'][:, 0], found['embeddings'][:, 1]
        ).numpy()
    found = {name: value.numpy() for name, value in found.items()}
    assert np.all(found['scores'] > 0)
    pixels = np.random.default_rng(0).integers(0, 255, (1, 50, 70, 3)).astype(np.uint8)
    answers = conformance.check_export(
        path,
        {
            'serving_default': {'files': np.array(files)},
            'pixels': {'images': pixels},
            'similarity': {'v1': found['embeddings'][:, 0], 'v2': found['embeddings'][:, 1]},
        },
        tmp_path,
    )
    answer = answers['serving_default']
    np.testing.assert_array_equal(answer['sizes'], table.sizes[:3])
    np.testing.assert_array_equal(answer['classes'], found['classes'][:3])
    for name in ('scores', 'masks', 'embeddings'):
        np.testing.assert_allclose(answer[name], found[name][:3], atol=1e-4, err_msg=name)
    # Boxes and landmarks are in pixels of the file.
    scale = (table.sizes[:3] / batch['sizes'].numpy()[:3])[:, np.newaxis, ::-1]
    np.testing.assert_allclose(answer['boxes'], found['boxes'][:3] * np.tile(scale, 2), atol=1e-2)
    np.testing.assert_allclose(
        answer['landmarks'][..., :2],
        found['landmarks'][:3, ..., :2] * scale[:, np.newaxis],
        atol=1e-2,
    )
    names = [data.class_names[class_ - 1].encode() for class_ in answer['classes'][0]]
    assert answer['names'][0].tolist() == names
    np.testing.assert_allclose(answers['similarity']['probability'], probability, atol=1e-5)
    # The one signature that TFLite takes without TensorFlow's own operations.
    converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=['similarity'])
    lite = tf.lite.Interpreter(model_content=converter.convert())
    answer = lite.get_signature_runner('similarity')(
        v1=found['embeddings'][:, 0], v2=found['embeddings'][:, 1]
    )
    np.testing.assert_allclose(answer['probability'], probability, atol=1e-6)
    assert answers['pixels']['boxes'].max() <= 70 and answers['pixels']['sizes'].tolist() == [
        [50, 70]
    ]


@pytest.mark.parametrize('field, value', [('match_features', ('mask',)), ('landmark_stream', None)])
def test_weights_of_another_architecture_are_refused(trained, tmp_path, field, value):
    run_dir = trained.copy(tmp_path)
    overrides = {field: value}
    if value is None:
        overrides['match_features'] = ('class',)
    other = without_scores(run_dir, model_overrides=overrides)
    with pytest.raises(checkpoints.CheckpointError) as error:
        other.train()
    assert run_dir in str(error.value) and str(error.value).count('\n') == 0


def test_bfloat16_changes_little(tmp_path):
    found = []
    for bfloat16 in (False, True):
        experiment = without_scores(str(tmp_path), bfloat16=bfloat16)
        batch = next(iter(experiment.data.evaluation('validation')))
        found.append(
            experiment.model.describe(
                batch['images'], batch['sizes'], batch['boxes'], batch['classes']
            )
        )
        assert all(v.dtype == tf.float32 for v in experiment.model.trainable_variables)
    for name in ('masks', 'embeddings'):
        assert np.any(found[0][name] != found[1][name])
        plain = found[0][name].numpy()
        np.testing.assert_allclose(
            found[1][name], plain, rtol=0, atol=0.05 * np.abs(plain).max(), err_msg=name
        )
    experiment.train()
