import contextlib
import io
import math

import numpy as np
import pytest
from pycocotools import coco, cocoeval

from official.evaluation import oks

BOX = (10.0, 20.0, 30.0, 60.0)  # 20 wide, 40 high.


def test_by_hand():
    # At a distance of 2 sigma times the root of the area the exponent is -1/2.
    truth = [[10, 10, 2], [50, 50, 1], [90, 90, 0]]
    sigmas = [0.1, 0.05, 0.01]
    area = 400
    found = [[10, 10], [50 + 2 * 0.05 * 20, 50], [0, 0]]
    assert oks.oks(found, truth, sigmas, area, BOX) == pytest.approx((1 + math.exp(-0.5)) / 2)
    # 3 and 4 pixels off is 5: 25 / (2 * 400 * .04).
    found = [[13, 14], [50, 50], [0, 0]]
    assert oks.oks(found, truth, sigmas, area, BOX) == pytest.approx((math.exp(-25 / 32) + 1) / 2)


def test_without_labels_the_box_with_its_own_size_added_on_each_side_counts():
    truth, sigmas, area = np.zeros((3, 3)), [0.1, 0.1, 0.1], 800
    # The larger box is (-10, -20, 50, 100): two are inside, the last is 8 to the right.
    found = [[-10, -20], [50, 100], [58, 40]]
    assert oks.oks(found, truth, sigmas, area, BOX) == pytest.approx(
        (2 + math.exp(-64 / (2 * 0.04 * 800))) / 3
    )
    # 3 above and 4 to the left of the corner.
    assert oks.oks([[-14, -23]] * 3, truth, sigmas, area, BOX) == pytest.approx(
        math.exp(-25 / (2 * 0.04 * 800))
    )


def test_an_area_of_zero():
    truth = [[5, 5, 2], [6, 6, 2]]
    assert oks.oks([[5, 5], [6, 7]], truth, [0.1, 0.1], 0, BOX) == 0.5


def test_against_pycocotools():
    rng = np.random.default_rng(0)
    number, landmarks = 30, 6
    sigmas = rng.uniform(0.02, 0.1, landmarks)
    truth, found = [], []
    for image in range(1, number + 1):
        points = np.concatenate(
            [rng.uniform(0, 100, (landmarks, 2)), rng.integers(0, 3, (landmarks, 1))], 1
        )
        if image % 5 == 0:
            points[:, 2] = 0
        box = [*rng.uniform(0, 50, 2), *rng.uniform(10, 60, 2)]
        truth.append(
            {
                'id': image,
                'image_id': image,
                'category_id': 1,
                'bbox': box,
                'area': box[2] * box[3],
                'iscrowd': 0,
                'keypoints': points.ravel().tolist(),
                'num_keypoints': int((points[:, 2] > 0).sum()),
            }
        )
        for score in 0.9, 0.8:
            near = points.copy()
            near[:, :2] += rng.normal(0, 8, (landmarks, 2))
            found.append(
                {
                    'image_id': image,
                    'category_id': 1,
                    'score': score,
                    'keypoints': near.ravel().tolist(),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        of_truth = coco.COCO()
        of_truth.dataset = {
            'images': [{'id': one['id']} for one in truth],
            'categories': [{'id': 1}],
            'annotations': truth,
        }
        of_truth.createIndex()
        evaluation = cocoeval.COCOeval(of_truth, of_truth.loadRes(found), 'keypoints')
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation._prepare()
    all_ours = []
    for index, one in enumerate(truth):
        x, y, width, height = one['bbox']
        ours = oks.oks(
            np.array([other['keypoints'] for other in found[2 * index : 2 * index + 2]]).reshape(
                2, landmarks, 3
            )[..., :2],
            np.reshape(one['keypoints'], (-1, 3)),
            sigmas,
            one['area'],
            (x, y, x + width, y + height),
        )
        np.testing.assert_allclose(
            ours, evaluation.computeOks(one['image_id'], 1)[:, 0], rtol=1e-12
        )
        all_ours.append(ours)
    assert 0.05 < np.mean(all_ours) < 0.95
