import contextlib
import copy
import io
import math

import numpy as np
import pytest
from pycocotools import coco, cocoeval
from pycocotools import mask as rle

from official.evaluation import coco_ap

SIZE = 100


def truth_of(boxes, images=4, categories=2, **fields):
    """COCO's dictionary of (image, category, (x, y, width, height))."""
    return {
        'images': [{'id': i, 'height': SIZE, 'width': SIZE} for i in range(1, images + 1)],
        'categories': [{'id': c, 'name': f'c{c}'} for c in range(1, categories + 1)],
        'annotations': [
            {
                'id': number,
                'image_id': image,
                'category_id': category,
                'bbox': list(box),
                'area': box[2] * box[3],
                'iscrowd': 0,
                **{name: values[number] for name, values in fields.items()},
            }
            for number, (image, category, box) in enumerate(boxes)
        ],
    }


def found_of(boxes):
    """COCO's results of (image, category, (x, y, width, height), score)."""
    return [
        {'image_id': image, 'category_id': category, 'bbox': list(box), 'score': score}
        for image, category, box, score in boxes
    ]


A, B, FAR = (10, 10, 40, 40), (60, 60, 30, 20), (80, 0, 10, 10)


def test_all_found():
    truth = truth_of([(1, 1, A), (1, 2, B), (2, 1, B)])
    found = found_of([(1, 1, A, 0.9), (1, 2, B, 0.3), (2, 1, B, 0.8)])
    assert coco_ap.average_precision(truth, found, 'bbox') == {
        'AP': pytest.approx(1),
        'AP50': pytest.approx(1),
        'AP75': pytest.approx(1),
        'AR': pytest.approx(1),
        'per_class': {'c1': pytest.approx(1), 'c2': pytest.approx(1)},
    }


@pytest.mark.parametrize('found', [[], [(1, 1, FAR, 0.9), (3, 2, A, 0.9)]])
def test_all_missed(found):
    truth = truth_of([(1, 1, A), (1, 2, B)])
    assert coco_ap.average_precision(truth, found_of(found), 'bbox') == {
        'AP': 0,
        'AP50': 0,
        'AP75': 0,
        'AR': 0,
        'per_class': {'c1': 0, 'c2': 0},
    }


def test_half_found():
    """Precision is 1 up to a recall of .5: at 51 of the 101 points."""
    truth = truth_of([(1, 1, A), (2, 1, A)])
    got = coco_ap.average_precision(truth, found_of([(1, 1, A, 0.9)]), 'bbox')
    assert got['AP'] == pytest.approx(51 / 101)
    assert got['AR'] == pytest.approx(0.5)
    # Nothing is known of a class that has no objects; it does not lower the mean.
    assert got['per_class'] == {'c1': pytest.approx(51 / 101), 'c2': None}


def test_a_duplicate_is_wrong():
    """Right, wrong, right: precision 1 up to .5, then 2/3."""
    truth = truth_of([(1, 1, A), (2, 1, A)])
    found = found_of([(1, 1, A, 0.9), (1, 1, A, 0.8), (2, 1, A, 0.7)])
    expected = pytest.approx((51 + 50 * 2 / 3) / 101)
    assert coco_ap.average_precision(truth, found, 'bbox')['AP'] == expected
    # If it is the least certain, it costs nothing.
    found[1]['score'] = 0.1
    assert coco_ap.average_precision(truth, found, 'bbox')['AP'] == pytest.approx(1)


def test_a_wrong_class_is_a_miss_of_the_one_and_wrong_for_the_other():
    truth = truth_of([(1, 1, A), (2, 2, A)])
    found = found_of([(1, 1, A, 0.5), (2, 1, A, 0.9)])
    got = coco_ap.average_precision(truth, found, 'bbox')
    # Of class 1 the first is wrong, then precision is 1/2 at every recall.
    assert got['per_class'] == {'c1': pytest.approx(0.5), 'c2': 0}
    assert got['AP'] == pytest.approx(0.25)


def test_thresholds():
    """(10, 10, 40, 25) covers 25/40 of A: right at .5, .55 and .6."""
    truth = truth_of([(1, 1, A)])
    got = coco_ap.average_precision(truth, found_of([(1, 1, (10, 10, 40, 25), 0.9)]), 'bbox')
    assert (got['AP'], got['AP50'], got['AP75'], got['AR']) == pytest.approx((0.3, 1, 0, 0.3))


def test_crowds_are_ignored():
    truth = truth_of([(1, 1, A), (1, 1, (50, 50, 50, 50))], iscrowd=[0, 1])
    # The second is inside the crowd, of which it covers little.
    found = found_of([(1, 1, A, 0.5), (1, 1, B, 0.9)])
    assert coco_ap.average_precision(truth, found, 'bbox')['AP'] == pytest.approx(1)


def test_the_most_certain_detections_of_a_category():
    """Of each category in an image, as pycocotools has it."""
    truth = truth_of([(1, 1, A), (1, 2, B)])
    found = found_of([(1, 1, A, 0.2), (1, 2, B, 0.9), (1, 1, FAR, 0.8), (1, 2, FAR, 0.95)])
    assert coco_ap.average_precision(truth, found, 'bbox', max_detections=1)['per_class'] == {
        'c1': 0,
        'c2': 0,
    }
    # With two both are found, each behind a wrong one.
    assert coco_ap.average_precision(truth, found, 'bbox', max_detections=2)['per_class'] == {
        'c1': pytest.approx(0.5),
        'c2': pytest.approx(0.5),
    }


def test_spurious_detections_of_other_categories_push_nothing_out():
    """20 of each image: where all categories shared one limit, what is right would fall out."""
    truth, found = random_case('bbox')
    rng = np.random.default_rng(8)
    spurious = [
        (image, 3, (*rng.uniform(0, 40, 2), *rng.uniform(15, 55, 2)), 0.99)
        for image in range(1, 41)
        for _ in range(20)
    ]
    found += found_of(spurious)
    expected = stock(truth, found, 'bbox', most=100)
    assert overall(coco_ap.average_precision(truth, found, 'bbox')) == pytest.approx(
        expected, abs=1e-12
    )
    # A smaller limit is another number, and pycocotools' again.
    fewer = stock(truth, found, 'bbox', most=20)
    assert fewer != pytest.approx(expected, abs=1e-12)
    assert overall(
        coco_ap.average_precision(truth, found, 'bbox', max_detections=20)
    ) == pytest.approx(fewer, abs=1e-12)


def test_categories_of_one_name_stay_apart():
    truth = truth_of([(1, 1, A), (1, 2, B)])
    for category in truth['categories']:
        category['name'] = 'c'
    assert coco_ap.average_precision(truth, found_of([(1, 1, A, 0.9)]), 'bbox')['per_class'] == {
        'c (1)': pytest.approx(1),
        'c (2)': 0,
    }


def test_ignored_objects_are_neither_missed_nor_found():
    truth = truth_of([(1, 1, A), (1, 1, B), (2, 1, A)])
    found = found_of([(1, 1, A, 0.5), (1, 1, B, 0.9), (3, 1, A, 0.4)])
    subsets = {'first': [True, False, False], 'last': [False, False, True], 'none': [False] * 3}
    got = coco_ap.subset_average_precision(truth, found, 'bbox', subsets)
    assert got['first']['AP'] == pytest.approx(1)
    assert got['last']['AP'] == 0
    assert got['none']['AP'] is None
    # What fits nothing is wrong in every subset.
    found[2]['score'] = 0.6
    assert coco_ap.average_precision(truth, found, 'bbox', ignore=[False, True, True])[
        'AP'
    ] == pytest.approx(0.5)


def test_landmarks_by_hand():
    """Of two landmarks one exact and one beyond everything: OKS .5, which is right at .5 alone."""
    truth = truth_of(
        [(1, 1, A), (2, 2, A)], keypoints=[[20, 20, 2, 30, 30, 1, 40, 40, 0], [20, 20, 2]]
    )
    sigmas = {1: np.array([0.05, 0.05, 0.05]), 2: np.array([0.05])}
    found = [
        {
            'image_id': 1,
            'category_id': 1,
            'score': 0.9,
            'keypoints': [20, 20, 1, 99, 99, 1, 0, 0, 1],
        },
        # A distance of 2 sigma s: exp(-1/2) = .607, right at .5, .55 and .6.
        {'image_id': 2, 'category_id': 2, 'score': 0.9, 'keypoints': [20 + 2 * 0.05 * 40, 20, 1]},
    ]
    got = coco_ap.average_precision(truth, found, 'keypoints', sigmas)
    assert got['per_class'] == {'c1': pytest.approx(0.1), 'c2': pytest.approx(0.3)}
    assert (got['AP50'], got['AP75']) == (pytest.approx(1), 0)


def test_objects_without_labelled_landmarks_are_ignored():
    truth = truth_of([(1, 1, A), (1, 1, B)], keypoints=[[20, 20, 2], [70, 70, 0]])
    found = [
        {'image_id': 1, 'category_id': 1, 'score': 0.9, 'keypoints': [70, 70, 1]},
        {'image_id': 1, 'category_id': 1, 'score': 0.5, 'keypoints': [20, 20, 1]},
    ]
    got = coco_ap.average_precision(truth, found, 'keypoints', [0.05])
    assert got['AP'] == pytest.approx(1)


def test_masks_by_hand():
    """A triangle is half of its box: found as the box its IoU is about .5."""
    triangle = [[10.0, 10.0, 50.0, 10.0, 10.0, 50.0]]
    truth = truth_of([(1, 1, A)], segmentation=[triangle])
    whole = np.zeros((SIZE, SIZE), np.uint8, order='F')
    whole[10:50, 10:50] = 1

    def ap(mask):
        found = [{'image_id': 1, 'category_id': 1, 'score': 0.9, 'segmentation': rle.encode(mask)}]
        return coco_ap.average_precision(truth, found, 'segm')

    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    half = (whole * (x + y < 60)).astype(np.uint8, order='F')
    assert ap(half)['AP'] == pytest.approx(1)
    assert ap(whole)['AP75'] == 0
    assert ap(np.zeros_like(whole))['AP'] == 0
    # 8 of the triangle's 40 rows at its wide end are 288 of 800 pixels; without them IoU is .64.
    half[10:18] = 0
    assert ap(half)['AP'] == pytest.approx(0.3)


class Stock(cocoeval.COCOeval):
    """pycocotools' own, with `ignore` of the annotations."""

    ignore = None

    def _prepare(self):
        super()._prepare()
        for annotations in list(self._gts.values()):
            for annotation in annotations:
                annotation['ignore'] = annotation['ignore'] or self.ignore[annotation['id'] - 1]


def stock(truth, found, kind, sigmas=None, ignore=None, most=20):
    """AP, AP50, AP75 and AR."""
    truth = copy.deepcopy(truth)
    for annotation in truth['annotations']:
        annotation['id'] += 1
        if 'keypoints' in annotation:
            annotation['num_keypoints'] = int(np.count_nonzero(annotation['keypoints'][2::3]))
    with contextlib.redirect_stdout(io.StringIO()):
        of_truth = coco.COCO()
        of_truth.dataset = truth
        of_truth.createIndex()
        evaluation = Stock(of_truth, of_truth.loadRes(copy.deepcopy(found)), kind)
        evaluation.ignore = [False] * len(truth['annotations']) if ignore is None else ignore
        evaluation.params.maxDets = [most]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ['all']
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.asarray(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
    return tuple(
        float(values[values > -1].mean())
        for values in (precision, precision[0], precision[5], recall)
    )


COUNTS = {1: 3, 2: 5, 3: 2}  # Landmarks of each class.
OFFSETS = {1: 0, 2: 3, 3: 8}


def random_case(kind, wide=False, seed=0):
    """Three classes, objects near each other, crowds, detections by their side and anywhere.

    `wide`: landmarks of all classes end to end.
    """
    rng = np.random.default_rng(seed)
    boxes, found, points, scores = [], [], [], []

    def random_box():
        return (*rng.uniform(0, 40, 2), *rng.uniform(15, 55, 2))

    def landmarks(category, values):
        if not wide:
            return values.ravel().tolist()
        everything = np.zeros((10, 3))
        everything[OFFSETS[category] : OFFSETS[category] + COUNTS[category]] = values
        return everything.ravel().tolist()

    for image in range(1, 41):
        for _ in range(rng.integers(0, 4)):
            category, box = int(rng.integers(1, 4)), random_box()
            boxes.append((image, category, box))
            count = COUNTS[category]
            own = np.concatenate(
                [box[:2] + rng.uniform(size=(count, 2)) * box[2:], rng.integers(0, 3, (count, 1))],
                1,
            )
            own[0, 2] = 2  # Where none is labelled stock would count other classes' zeros.
            points.append(landmarks(category, own))
            for _ in range(rng.integers(0, 3)):
                near = own.copy()
                near[:, :2] += rng.normal(0, 2, (count, 2))
                shift = rng.normal(0, 2.5, 4)
                found.append((image, category, tuple(np.maximum(np.add(box, shift), 1)), 0))
                scores.append(landmarks(category, near))
        for _ in range(rng.integers(0, 3)):
            category = int(rng.integers(1, 4))
            box = random_box()
            found.append((image, category, box, 0))
            scores.append(
                landmarks(
                    category,
                    np.concatenate(
                        [
                            rng.uniform(0, 100, (COUNTS[category], 2)),
                            np.ones((COUNTS[category], 1)),
                        ],
                        1,
                    ),
                )
            )
    fields = {'iscrowd': (rng.uniform(size=len(boxes)) < 0.1).astype(int).tolist()}
    if kind == 'keypoints':
        fields['keypoints'] = points
    truth = truth_of(boxes, images=40, categories=3, **fields)
    results = found_of(found)
    # Few values, so that there are equal ones.
    for one, own, score in zip(
        results, scores, rng.integers(1, 30, len(results)) / 30, strict=True
    ):
        one['score'] = float(score)
        if kind == 'keypoints':
            one['keypoints'] = own
    if kind == 'segm':
        for one in truth['annotations']:
            x, y, width, height = one['bbox']
            one['segmentation'] = [[x, y, x + width, y, x + width / 2, y + height]]
        for one in results:
            x, y, width, height = one.pop('bbox')
            mask = rle.merge(
                rle.frPyObjects([[x, y, x + width, y, x + width / 2, y + height]], SIZE, SIZE)
            )
            one['segmentation'] = {**mask, 'counts': mask['counts'].decode()}
    return truth, results


def overall(got):
    return tuple(got[name] for name in ('AP', 'AP50', 'AP75', 'AR'))


@pytest.mark.parametrize('kind', ['bbox', 'segm', 'keypoints'])
def test_against_pycocotools(kind):
    truth, found = random_case(kind, wide=True)
    sigmas = np.random.default_rng(1).uniform(0.02, 0.1, 10) if kind == 'keypoints' else None
    # No image has more than 20 detections.
    expected = stock(truth, found, kind, sigmas)
    assert 0.1 < expected[0] < 0.9 and expected[2] < expected[1]
    got = coco_ap.average_precision(truth, found, kind, sigmas, 20)
    assert overall(got) == pytest.approx(expected, abs=1e-12)
    if kind == 'keypoints':
        # The classes' own landmarks alone give the same.
        truth, found = random_case(kind)
        own = {c: sigmas[OFFSETS[c] : OFFSETS[c] + COUNTS[c]] for c in COUNTS}
        got = coco_ap.average_precision(truth, found, kind, own, 20)
        assert overall(got) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('kind', ['bbox', 'keypoints'])
def test_subsets_against_pycocotools(kind):
    truth, found = random_case(kind, wide=True, seed=2)
    sigmas = np.full(10, 0.06) if kind == 'keypoints' else None
    rng = np.random.default_rng(3)
    subsets = {str(n): rng.uniform(size=len(truth['annotations'])) < 0.4 for n in range(3)}
    got = coco_ap.subset_average_precision(truth, found, kind, subsets, sigmas, 20)
    for name, counts in subsets.items():
        expected = stock(truth, found, kind, sigmas, (~counts).tolist())
        assert overall(got[name]) == pytest.approx(expected, abs=1e-12)
    assert len({got[name]['AP'] for name in subsets}) == 3


def test_nothing_that_is_passed_is_changed():
    for kind in 'bbox', 'segm':
        truth, found = random_case(kind)
        before = copy.deepcopy((truth, found))
        coco_ap.average_precision(truth, found, kind)
        assert (truth, found) == before


def test_bad_input_is_named():
    truth = truth_of([(1, 1, A)], keypoints=[[20, 20, 2]], segmentation=[[[0, 0, 9, 0, 9, 9]]])
    good = {
        'image_id': 1,
        'category_id': 1,
        'score': 0.5,
        'bbox': A,
        'keypoints': [1, 2, 1],
        'segmentation': {'size': [SIZE, SIZE], 'counts': [SIZE * SIZE]},
    }

    def run(kind='bbox', sigmas=(0.1,), **changes):
        coco_ap.average_precision(truth, [good, good | changes], kind, sigmas)

    for kind in coco_ap.KINDS:
        run(kind)
    with pytest.raises(ValueError, match="kind = 'box' is none of 'bbox', 'segm', 'keypoints'"):
        run('box')
    with pytest.raises(ValueError, match='detection 1: image_id 9 is not in the ground truth'):
        run(image_id=9)
    with pytest.raises(ValueError, match='detection 1: category_id 0 is not in the ground truth'):
        run(category_id=0)
    for score in math.nan, None, '1':
        with pytest.raises(ValueError, match=f'detection 1: score {score!r} is not a number'):
            run(score=score)
    for kind, field in coco_ap.KINDS.items():
        for missing in field, 'score', 'image_id', 'category_id':
            found = {name: value for name, value in good.items() if name != missing}
            with pytest.raises(ValueError, match=f'detection 0: {missing} is missing'):
                coco_ap.average_precision(truth, [found], kind, [0.1])
    annotation = truth['annotations'][0]
    area = annotation.pop('area')
    for kind in 'bbox', 'segm':
        run(kind)
    with pytest.raises(ValueError, match='annotation 0: area is missing'):
        run('keypoints')
    annotation['area'] = area
    with pytest.raises(ValueError, match='detection 1: keypoints .* is not made of finite numbers'):
        run('keypoints', keypoints=[1, None, 1])
    with pytest.raises(ValueError, match=r'detection 1: bbox \[1, 2, 3\] is not four numbers'):
        run(bbox=[1, 2, 3])
    with pytest.raises(ValueError, match='detection 1: keypoints has 6 numbers; category 1 has 1'):
        run('keypoints', keypoints=[1, 2, 1, 1, 2, 1])
    with pytest.raises(ValueError, match=r'size \[5, 6\] does not fit the image of \[100, 100\]'):
        run('segm', segmentation={'size': [5, 6], 'counts': [30]})
    for segmentation, message in (
        ({'size': [100, 100], 'counts': [9]}, 'RLE whose counts sum to 9, not 10000'),
        (None, 'segmentation None is neither'),
        ([[0, 0, 5, 5]], 'polygon 1 has 2 points'),
        ([['a'] * 6], 'could not convert'),
    ):
        with pytest.raises(ValueError, match=f'detection 1: .*{message}'):
            run('segm', segmentation=segmentation)
    # A far corner is no reason to die.
    run('segm', segmentation=[[0, 0, 1e9, 0, 0, 50]])
    with pytest.raises(ValueError, match="subset 'all' is of 2 annotations; there are 1"):
        coco_ap.average_precision(truth, [], 'bbox', ignore=[True, False])
