"""A drawn data set: files, seeds, and what is in it against its geometry."""

from __future__ import annotations

import collections
import hashlib
import json

import cv2
import numpy as np
import pytest

from official.data import detection_table
from research.match_rcnn import annotation_files, categories
from research.match_rcnn.garments import cuts, dataset

_SMALL = {'num_identities': {'train': 2, 'validation': 1}, 'users': 1, 'shops': 1, 'size': (64, 64)}
_SETTINGS = {
    'version': 1,
    'seed': 7,
    'num_identities': {'train': 26, 'validation': 13},
    'users': 4,
    'shops': 4,
    'size': [160, 120],
    'supersampling': 2,
}


@pytest.fixture(scope='module', name='drawn')
def _drawn():
    """All images of 26 identities: pictures and annotations."""
    examples = []
    for index in range(26 * 8):
        data, text = dataset.example(_SETTINGS, 'train', index)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        examples.append((image, annotation_files.parse(text, f'{index}.json')))
    return examples


def _files(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def _raster(polygons, height, width, factor=4):
    mask = np.zeros([height * factor, width * factor], np.uint8)
    for polygon in polygons:
        points = np.round((np.asarray(polygon, float) * factor - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, cv2.LINE_8, 4)
    return mask


def test_files_and_bytes(tmp_path):
    first = dataset.generate(tmp_path / 'a', 3, **_SMALL, workers=1)
    names = {
        f'{split}/{kind}/{number:06d}.{ending}'
        for split, count in (('train', 4), ('validation', 2))
        for number in range(1, count + 1)
        for kind, ending in (('image', 'jpg'), ('annos', 'json'))
    }
    files = _files(first)
    assert set(files) == names | {'settings.json'}
    assert cv2.imread(str(first / 'train/image/000001.jpg')).shape == (64, 64, 3)
    other = _files(dataset.generate(tmp_path / 'c', 4, **_SMALL, workers=1))
    assert all(other[name] != files[name] for name in names)


def test_processes_draw_the_same(tmp_path):
    alone = dataset.generate(tmp_path / 'a', 3, **_SMALL, workers=1)
    together = dataset.generate(tmp_path / 'b', 3, **_SMALL, workers=2)
    assert _files(alone) == _files(together)


def test_a_finished_folder_is_left_alone(tmp_path):
    folder = dataset.generate(tmp_path, 3, **_SMALL, workers=1)
    image = folder / 'train/image/000001.jpg'
    image.write_bytes(b'mine')
    dataset.generate(tmp_path, 3, **_SMALL, workers=1)
    assert image.read_bytes() == b'mine'
    with pytest.raises(ValueError, match='settings.json: .*seed = 3 instead of 5'):
        dataset.generate(tmp_path, 5, **_SMALL)
    with pytest.raises(ValueError, match='size = .64, 64. instead of .64, 96.'):
        dataset.generate(tmp_path, 3, **{**_SMALL, 'size': (64, 96)})


def test_a_stopped_run_goes_on(tmp_path):
    whole = dataset.generate(tmp_path / 'a', 3, **_SMALL, workers=1)
    part = dataset.generate(tmp_path / 'b', 3, **_SMALL, workers=1)
    (part / 'settings.json').rename(part / 'unfinished.json')
    (part / 'train/image/000002.jpg').unlink()
    (part / 'validation/annos/000001.json').unlink()
    with pytest.raises(ValueError, match='unfinished.json: .*seed = 3 instead of 4'):
        dataset.generate(part, 4, **_SMALL)
    dataset.generate(part, 3, **_SMALL, workers=1)
    assert _files(part) == _files(whole)


def test_a_process_that_cannot_draw_says_why(tmp_path):
    folder = dataset.generate(tmp_path, 3, **_SMALL, workers=1)
    (folder / 'settings.json').rename(folder / 'unfinished.json')
    image = folder / 'train' / 'image' / '000001.jpg'
    image.unlink()
    image.mkdir()
    (folder / 'train' / 'annos' / '000001.json').unlink()
    with pytest.raises(RuntimeError, match='ended with status 1: IsADirectoryError: .*000001.jpg'):
        dataset.generate(folder, 3, **_SMALL, workers=2)
    assert not (folder / 'settings.json').exists()


def test_bad_arguments(tmp_path):
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(ValueError, match='not empty'):
        dataset.generate(tmp_path, 3, **_SMALL)
    folder = tmp_path / 'new'
    for bad, message in (
        ({'workers': 0}, 'workers = 0'),
        ({'users': 0}, 'users = 0'),
        ({'size': (64,)}, r'size = \[64\]'),
        ({'size': (64, 8)}, 'size = 8'),
        ({'seed': -1}, 'seed = -1'),
        ({'num_identities': {'test': 3}}, "split 'test'"),
        ({'num_identities': {'train': 0}}, 'of train = 0'),
    ):
        with pytest.raises(ValueError, match=message):
            dataset.generate(folder, **{**_SMALL, **bad})
    assert not folder.exists()
    folder.mkdir()
    (folder / 'settings.json').write_text('{')
    with pytest.raises(ValueError, match='settings.json: damaged'):
        dataset.generate(folder, 3, **_SMALL)


def test_splits_have_other_pair_ids():
    ids = {
        split: {
            json.loads(dataset.example(_SETTINGS, split, 8 * n)[1])['pair_id']
            for n in (0, 1, _SETTINGS['num_identities'][split] - 1)
        }
        for split in ('train', 'validation')
    }
    assert ids == {'train': {1, 2, 26}, 'validation': {27, 28, 39}}


def test_everything_occurs(drawn):
    found = collections.defaultdict(collections.Counter)
    for _, annotation in drawn:
        found['items'][len(annotation.items)] += 1
        found['source'][annotation.source] += 1
        for item in annotation.items:
            found['category'][item.category] += 1
            found['style 0'][item.style == 0] += 1
            for level in annotation_files.LEVELS:
                found[level][getattr(item, level)] += 1
    assert set(found['category']) == set(range(1, 14)) and min(found['category'].values()) >= 8
    for level in annotation_files.LEVELS:
        assert set(found[level]) == {1, 2, 3} and min(found[level].values()) >= 12, level
    assert set(found['items']) == {1, 2, 3}
    assert found['source'] == {detection_table.USER: 104, detection_table.SHOP: 104}
    assert found['style 0'][True] > 20 and found['style 0'][False] > 200


def test_levels_agree_with_the_geometry(drawn):
    for image, annotation in drawn:
        height, width, _ = image.shape
        assert (height, width) == (160, 120)
        for item in annotation.items:
            count = categories.LANDMARK_COUNTS[item.category - 1]
            assert item.landmarks.shape == (count, 3)
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
            assert np.array_equal(item.box, np.round(item.box))
            share = (x2 - x1) * (y2 - y1) / (height * width)
            assert item.scale == (1 if share < 0.1 else 3 if share > 0.4 else 2)
            covered = (item.landmarks[:, 2] == 1).sum() / count
            assert item.occlusion == (1 if covered < 0.2 else 3 if covered > 0.5 else 2)
            outside = (item.landmarks[:, 2] == 0).sum() / count
            assert item.zoom_in == (1 if outside == 0 else 3 if outside > 0.3 else 2)
            np.testing.assert_array_equal(item.landmarks[item.landmarks[:, 2] == 0], 0)
            points = np.concatenate(item.segmentation)
            np.testing.assert_allclose([*points.min(0), *points.max(0)], item.box, atol=1.5)


def test_visible_landmarks_are_on_the_mask(drawn):
    distances = [
        max(
            cv2.pointPolygonTest(np.asarray(polygon, np.float32), (float(x), float(y)), True)
            for polygon in item.segmentation
        )
        for _, annotation in drawn
        for item in annotation.items
        for x, y, v in item.landmarks
        if v == 2
    ]
    # Inside is positive; they are on outlines, of which polygons may be a third of a pixel off.
    assert len(distances) > 3000
    assert min(distances) > -2.5
    assert np.quantile(distances, 0.01) > -1.5 and np.median(np.abs(distances)) < 0.6


def test_contours_of_whole_items_are_their_masks(drawn):
    overlaps = collections.defaultdict(list)
    for image, annotation in drawn:
        for item in annotation.items:
            # Nothing is covered but the back of the neck.
            if item.zoom_in > 1 or (item.landmarks[1:, 2] != 2).any() or item.scale == 1:
                continue
            loops = [
                item.landmarks[list(loop), :2]
                for loop in categories.CATEGORIES[item.category - 1].contour
            ]
            contour = _raster(loops, *image.shape[:2])
            mask = _raster(item.segmentation, *image.shape[:2])
            overlaps[item.category].append((contour & mask).sum() / (contour | mask).sum())
    assert len(overlaps) >= 10
    for category, values in overlaps.items():
        # Contours lack the lining between open fronts, and have what is beside a sling's straps.
        loose = category in cuts.OUTWEAR + cuts.SLINGS
        assert np.mean(values) > (0.7 if loose else 0.85), category
    assert np.median(np.concatenate(list(overlaps.values()))) > 0.92


def test_renderings_of_a_style_are_alike(drawn):
    """Colours in the mask: a consumer's item is nearer to the shops' of its style than others."""
    features = {detection_table.USER: [], detection_table.SHOP: []}
    for image, annotation in drawn:
        lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
        for item in annotation.items:
            if not item.style:
                continue
            mask = _raster(item.segmentation, *image.shape[:2], factor=1)
            histogram = cv2.calcHist([lab], [1, 2], mask, [16, 16], [64, 192, 64, 192])
            histogram = cv2.GaussianBlur(histogram, (0, 0), 1)
            key = annotation.pair_id, item.style
            features[annotation.source].append((key, np.sqrt(histogram / histogram.sum())))
    same, other, first = [], [], []
    for key, query in features[detection_table.USER]:
        scores = [
            (float((query * found).sum()), found_key == key)
            for found_key, found in features[detection_table.SHOP]
        ]
        same += [score for score, hit in scores if hit]
        other += [score for score, hit in scores if not hit]
        first.append(max(scores)[1])
    assert np.mean(same) > np.mean(other) + 0.2
    # By colours alone some are found at once, by no means all.
    assert 0.15 < np.mean(first) < 0.9


def test_every_style_has_both_sources(drawn):
    sources = collections.defaultdict(set)
    for _, annotation in drawn:
        for item in annotation.items:
            if item.style:
                sources[annotation.pair_id, item.style].add(annotation.source)
    alone = [key for key, found in sources.items() if len(found) < 2]
    assert len(alone) <= 0.03 * len(sources), alone
