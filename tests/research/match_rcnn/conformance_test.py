"""Match R-CNN against what every model of the house must do."""

import functools
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official.core import checkpoints
from research.match_rcnn import gallery, result_files, score
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


@pytest.fixture(name='exported', scope='module')
def exported_fixture(trained):
    return trained.experiment.export()


def test_export_answers_as_the_model_does(trained, exported, tmp_path):
    experiment = trained.experiment
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
        exported,
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
    converter = tf.lite.TFLiteConverter.from_saved_model(exported, signature_keys=['similarity'])
    lite = tf.lite.Interpreter(model_content=converter.convert())
    answer = lite.get_signature_runner('similarity')(
        v1=found['embeddings'][:, 0], v2=found['embeddings'][:, 1]
    )
    np.testing.assert_allclose(answer['probability'], probability, atol=1e-6)
    assert answers['pixels']['boxes'].max() <= 70 and answers['pixels']['sizes'].tolist() == [
        [50, 70]
    ]


def test_a_gallery_of_the_exported_model(trained, exported, tmp_path):
    """The index has what the model itself says of the images."""
    experiment = trained.experiment
    table = experiment.data.table('validation')
    for row in (0, 1, 2):
        os.makedirs(tmp_path / 'shop', exist_ok=True)
        shutil.copy(table.paths[row], tmp_path / 'shop' / f'{row}.jpg')
    search = gallery.Gallery(str(tmp_path / 'search'), str(tmp_path / 'shop'), exported)
    search.update()
    result = search.search(table.paths[1], matches=2, least_score=0.0)
    index = np.load(tmp_path / 'search' / 'index.npz')
    with experiment.reported_model() as model:
        batch = next(iter(experiment.data.evaluation('validation')))
        found = model.detect(batch['images'][:3], batch['sizes'][:3])
        kernel, bias = (
            weight.numpy().astype(np.float64)
            for weight in model.matching_network.similarity.weights
        )
    # Softmax of a dense layer of the squared difference; its second output is a match.
    vectors = found['embeddings'].numpy().astype(np.float64)
    logits = np.square(vectors[1, 0] - vectors) @ kernel + bias
    similar = np.exp(logits[..., 1]) / np.exp(logits).sum(-1)
    # Of each image the best item, and of the images the best two.
    best = np.where(found['scores'] > 0, similar, 0).max(1)
    expected = np.argsort(-best)[:2]
    assert [match['file'] for match in result['matches']] == [f'{row}.jpg' for row in expected]
    np.testing.assert_allclose(
        [match['similarity'] for match in result['matches']], best[expected], rtol=1e-3
    )
    assert best[expected].min() > 0.01 and best[expected][1] < best[expected][0]
    np.testing.assert_allclose(
        index['embeddings'], np.concatenate(found['embeddings'].numpy()), atol=1e-3
    )


def test_result_files_and_report(trained):
    experiment = trained.experiment
    run_dir = experiment.run_dir
    result = experiment.evaluate()
    assert {
        'validation_box_ap',
        'validation_landmarks_visible_ap50',
        'validation_mask_ap75',
        'validation_retrieval_detected_top5',
        'validation_pixels_truth_top20',
        'tables',
        'problems',
    } <= result.keys()
    with open(os.path.join(run_dir, 'history.jsonl'), encoding='utf-8') as file:
        rows = [json.loads(line) for line in file]
    assert all('validation_box_ap50' in row for row in rows)
    table = experiment.data.table('validation')
    folder = os.path.join(run_dir, 'results')
    boxes = result_files.read(os.path.join(folder, result_files.BOXES), result_files.BOXES)
    assert {row['image_id'] for row in boxes} <= set(table.image_ids.tolist()) and len(boxes) > 9
    retrieved = result_files.read_retrieval(os.path.join(folder, result_files.RETRIEVAL), table)
    # Every detection in a consumer's image is searched for, whatever the ground truth says of it.
    users = set(table.image_ids[table.sources == 1].tolist())
    assert retrieved.image_ids.tolist() == [
        row['image_id'] for row in boxes if row['image_id'] in users
    ]
    # What the files say is what was measured.
    scored = score.score(folder, table)
    for kind in 'box', 'mask', 'landmarks', 'landmarks_visible':
        assert scored[kind]['overall']['AP50'] == pytest.approx(
            result['tables'][kind]['overall']['AP50'], abs=1e-6
        )
    assert scored['retrieval_detected']['overall'] == pytest.approx(
        result['tables']['retrieval_detected']['overall']
    )
    assert result['landmark_sigmas'] == "DeepFashion2's"
    with open(experiment.report(), encoding='utf-8') as file:
        page = file.read()
    for text in (
        'Table 2',
        'Table 3',
        'Table 4',
        'Table 5',
        'Figure 6 (a)',
        'raw pixels',
        'pose+class',
    ):
        assert text in page, text
    # What the data had to have mended is reported, too.
    path = os.path.join(run_dir, 'result.json')
    with open(path, encoding='utf-8') as file:
        result = json.load(file)
    result['problems'] = {'train': {'damaged image': {'count': 7, 'files': ['broken_17.jpg']}}}
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(result, file)
    mended = ''.join(
        section.html for section in experiment.own_sections() if 'mended' in section.title
    )
    for text in ('train', 'damaged image', '7', 'broken_17.jpg'):
        assert text in mended, text


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
