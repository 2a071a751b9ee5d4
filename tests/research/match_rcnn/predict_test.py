"""Tests of research.match_rcnn.predict: a model made by hand on images without annotations."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as rle

from research.match_rcnn import predict
from tests.research.match_rcnn import tiny_deepfashion2 as tiny

WEIGHTS, BIAS = np.float32([-3, -0.02, 0.5]), 2.0


class _Model(tf.Module):
    """Finds two items in an image: the second has the first's embedding but for its blue."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, 'files')])
    def detect(self, files):
        image = (
            tf.cast(tf.io.decode_image(files[0], channels=3, expand_animations=False), tf.float32)
            / 255
        )
        mean = tf.reduce_mean(image, [0, 1])
        return {
            'boxes': tf.constant([[[1.0, 2, 8, 12], [4, 0, 10, 10], [0, 0, 0, 0]]]),
            'classes': tf.constant([[9, 5, 0]]),
            'scores': tf.constant([[0.9, 0.25, 0]]),
            'masks': tf.ones([1, 3, 4, 4]),
            'landmarks': tf.ones([1, 3, 39, 3]),
            'embeddings': tf.stack([tf.stack([mean, mean * [1.0, 1, 0], tf.zeros(3)])]),
            'sizes': tf.shape(image)[tf.newaxis, :2],
        }

    @tf.function(
        input_signature=[tf.TensorSpec([None, 3], tf.float32, name) for name in ('v1', 'v2')]
    )
    def similarity(self, v1, v2):
        return {'probability': tf.sigmoid(tf.linalg.matvec(tf.square(v1 - v2), WEIGHTS) + BIAS)}


@pytest.fixture(scope='module', name='model')
def make_model(tmp_path_factory):
    path, model = str(tmp_path_factory.mktemp('model')), _Model()
    tf.saved_model.save(
        model, path, signatures={'detect': model.detect, 'similarity': model.similarity}
    )
    return path


@pytest.fixture(name='folder')
def make_folder(tmp_path):
    """Two consumers' images and two shops', of which one is damaged; no annotations."""
    folder = tmp_path / 'test'
    for number, color in (1, (250, 0, 60)), (2, (0, 200, 0)), (3, (240, 0, 0)), (4, (9, 9, 9)):
        tiny.write_image(folder, number, Image.new('RGB', (16, 20), color), '.png')
    (folder / 'image' / '000005.png').write_bytes(b'nothing')
    return folder


def _read(results, name):
    return json.loads((results / name).read_text('utf8'))


def test_a_split_without_annotations(model, folder, tmp_path, capsys):
    results = tmp_path / 'results'
    predict.main([model, str(folder), str(results), '--consumer_images=2'])
    printed = capsys.readouterr()
    assert len(printed.out.split()) == 4 and 'cannot be read (skipped)' in printed.err
    boxes = _read(results, 'bbox_results.json')
    assert len(boxes) == 8 and boxes[:2] == [
        {'image_id': 1, 'category_id': 9, 'bbox': [1, 2, 7, 10], 'score': pytest.approx(0.9)},
        {'image_id': 1, 'category_id': 5, 'bbox': [4, 0, 6, 10], 'score': 0.25},
    ]
    points = np.reshape(_read(results, 'keys_results.json')[0]['keypoints'], [294, 3])
    assert np.flatnonzero(points.any(1)).tolist() == list(range(182, 190))  # Of a skirt.
    mask = rle.decode(_read(results, 'segm_results.json')[0]['segmentation'])
    assert mask.shape == (20, 16) and mask[2:12, 1:8].all() and mask.sum() == 70
    # Every detection of the consumers' images, with the shops' four for each.
    rows = _read(results, 'retrieval_results.json')
    assert [(row['query_image_id'], row['query_cls']) for row in rows] == [
        (1, 9),
        (1, 5),
        (2, 9),
        (2, 5),
    ]
    assert all(sorted(row['gallery_image_id']) == [3, 3, 4, 4] for row in rows)
    # The red one is nearest to the red one; weights by hand: -3 of red, -.02 of green, .5 of blue.
    assert rows[0]['gallery_image_id'][:2] == [3, 3]
    assert rows[2]['gallery_image_id'][:2] == [4, 4]


def test_whose_images_they_are_may_be_unknown(model, folder, tmp_path):
    paths = predict.predict(model, str(folder), str(tmp_path / 'results'))
    assert [path.rpartition('/')[2] for path in paths] == [
        'bbox_results.json',
        'keys_results.json',
        'segm_results.json',
    ]


def test_weights_behind_the_similarity():
    similarity = _Model().similarity
    np.testing.assert_allclose(predict.distance_weights(similarity, 3), WEIGHTS, rtol=2e-5)


def test_what_is_missing_is_named(model, folder, tmp_path, capsys):
    for arguments, message in (
        ([str(tmp_path), str(folder)], 'there is no exported model'),
        ([model, str(tmp_path)], 'image: no such folder; a split of DeepFashion2'),
    ):
        with pytest.raises(SystemExit):
            predict.main([*arguments, str(tmp_path / 'results')])
        assert message in capsys.readouterr().err
    for path in (folder / 'image').iterdir():
        path.write_bytes(b'nothing')
    with pytest.raises(ValueError, match='there is no image that can be read'):
        predict.predict(model, str(folder), str(tmp_path / 'results'))
