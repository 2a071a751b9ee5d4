"""From training to the report, on a few drawn garments; a model that knows the answers."""

import dataclasses
import functools
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.vision import image_reader
from research.match_rcnn import (
    evaluation,
    inference,
    measurement,
    pictures,
    report,
    result_files,
    sources,
)
from tests.research.match_rcnn import tiny


class _Oracle:
    """Finds every item: its box, landmarks and class; its embedding tells the garment.

    The answers are in the pixels of the canvas, as a model's are.
    """

    landmark_stream = mask_stream = True

    class matching_network:
        distance_weights = tf.constant([-1.0, -1.0])

    def __init__(self, data, wrong_class=False):
        self.batches = {}
        for batch in data.evaluation('validation'):
            for row, image in enumerate(batch['images']):
                self.batches[image.numpy().tobytes()] = {
                    name: value[row] for name, value in batch.items()
                }
        self.wrong_class = wrong_class

    def examine(self, images, sizes, boxes, classes):
        batch = [self.batches[image.numpy().tobytes()] for image in images]
        batch = {name: tf.stack([one[name] for one in batch]) for name in batch[0]}
        np.testing.assert_array_equal(batch['boxes'], boxes)
        real = tf.cast(classes > 0, tf.float32)
        if self.wrong_class:
            classes = tf.where(classes > 0, classes % 13 + 1, 0)
        embeddings = tf.cast(tf.stack([batch['pair_ids'], batch['styles']], -1), tf.float32)
        cells = batch['masks'].shape[-1]
        small = tf.nn.avg_pool2d(
            tf.reshape(tf.cast(batch['masks'], tf.float32), [-1, cells, cells, 1]), 4, 4, 'VALID'
        )
        return {
            'boxes': boxes,
            'classes': classes,
            'scores': 0.9 * real,
            'landmarks': batch['landmarks'],
            'masks': tf.reshape(small, [*classes.shape, 28, 28]),
            'embeddings': embeddings,
            'truth_embeddings': embeddings,
        }


@functools.cache
def _data():
    return tiny.make_data()


@functools.cache
def _knowing(wrong_class=False):
    """One for all tests, as it reads the data."""
    return _Oracle(_data(), wrong_class)


@pytest.fixture(name='eager')
def make_eager(monkeypatch):
    # Each reading of the data would trace the decoder anew.
    decode = image_reader._traced(3).get_concrete_function()
    monkeypatch.setattr(image_reader, '_traced', lambda channels: decode)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _measured(model, data):
    return measurement.MatchEvaluation()(model, data, tf.distribute.get_strategy(), 'validation')


def _top1_by_pixels(data):
    """The share of consumers' items whose nearest shop item, by the pixels, is their garment."""
    table = data.table('validation')
    found = inference.detections(
        _knowing(), data, tf.distribute.get_strategy(), 'validation', raw_pixels=True
    )
    pixels = np.concatenate([image['truth_pixels'] for image in found]).astype(np.float64)
    identity = np.stack([table.pair_ids, table.styles], 1)
    sources = table.sources[table.images_of_items()]
    users = np.flatnonzero(table.of_interest() & (sources == 1))
    shops = np.flatnonzero(sources == 2)
    distances = ((pixels[users, np.newaxis] - pixels[shops]) ** 2).sum(-1)
    hits = (identity[users] == identity[shops][distances.argmin(1)]).all(1)
    assert 0 < hits.sum() < len(hits)
    return pytest.approx(hits.mean())


def test_who_knows_the_answers_has_full_marks(eager):
    """Coordinates go to the canvas and back, masks too, for odd sizes of image."""
    result = _measured(_knowing(), _data())
    for name in (
        'box_ap',
        'landmarks_ap',
        'landmarks_visible_ap',
        'retrieval_detected_top1',
        'retrieval_truth_top20',
    ):
        assert result[name] == pytest.approx(1), name
    # Masks of 28 x 28 cells are not exact at the edges.
    assert result['mask_ap50'] == pytest.approx(1) and result['mask_ap'] > 0.8
    assert result['pixels_truth_top1'] == _top1_by_pixels(_data())
    assert result['tables']['box']['overall']['AP'] == pytest.approx(1)


def test_the_right_place_with_the_wrong_class_has_none(eager):
    result = _measured(_knowing(wrong_class=True), _data())
    assert result['box_ap'] == 0 and result['mask_ap'] == 0
    assert result['retrieval_detected_top20'] == 0 and result['retrieval_truth_top1'] == 1


class _FindsOne(_Oracle):
    """Finds the same in every place of every image."""

    def examine(self, images, sizes, boxes, classes):
        found = super().examine(images, sizes, boxes, classes)
        return found | {
            'boxes': tf.ones_like(boxes) * [2.0, 2, 20, 30],
            'classes': tf.ones_like(classes),
            'scores': tf.fill(classes.shape, 0.9),
        }


def test_of_images_without_labels_nothing_is_measured_and_all_is_found(eager, tmp_path):
    """A test split in the place of validation: files and report are made, metrics are none."""
    tiny.source()
    shutil.copytree(os.path.join(tiny.folder(), 'train'), tmp_path / 'train')
    shutil.copytree(os.path.join(tiny.folder(), 'validation', 'image'), tmp_path / 'test' / 'image')
    data = tiny.make_data(
        source=lambda _: sources.FolderSource(str(tmp_path), validation='test', consumer_images=5)
    )
    model = _FindsOne(data)
    assert _measured(model, data).keys() == {'tables', 'landmark_sigmas'}
    found = inference.detections(model, data, tf.distribute.get_strategy(), 'validation')
    table = data.table('validation')
    searched = evaluation.search(table, found)
    assert np.unique(searched.image_ids).tolist() == [1, 2, 3, 4, 5]
    assert set(searched.gallery_image_ids.ravel()) <= set(range(6, 13))
    paths = result_files.write(str(tmp_path / 'results'), table, found, searched)
    assert [os.path.basename(path) for path in paths] == list(result_files.FILES)
    sections = report.MatchReport(images=1, queries=1, failures=1, looked_at=9)(model, data, None)
    assert [section.title[:7] for section in sections] == ['Boxes, ', 'From la']


@pytest.mark.parametrize('knows', [True, False])
def test_retrieval_by_raw_pixels_goes_by_the_pixels(eager, monkeypatch, knows):
    """Crops that tell the garment find all; crops that are all alike find the gallery's first."""
    data, oracle = _data(), _knowing()

    def crops(images, boxes):
        of_images = [oracle.batches[image.numpy().tobytes()] for image in images]
        codes = tf.stack([tf.stack([one['pair_ids'], one['styles']], -1) for one in of_images])
        np.testing.assert_array_equal(boxes, tf.stack([one['boxes'] for one in of_images]))
        return tf.cast(codes, tf.float32) * float(knows)

    monkeypatch.setattr(inference, '_crops', crops)
    result = _measured(oracle, data)
    expected = 1
    if not knows:
        table = data.table('validation')
        identities = np.stack([table.pair_ids, table.styles], 1).tolist()
        sources = table.sources[table.images_of_items()]
        (first,) = (identities[int(np.argmax(sources == 2))],)
        queries = [
            identity
            for identity, source in zip(identities, sources, strict=True)
            if source == 1 and identity[1] > 0
        ]
        expected = queries.count(first) / len(queries)
        assert 0 < expected < 0.5
    for boxes in 'truth', 'detected':
        assert result[f'pixels_{boxes}_top1'] == pytest.approx(expected)


def test_uncertain_boxes_of_shops_can_be_left_out_of_the_gallery(eager):
    data, tops = _data(), []
    for least in 0.89, 0.91:  # The oracle's score is 0.9.
        result = measurement.MatchEvaluation(min_gallery_score=least)(
            _knowing(), data, tf.distribute.get_strategy(), 'validation'
        )
        assert result['retrieval_truth_top1'] == 1
        tops.append(result['retrieval_detected_top1'])
    assert tops == [1, 0]


def test_some_rows():
    table = _data().table('validation')
    assert table.num_images == 12
    assert measurement.some_rows(table, 3).tolist() == [0, 6, 11]
    assert measurement.some_rows(table, 99).tolist() == list(range(12))


def test_sigmas_fit_the_landmarks():
    table = _data().table('validation')
    sigmas, whose = measurement.sigmas_of(table)
    assert (len(sigmas), whose, sigmas[0]) == (294, "DeepFashion2's", 0.012)

    def of(*counts, given=None):
        return measurement.sigmas_of(dataclasses.replace(table, landmark_counts=counts), given)

    sigmas, whose = of(17)
    assert (len(sigmas), whose, sigmas[0]) == (17, "COCO's of people", pytest.approx(0.026))
    # Of landmarks of which nothing is known each has a stated one.
    sigmas, whose = of(4, 0)
    assert (sigmas.tolist(), whose) == ([0.05] * 4, '0.05 for each landmark, as none are given')
    assert of(4, given=0.1)[0].tolist() == [0.1] * 4 and of(2, 1, given=(1, 2, 3))[1] == 'as given'
    assert of(2, 1, given=(1, 2, 3))[0].tolist() == [1, 2, 3]
    assert of(0, 0) == (None, 'no landmarks')
    with pytest.raises(ValueError, match='MatchEvaluation.sigmas has 2 numbers; .* has 4 landmark'):
        of(4, given=(1, 2))
    with pytest.raises(ValueError, match=r'MatchEvaluation.sigmas = \(0.1, 0\) must be above 0'):
        measurement.MatchEvaluation(sigmas=(0.1, 0))


def test_landmarks_of_another_set_are_measured(eager, tmp_path):
    """4 landmarks of one class, of COCO's format: by which sigmas is in the result."""
    Image.new('RGB', (48, 64), (200, 30, 30)).save(tmp_path / 'a.png')
    points = [10, 20, 2, 30, 20, 2, 10, 50, 1, 30, 50, 2]
    (tmp_path / 'four.json').write_text(
        json.dumps(
            {
                'images': [{'id': 1, 'file_name': 'a.png', 'height': 64, 'width': 48}],
                'categories': [{'id': 3, 'name': 'sign', 'keypoints': list('abcd')}],
                'annotations': [
                    {
                        'id': 1,
                        'image_id': 1,
                        'category_id': 3,
                        'bbox': [8, 16, 26, 40],
                        'keypoints': points,
                        'segmentation': [[8, 16, 34, 16, 34, 56, 8, 56]],
                    }
                ],
            }
        )
    )
    data = tiny.make_data(
        pairs=False, source=lambda _: sources.CocoSource(str(tmp_path), 'four.json', '.', None)
    )
    oracle = _Oracle(data)
    oracle.matching_network = None
    result = _measured(oracle, data)
    assert result['landmark_sigmas'] == '0.05 for each landmark, as none are given'
    assert result['landmarks_ap'] == pytest.approx(1)


def test_the_pictures_of_a_report(eager):
    """Of who knows all there are no failures; of who has all classes wrong there are no queries."""
    data = _data()
    made = report.MatchReport(images=2, queries=3, failures=2, matches=4, looked_at=99)
    sections = made(_knowing(), data, None)
    assert [section.title for section in sections] == [
        'Boxes, landmarks and masks (Figure 6 (a), (b))',
        'From landmarks to masks (Section 2.1)',
        'Queries and what was retrieved (Figure 6 (c))',
    ]
    assert [section.html.count('<img') for section in sections] == [4, 8, 3]
    sections = made(_knowing(wrong_class=True), data, None)
    assert [section.title for section in sections][2:] == ['Failures of detection (Figure 5 (a))']
    assert sections[2].html.count('<img') == 2


def test_of_a_large_set_the_shops_of_the_queries_are_looked_at(eager, monkeypatch):
    """However few images are looked at, what is retrieved for a query has its garment first."""
    data, hits = _data(), []
    retrieved = pictures.retrieved
    monkeypatch.setattr(
        pictures,
        'retrieved',
        lambda query, box, matches: (
            hits.append([hit for *_, hit in matches]) or retrieved(query, box, matches)
        ),
    )
    made = report.MatchReport(images=1, queries=2, failures=1, matches=2, looked_at=1)
    sections = made(_knowing(), data, None)
    assert [section.title[:7] for section in sections] == ['Boxes, ', 'From la', 'Queries']
    assert [section.html.count('<img') for section in sections] == [2, 4, 2]
    assert len(hits) == 2 and all(hit[0] for hit in hits)


@pytest.mark.parametrize(
    'arguments, message',
    [({'images': 0}, 'MatchReport.images = 0'), ({'looked_at': -1}, 'MatchReport.looked_at = -1')],
)
def test_a_report_of_nothing_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        report.MatchReport(**arguments)
