import json
import pathlib

import numpy as np
import pytest
from pycocotools import mask as rle

from official.data.detection_table import SHOP, USER
from official.evaluation import coco_ap
from research.match_rcnn import (
    categories,
    evaluation,
    result_files,
    retrieval_protocol,
    retrieval_truth,
)
from tests.research.match_rcnn import genuine, hand_made

TOP, SKIRT, HAT = 1, 2, 3
LEFT, RIGHT = (0, 0, 40, 80), (50, 10.5, 90, 80)


def table():
    return hand_made.table(
        (1, USER, [hand_made.item(TOP, LEFT, 1, 1), hand_made.item(SKIRT, RIGHT, 1, 2)]),
        (2, SHOP, [hand_made.item(TOP, LEFT, 1, 1), hand_made.item(SKIRT, RIGHT, 1, 2)]),
        (3, SHOP, []),
    )


def detections():
    made = [
        hand_made.found(1, (TOP, LEFT, 0.75, (0, 0)), (SKIRT, RIGHT, 0.123456789, (5, 5))),
        hand_made.found(2, (SKIRT, RIGHT, 0.5, (4, 4)), (TOP, LEFT, 0.25, (1, 1))),
        hand_made.found(3, (HAT, (1, 2, 3.25, 4), 0.5, (9, 9))),
    ]
    rng = np.random.default_rng(0)
    for image in made:
        image['landmarks'] = rng.uniform(0, 90, (len(image['boxes']), 3, 3)).astype(np.float32)
    return made


def test_boxes_are_corner_and_size_under_the_files_categories():
    assert result_files.boxes(table(), detections()) == [
        {'image_id': 1, 'category_id': 4, 'bbox': [0, 0, 40, 80], 'score': 0.75},
        {
            'image_id': 1,
            'category_id': 7,
            'bbox': [50, 10.5, 40, 69.5],
            'score': pytest.approx(0.123456789, abs=1e-8),
        },
        {'image_id': 2, 'category_id': 7, 'bbox': [50, 10.5, 40, 69.5], 'score': 0.5},
        {'image_id': 2, 'category_id': 4, 'bbox': [0, 0, 40, 80], 'score': 0.25},
        {'image_id': 3, 'category_id': 9, 'bbox': [1, 2, 2.25, 2], 'score': 0.5},
    ]


def test_landmarks_lie_where_their_class_has_them():
    made = detections()
    rows = result_files.landmarks(table(), made)
    top, skirt, hat = rows[0]['keypoints'], rows[1]['keypoints'], rows[4]['keypoints']
    own = made[0]['landmarks']
    for number in range(3):
        assert top[3 * number : 3 * number + 3] == [
            pytest.approx(own[0, number, 0]),
            pytest.approx(own[0, number, 1]),
            1,
        ]
    assert top[9:] == [0] * 6 and skirt[:9] == [0] * 9 and hat == [0] * 15
    assert skirt[12:] == [pytest.approx(own[1, 1, 0]), pytest.approx(own[1, 1, 1]), 1]
    assert {name: rows[1][name] for name in ('image_id', 'category_id')} == {
        'image_id': 1,
        'category_id': 7,
    }
    # Of its own class alone; hats have none.
    compact = result_files.landmarks(table(), made, all_landmarks=False)
    assert [row['keypoints'] for row in compact] == [
        top[:9],
        skirt[9:],
        rows[2]['keypoints'][9:],
        rows[3]['keypoints'][:9],
    ]


def test_the_294_landmarks_of_deepfashion2():
    """A skirt's eight begin at 182, as counted in the categories before it."""
    counts = (25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19)
    assert counts == categories.LANDMARK_COUNTS
    builder = hand_made.detection_table.TableBuilder('all', categories.NAMES, counts, mask_size=8)
    builder.add_image('1.jpg', 1, (100, 100), USER, [])
    image = hand_made.found(1, (9, LEFT, 0.5))
    image['landmarks'] = np.arange(1, 39 * 3 + 1, dtype=np.float32).reshape(1, 39, 3)
    (row,) = result_files.landmarks(builder.build(), [image])
    points = np.reshape(row['keypoints'], (-1, 3))
    assert points.shape == (294, 3)
    assert np.flatnonzero(points.any(1)).tolist() == list(range(182, 190))
    np.testing.assert_array_equal(points[182], [1, 2, 1])
    np.testing.assert_array_equal(points[189], [22, 23, 1])
    assert all(isinstance(v, int) for v in row['keypoints'][2::3])


def test_masks():
    row = result_files.masks(table(), detections())[1]
    assert set(row) == {'image_id', 'segmentation', 'category_id', 'score'}
    assert row['segmentation']['size'] == [100, 100]
    assert isinstance(row['segmentation']['counts'], str)
    # 50 <= x < 90 and, of pixels whose middle is inside, 10.5 to 80 is 10 or 11 to 79.
    drawn = rle.decode(row['segmentation'])
    assert drawn[12:80, 50:90].all() and drawn.sum() in (40 * 69, 40 * 70)


def retrieved(k=2):
    found = detections()
    users = retrieval_protocol.of_detections(table(), found, USER)
    gallery = retrieval_protocol.of_detections(table(), found, SHOP)
    return retrieval_protocol.retrieve(users, gallery, None, k)


def test_retrieval():
    rows = result_files.retrieval(table(), retrieved())
    assert rows == [
        {
            'query_image_id': 1,
            'query_bbox': [0, 0, 40, 80],
            'query_cls': 4,
            'query_score': 0.75,
            'gallery_image_id': [2, 2],
            'gallery_bbox': [[0, 0, 40, 80], [50, 10.5, 90, 80]],
        },
        {
            'query_image_id': 1,
            'query_bbox': [50, 10.5, 90, 80],
            'query_cls': 7,
            'query_score': pytest.approx(0.123456789, abs=1e-8),
            'gallery_image_id': [2, 2],
            'gallery_bbox': [[50, 10.5, 90, 80], [0, 0, 40, 80]],
        },
    ]
    assert json.loads(json.dumps(rows)) == rows


def test_what_is_written_is_read_and_judged_alike(tmp_path):
    folder = tmp_path / 'new' / 'results'
    paths = result_files.write(folder, table(), detections(), retrieved())
    assert [pathlib.Path(path).name for path in paths] == [
        'bbox_results.json',
        'keys_results.json',
        'segm_results.json',
        'retrieval_results.json',
    ]
    truth = evaluation.ground_truth(table())
    boxes = result_files.read(paths[0], result_files.BOXES)
    assert boxes == result_files.boxes(table(), detections())
    masks = result_files.read(paths[2], result_files.MASKS)
    for kind, rows in ('bbox', boxes), ('segm', masks):
        assert coco_ap.average_precision(truth, rows, kind)['per_class'] == {
            'top': pytest.approx(1),
            'skirt': pytest.approx(1),
            'hat': None,
        }
    again = result_files.read_retrieval(paths[3], table())
    judged = retrieval_protocol.judge(table(), again)
    expected = retrieval_protocol.judge(table(), retrieved())
    np.testing.assert_array_equal(judged.rows, expected.rows)
    np.testing.assert_array_equal(judged.hits, expected.hits)
    assert judged.hits.tolist() == [[True, False], [True, False]]
    np.testing.assert_array_equal(again.classes, [TOP, SKIRT])


def test_parts_that_are_missing(tmp_path):
    few = [
        {name: values for name, values in image.items() if name not in ('landmarks', 'masks')}
        for image in detections()
    ]
    assert [pathlib.Path(path).name for path in result_files.write(tmp_path, table(), few)] == [
        'bbox_results.json'
    ]
    # Nothing found is a file, too; what is read of it is nothing.
    empty = [hand_made.found(1)]
    result_files.write(
        tmp_path,
        table(),
        empty,
        retrieval_protocol.retrieve(
            retrieval_protocol.of_detections(table().subset([0]), empty, USER),
            retrieval_protocol.of_detections(table(), detections(), SHOP),
            None,
            2,
        ),
    )
    assert result_files.read(tmp_path / 'bbox_results.json', result_files.BOXES) == []
    found = result_files.read_retrieval(tmp_path / 'retrieval_results.json', table())
    assert len(found.image_ids) == 0
    assert retrieval_protocol.judge(table(), found).missed == 2


@pytest.mark.parametrize(
    'kind, example',
    [
        (result_files.BOXES, genuine.BOX_RESULT),
        (result_files.LANDMARKS, genuine.LANDMARKS_RESULT),
        (result_files.MASKS, genuine.MASK_RESULT),
        (result_files.RETRIEVAL, genuine.RETRIEVAL_RESULT),
    ],
)
def test_the_benchmarks_own_examples(kind, example, tmp_path):
    """They are read, and what is written has their fields of their types."""
    (tmp_path / 'example.json').write_text(json.dumps([example]), 'utf8')
    assert result_files.read(tmp_path / 'example.json', kind) == [example]
    result_files.write(tmp_path, table(), detections(), retrieved())

    def shape(value):
        if isinstance(value, dict):
            return {name: shape(one) for name, one in value.items()}
        if isinstance(value, list):
            return [shape(value[0])]
        return type(value)

    ours = result_files.read(tmp_path / kind, kind)
    assert shape(ours[0]) == shape(example)
    if kind == result_files.LANDMARKS:
        assert len(example['keypoints']) == 3 * categories.NUM_LANDMARKS
        assert {type(v) for v in example['keypoints'][2::3]} == {int}


def test_a_genuine_row_of_retrieval_is_judged(tmp_path):
    """Its query is the vest of image 1, which it calls a top: no query is found by it."""
    files = {
        'query': genuine.QUERIES,
        'gallery': genuine.GALLERY,
        'results': [genuine.RETRIEVAL_RESULT],
    }
    for name, rows in files.items():
        (tmp_path / f'{name}.json').write_text(json.dumps(rows), 'utf8')
    truth = retrieval_truth.load(str(tmp_path / 'query.json'), str(tmp_path / 'gallery.json'))
    found = result_files.read_retrieval(str(tmp_path / 'results.json'), truth)
    assert found.gallery_image_ids[0, :4].tolist() == [22403, 3, 8, 4]
    assert retrieval_protocol.judge(truth, found, all_images=False).missed == 7
    # As a vest it would be right at its second and fourth, with the vests of images 3 and 4.
    (tmp_path / 'results.json').write_text(
        json.dumps([{**genuine.RETRIEVAL_RESULT, 'query_cls': 5}]), 'utf8'
    )
    found = result_files.read_retrieval(str(tmp_path / 'results.json'), truth)
    judged = retrieval_protocol.judge(truth, found, all_images=False)
    assert judged.rows.tolist() == [-1, 0, *[-1] * 5]
    assert np.flatnonzero(judged.hits[1])[:2].tolist() == [1, 3]


def test_landmarks_of_a_rows_own_class(tmp_path):
    """From the layout of the benchmark, or as they are."""
    result_files.write(tmp_path, table(), detections())
    path = str(tmp_path / result_files.LANDMARKS)
    own = result_files.landmarks(table(), detections(), all_landmarks=False)
    assert result_files.own_landmarks(path, table()) == own
    (tmp_path / result_files.LANDMARKS).write_text(json.dumps(own), 'utf8')
    assert result_files.own_landmarks(path, table()) == own


def test_bad_files_are_named(tmp_path):
    path = tmp_path / 'file.json'
    with pytest.raises(FileNotFoundError, match='no result file .*file.json'):
        result_files.read(path, result_files.BOXES)

    def read(text, kind=result_files.BOXES):
        path.write_text(text)
        if kind == result_files.RETRIEVAL:
            return result_files.read_retrieval(path, table())
        return result_files.read(path, kind)

    with pytest.raises(ValueError, match='file.json is not valid JSON'):
        read('[{')
    with pytest.raises(ValueError, match='file.json holds no list'):
        read('{}')
    with pytest.raises(
        ValueError,
        match='file.json: entry 1 has bbox, image_id instead of bbox, category_id, image_id, score',
    ):
        read(
            '[{"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1], "score": 1},'
            ' {"image_id": 1, "bbox": []}]'
        )
    row = {
        'query_image_id': 1,
        'query_bbox': [0, 0, 1, 1],
        'query_cls': 4,
        'query_score': 0.5,
        'gallery_image_id': [2, 2],
        'gallery_bbox': [[0, 0, 1, 1], [0, 0, 1, 1]],
    }
    with pytest.raises(ValueError, match='entry 0 has the unknown query_cls 5'):
        read(json.dumps([row | {'query_cls': 5}]), result_files.RETRIEVAL)
    for field, value in (
        ('query_image_id', 'one'),
        ('query_bbox', [1, 2, 3]),
        ('query_score', None),
        ('gallery_image_id', [1.5, 2]),
        ('gallery_bbox', [[0, 0, 1], [1]]),
        ('query_bbox', [0, 0, 1, float('nan')]),
    ):
        with pytest.raises(ValueError, match=f'file.json: entry 1 has {field} '):
            read(json.dumps([row, row | {field: value}]), result_files.RETRIEVAL)
    with pytest.raises(ValueError, match='entry 0 has gallery_image_id None'):
        read(json.dumps([row | {'gallery_image_id': None}]), result_files.RETRIEVAL)
    with pytest.raises(ValueError, match='cannot be read'):
        result_files.read(tmp_path, result_files.BOXES)
    with pytest.raises(
        ValueError, match='entry 1 has 1 gallery_image_id and 2 gallery_bbox; the first has 2'
    ):
        read(json.dumps([row, row | {'gallery_image_id': [2]}]), result_files.RETRIEVAL)
