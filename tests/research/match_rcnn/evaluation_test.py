import numpy as np
import pytest

from official.data.detection_table import SHOP, USER
from research.match_rcnn import evaluation
from tests.research.match_rcnn import hand_made

TOP, SKIRT, HAT = 1, 2, 3
LEFT, RIGHT = (0, 0, 40, 80), (50, 0, 90, 80)
FEW, MANY = (1, 1, 1, 1), (2, 2, 2, 2)  # Levels.
POINTS = [[10, 10, 2], [20, 20, 1], [30, 30, 0]]


def table():
    return hand_made.table(
        (
            1,
            USER,
            [
                hand_made.item(TOP, LEFT, 1, 1, FEW, landmarks=POINTS),
                hand_made.item(SKIRT, RIGHT, 1, 0, MANY, landmarks=[[60, 60, 2], [70, 70, 2]]),
            ],
        ),
        (
            2,
            SHOP,
            [
                hand_made.item(TOP, LEFT, 1, 1, MANY, landmarks=POINTS),
                hand_made.item(HAT, RIGHT, 0, 0, FEW),
            ],
        ),
        (
            3,
            SHOP,
            [
                hand_made.item(
                    TOP, RIGHT, 2, 1, FEW, landmarks=[[60, 10, 1], [70, 9, 1], [80, 9, 1]]
                )
            ],
        ),
    )


def perfect():
    """Detections as the items are."""
    detections = [
        hand_made.found(
            1, (TOP, LEFT, 0.9, (0, 0)), (SKIRT, RIGHT, 0.8, (9, 9)), truth=[(0, 0), (9, 9)]
        ),
        hand_made.found(
            2, (TOP, LEFT, 0.7, (1, 1)), (HAT, RIGHT, 0.9, (5, 5)), truth=[(1, 1), (5, 5)]
        ),
        hand_made.found(3, (TOP, RIGHT, 0.6, (7, 7)), truth=[(0.5, 0.5)]),
    ]
    points = table().landmarks
    for image, rows in zip(detections, ((0, 1), (2, 3), (4,)), strict=True):
        image['landmarks'] = points[list(rows)].copy()
        # Detections have a landmark everywhere, and a score for v.
        image['landmarks'][..., 2] = 0.3
    return detections


def overall(metrics, kind):
    return metrics[kind]['overall']


def test_all_found():
    metrics = evaluation.evaluate(table(), perfect(), hand_made.SIGMAS)
    assert list(metrics) == [
        'box',
        'mask',
        'landmarks_visible',
        'landmarks',
        'retrieval_detected',
        'retrieval_truth',
    ]
    for kind in 'box', 'mask':
        assert overall(metrics, kind)['per_class'] == {
            name: pytest.approx(1) for name in ('top', 'skirt', 'hat')
        }
        known = {name: result['AP'] for name, result in metrics[kind].items()}
        # Nobody is of the third level; all others are found.
        for group, level in (
            ('scale', 'large'),
            ('occlusion', 'heavy'),
            ('zoom-in', 'large'),
            ('viewpoint', 'side or back'),
        ):
            assert known.pop(f'{group}: {level}') is None
        assert list(known.values()) == [pytest.approx(1)] * 9
    for kind in 'landmarks_visible', 'landmarks':
        # Hats have no landmarks, so they are no class here.
        assert overall(metrics, kind)['per_class'] == {
            'top': pytest.approx(1),
            'skirt': pytest.approx(1),
        }
    # One query; the nearest detection is right, of the true boxes the nearest is another's.
    assert metrics['retrieval_detected']['overall']['top1'] == 1
    assert metrics['retrieval_truth']['overall'] == {
        'top1': 0,
        'top5': 1,
        'top10': 1,
        'top15': 1,
        'top20': 1,
    }
    assert metrics['retrieval_truth']['levels']['overall'] is None  # No 6 shop items.


def test_a_miss_is_that_of_its_level():
    detections = perfect()
    shop = detections[1]
    detections[1] = {
        name: values[1:] if name not in ('image_id', 'truth_embeddings') else values
        for name, values in shop.items()
    }
    metrics = evaluation.evaluate(table(), detections, hand_made.SIGMAS)
    two_thirds = pytest.approx(67 / 101)  # Two of three tops: precision 1 up to that recall.
    for kind in 'box', 'mask':
        assert overall(metrics, kind)['per_class']['top'] == two_thirds
        assert metrics[kind]['scale: small']['per_class'] == {
            'top': pytest.approx(1),
            'skirt': None,
            'hat': pytest.approx(1),
        }
        assert metrics[kind]['scale: moderate']['per_class'] == {
            'top': 0,
            'skirt': pytest.approx(1),
            'hat': None,
        }
    assert metrics['retrieval_detected']['overall']['top20'] == 0
    assert metrics['retrieval_truth']['overall']['top20'] == 1


def test_occluded_landmarks_count_in_the_second_setting_alone():
    detections = perfect()
    for image in detections[:2]:
        image['landmarks'][0, 1, :2] = 99  # Of the tops in images 1 and 2 the occluded one.
    metrics = evaluation.evaluate(table(), detections, hand_made.SIGMAS)
    assert overall(metrics, 'landmarks_visible')['per_class']['top'] == pytest.approx(1)
    # With the occluded ones OKS is .5 for the first two, right at .5 alone; 1 for the third, which
    # is the least certain, so precision is 1/3 up to a recall of 1/3 at the other 9 thresholds.
    assert overall(metrics, 'landmarks')['per_class']['top'] == pytest.approx(
        (1 + 9 * 34 / 101 / 3) / 10
    )
    # An unlabelled one may be anywhere.
    detections = perfect()
    detections[0]['landmarks'][0, 2, :2] = 99
    metrics = evaluation.evaluate(table(), detections, hand_made.SIGMAS)
    assert overall(metrics, 'landmarks')['per_class']['top'] == pytest.approx(1)


def test_oks_goes_by_the_area_of_the_box():
    detections = perfect()
    # 2 sigma s off, s^2 = 40 * 80: OKS is exp(-1/2) = .607 for the top in image 1, if it alone is
    # right at .5, .55 and .6.
    detections[0]['landmarks'][0, 0, 0] += 2 * 0.05 * np.sqrt(40 * 80)
    metrics = evaluation.evaluate(table(), detections, hand_made.SIGMAS)
    top = metrics['landmarks_visible']['scale: small']['per_class']['top']
    assert top == pytest.approx(0.3)


def test_parts_that_are_missing():
    detections = [
        {
            name: values
            for name, values in image.items()
            if name in ('image_id', 'boxes', 'classes', 'scores')
        }
        for image in perfect()
    ]
    assert list(evaluation.evaluate(table(), detections, hand_made.SIGMAS)) == ['box']
    detections = perfect()
    assert 'landmarks' not in evaluation.evaluate(table(), detections)
    # Without users there is nothing to search for.
    metrics = evaluation.evaluate(table(), detections[1:], hand_made.SIGMAS)
    assert list(metrics) == ['box', 'mask', 'landmarks_visible', 'landmarks']
    assert overall(metrics, 'box')['per_class']['skirt'] is None


def test_detections_of_one_class_push_out_none_of_another():
    """COCO's limits are of each class: 100 boxes and masks, 20 landmarks; or others."""
    detections = perfect()
    junk = [(HAT, (60, 60, 61 + n % 30, 62), 0.95) for n in range(30)]
    more = hand_made.found(1, *junk)
    first = detections[0]
    for name in 'boxes', 'classes', 'scores', 'embeddings':
        first[name] = np.concatenate([more[name], first[name]])
    first['masks'] = more['masks'] + first['masks']
    first['landmarks'] = np.concatenate([np.zeros([30, 3, 3], np.float32), first['landmarks']])
    metrics = evaluation.evaluate(table(), detections, hand_made.SIGMAS)
    for kind in 'box', 'mask':
        assert overall(metrics, kind)['per_class']['top'] == pytest.approx(1)
        assert overall(metrics, kind)['per_class']['hat'] < 0.1  # One of 31 is right.
    assert overall(metrics, 'landmarks')['per_class']['top'] == pytest.approx(1)
    # A limit of one leaves the most certain of each class.
    one = evaluation.evaluate(table(), detections, hand_made.SIGMAS, max_detections=1)
    assert overall(one, 'box')['per_class']['top'] == pytest.approx(1)
    assert overall(one, 'box')['per_class']['hat'] == pytest.approx(0.5)


def test_every_detection_is_searched_for_without_labels():
    """As for the test split: nothing is asked of the ground truth but whose images they are."""
    detections = [
        {**image, 'truth_embeddings': np.zeros([0, 2], np.float32)} for image in perfect()
    ]
    bare = hand_made.table((1, USER, []), (2, SHOP, []), (3, SHOP, []))
    found = evaluation.search(bare, detections)
    assert found.image_ids.tolist() == [1, 1] and found.classes.tolist() == [TOP, SKIRT]
    # (0, 0) is nearest to (1, 1) of image 2, (9, 9) to (7, 7) of image 3.
    assert found.gallery_image_ids[:, 0].tolist() == [2, 3]
    assert found.gallery_image_ids.shape == (2, 3)
    assert evaluation.retrieve(bare, detections) == {}
    metrics = evaluation.evaluate(bare, detections, hand_made.SIGMAS)
    assert evaluation.summary(metrics) == {}
    for images in ((1, 0, []), (2, 0, []), (3, 0, [])), ((1, USER, []), (2, USER, []), (3, 0, [])):
        assert evaluation.search(hand_made.table(*images), detections) is None


def test_what_was_searched_for_all_is_judged_alike():
    searched = evaluation.search(table(), perfect())
    assert len(searched.image_ids) == 2  # With the skirt, which is no query.
    (few, judgement), (every, again) = (
        evaluation.retrieve(table(), perfect(), searched=one)['detected']
        for one in (None, searched)
    )
    assert few.image_ids.tolist() == [1] and every is searched
    np.testing.assert_array_equal(judgement.hits, again.hits)


def test_an_item_without_a_mask_is_no_miss_of_masks():
    images = (1, USER, [hand_made.item(TOP, LEFT, segmentation=None), hand_made.item(TOP, RIGHT)])
    for detections in [(TOP, RIGHT, 0.9)], [(TOP, LEFT, 0.9), (TOP, RIGHT, 0.5)]:
        metrics = evaluation.evaluate(hand_made.table(images), [hand_made.found(1, *detections)])
        assert overall(metrics, 'mask')['AP'] == pytest.approx(1)
        assert overall(metrics, 'box')['AR'] == pytest.approx(len(detections) / 2)


def test_order_and_choice_of_images():
    detections = perfect()
    reverse = evaluation.evaluate(table(), detections[::-1], hand_made.SIGMAS)
    assert evaluation.summary(reverse) == pytest.approx(
        evaluation.summary(evaluation.evaluate(table(), detections, hand_made.SIGMAS))
    )
    with pytest.raises(ValueError, match='image_id 2 comes twice'):
        evaluation.evaluate(table(), detections + detections[1:2])
    detections[0]['image_id'] = 77
    with pytest.raises(ValueError, match='image_id 77 is not in hand-made'):
        evaluation.evaluate(table(), detections)
    with pytest.raises(ValueError, match='4 sigmas for 5 landmarks of hand-made'):
        evaluation.evaluate(table(), perfect(), hand_made.SIGMAS[:4])


def test_summary():
    flat = evaluation.summary(evaluation.evaluate(table(), perfect(), hand_made.SIGMAS))
    assert flat['box_ap'] == flat['mask_ap50'] == flat['landmarks_visible_ap75'] == pytest.approx(1)
    assert (flat['retrieval_truth_top1'], flat['retrieval_truth_top5']) == (0, 1)
    assert all(isinstance(value, float) for value in flat.values())
    assert set(flat) == {
        *(
            f'{kind}_{name}'
            for kind in ('box', 'mask', 'landmarks_visible', 'landmarks')
            for name in ('ap', 'ap50', 'ap75', 'ar')
        ),
        *(
            f'retrieval_{boxes}_top{k}'
            for boxes in ('detected', 'truth')
            for k in (1, 5, 10, 15, 20)
        ),
    }
