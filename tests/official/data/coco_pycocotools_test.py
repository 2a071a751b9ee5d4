"""Tables of official.data.coco against pycocotools, on drawn annotations and on real ones."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from pycocotools import coco as coco_api
from pycocotools import mask as coco_mask

from official.data import coco

REAL = os.path.join(os.path.dirname(__file__), '../../../../shared/data/coco_tiny')
KEYPOINTS = ['nose', 'left_eye', 'right_eye', 'foot_left', 'foot_right', 'tail']


@pytest.mark.parametrize(
    'name, kind, images, items, crowds, seen',
    [
        ('tinycoco', 'instances_train2017', 32, 288, 4, 0),
        ('tinycoco', 'instances_val2017', 6, 136, 1, 0),
        ('pose_minicoco', 'person_keypoints_train2017', 30, 87, 1, 53),
        ('pose_minicoco', 'person_keypoints_val2017', 30, 65, 0, 40),
    ],
)
def test_real_photographs(name, kind, images, items, crowds, seen, capsys):
    if not os.path.isdir(REAL):
        pytest.skip('The real photographs of coco_tiny are not here.')
    path = f'{REAL}/{name}/annotations/{kind}.json'
    table = coco.load(path, f'{REAL}/{name}/images/{kind.rpartition("_")[2]}')
    assert (table.num_images, table.num_items, table.crowd.sum()) == (images, items, crowds)
    assert (table.landmarks[..., 2] > 0).any(-1).sum() == seen
    capsys.readouterr()
    check_against_pycocotools(table, path)


def test_drawn_annotations(tmp_path, capsys):
    """Stars of one polygon and of two, a crowd as run lengths, and key points."""
    random, size = np.random.default_rng(0), (120, 160)
    written = {
        'images': [],
        'annotations': [],
        'categories': [
            {'id': 3, 'name': 'star', 'keypoints': KEYPOINTS},
            {'id': 8, 'name': 'pair'},
        ],
    }
    for image in range(8):
        Image.new('RGB', size[::-1]).save(tmp_path / f'{image}.jpg')
        written['images'].append(
            {'id': image, 'file_name': f'{image}.jpg', 'height': size[0], 'width': size[1]}
        )
        for number in range(6):
            category = (3, 8)[number % 2]
            polygons = [star(random, size) for _ in range(1 + number % 2)]
            corners = np.concatenate(polygons).reshape(-1, 2)
            low, high = corners.min(0), corners.max(0)
            written['annotations'].append(
                {
                    'id': 10 * image + number + 1,
                    'image_id': image,
                    'category_id': category,
                    'bbox': [*low.tolist(), *(high - low).tolist()],
                    'iscrowd': 0,
                    'area': 50.0,
                    'segmentation': [polygon.tolist() for polygon in polygons],
                }
            )
            if category == 3:
                written['annotations'][-1] |= {
                    'keypoints': points(random, corners),
                    'num_keypoints': 6,
                }
    mask = np.zeros(size, np.uint8, 'F')
    mask[20:70, 30:90] = 1
    counts = coco_mask.encode(mask)
    written['annotations'].append(
        {
            'id': 900,
            'image_id': 0,
            'category_id': 8,
            'bbox': [30, 20, 60, 50],
            'iscrowd': 1,
            'area': 3000.0,
            'segmentation': {'size': list(size), 'counts': counts['counts'].decode()},
        }
    )
    path = tmp_path / 'drawn.json'
    path.write_text(json.dumps(written))
    table = coco.load(str(path), str(tmp_path))
    assert (table.num_items, table.crowd.sum()) == (49, 1)
    assert (table.landmarks[..., 2] > 0).any(-1).sum() == 24
    capsys.readouterr()
    check_against_pycocotools(table, str(path))


def star(random, size):
    """A polygon of 14 corners around a point of an image, x and y in turn."""
    height, width = size
    middle = np.array([random.uniform(45, width - 45), random.uniform(45, height - 45)])
    angles = (np.arange(14) + random.uniform(0.1, 0.9, 14)) * 2 * np.pi / 14
    radii = random.uniform(28, 44, 14)[:, np.newaxis]
    return (middle + radii * np.stack([np.cos(angles), np.sin(angles)], 1)).round(2).reshape(-1)


def points(random, corners):
    """Six key points, hidden or seen, at whole pixels among the corners."""
    chosen = corners[random.permutation(len(corners))[:6]].round().astype(int)
    return np.concatenate([chosen, random.integers(1, 3, (6, 1))], 1).reshape(-1).tolist()


def check_against_pycocotools(table, path):
    """Fields, masks and mini masks of a table are those of the file, as pycocotools reads it."""
    original, ours = coco_api.COCO(path), coco_api.COCO()
    ours.dataset = coco.to_coco(table, landmarks=bool((table.landmarks[..., 2] > 0).any()))
    ours.createIndex()
    overlaps = []
    for item, identity in enumerate(table.item_ids):
        was, now = original.anns[identity], ours.anns[identity]
        for field in 'category_id', 'image_id', 'iscrowd':
            assert was[field] == now[field]
        assert (was.get('keypoints') or []) == (now.get('keypoints') or [])
        # Some boxes of COCO reach beyond their images, but by rounding alone.
        np.testing.assert_allclose(was['bbox'], now['bbox'], atol=0.02)
        mask = original.annToMask(was)
        np.testing.assert_array_equal(mask, ours.annToMask(now))
        x1, y1, x2, y2 = np.round(table.boxes[item]).astype(int)
        if was['iscrowd'] or min(x2 - x1, y2 - y1) < 24:
            continue
        # The mini mask at the centres of the box's pixels.
        side = table.mask_size
        mini = np.unpackbits(table.mini_masks[item]).reshape(side, side)
        left, top, right, bottom = table.boxes[item]
        columns = (np.arange(x1, x2) + 0.5 - left) / (right - left) * side
        rows = (np.arange(y1, y2) + 0.5 - top) / (bottom - top) * side
        pasted = np.zeros_like(mask)
        pasted[y1:y2, x1:x2] = mini[
            np.clip(rows, 0, side - 1).astype(int)[:, None],
            np.clip(columns, 0, side - 1).astype(int),
        ]
        overlaps.append(
            coco_mask.iou(
                [coco_mask.encode(np.asfortranarray(pasted))],
                [coco_mask.encode(np.asfortranarray(mask))],
                [0],
            )[0, 0]
        )
    assert len(overlaps) > 30 and np.mean(overlaps) > 0.95 and np.min(overlaps) > 0.75
