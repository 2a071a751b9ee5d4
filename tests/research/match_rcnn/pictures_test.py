"""Tests of research.match_rcnn.pictures, of drawn garments."""

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as rle

from official.vision import drawing
from research.match_rcnn import contours, pictures
from tests.research.match_rcnn import tiny


def test_pictures_show_what_was_missed(tmp_path):
    table = tiny.make_data().table('validation')
    items = table.items_of(0)
    found = {
        'row': 0,
        'boxes': table.boxes[items][1:],
        'classes': table.classes[items][1:],
        'scores': np.full(len(items) - 1, 0.9),
    }
    assert pictures.misses(table, found).tolist() == [items[0]]
    found_all = {
        'row': 0,
        'boxes': table.boxes[items],
        'classes': table.classes[items],
        'scores': np.full(len(items), 0.9),
    }
    assert not len(pictures.misses(table, found_all))
    unsure = found_all | {'scores': np.full(len(items), 0.4)}
    assert len(pictures.misses(table, unsure)) == len(items)
    red = np.all(np.abs(pictures.failure(table, found).astype(int) - [200, 30, 30]) < 10, -1)
    assert (
        red.sum()
        > np.all(
            np.abs(pictures.failure(table, found_all).astype(int) - [200, 30, 30]) < 10, -1
        ).sum()
        + 50
    )


def test_the_worst_mask_and_its_picture():
    """A mask that is cut in two overlaps half; a detection of another class is not looked at."""
    table = tiny.make_data().table('validation')
    items = table.items_of(0)
    image = pictures.read(table, 0)
    masks = [pictures.mask_of(table, item, image.shape[:2]) for item in items]
    rows = np.flatnonzero(masks[0].any(1))
    half = masks[0].copy()
    half[rows[len(rows) // 2] :] = False
    masks[0] = half
    found = {
        'row': 0,
        'image_id': 1,
        'boxes': table.boxes[items],
        'classes': table.classes[items],
        'scores': np.full(len(items), 0.9),
        'masks': [rle.encode(np.asfortranarray(mask, np.uint8)) for mask in masks],
    }
    overlap, item, index = pictures.worst_mask(table, found)
    whole = pictures.mask_of(table, items[0], image.shape[:2])
    assert (item, index) == (items[0], 0) and abs(overlap - half.sum() / whole.sum()) < 1e-9
    annotated, detected = pictures.masks_compared(table, found, item, index)
    plain = drawing.Canvas(image).pixels
    below = whole & ~half & (np.cumsum(whole, 0) < whole.sum(0) - 2)  # Neither box nor score.
    below = np.asarray(Image.fromarray(below).resize(plain.shape[1::-1], Image.NEAREST))
    changed = [np.any(picture != plain, -1)[below].mean() for picture in (annotated, detected)]
    assert changed[0] > 0.99 and changed[1] < 0.3
    wrong = found | {'classes': found['classes'] % 13 + 1}
    assert pictures.worst_mask(table, wrong) is None


def test_stages_from_landmarks_to_masks():
    """What is tinted is the first-stage mask; contours lie on its edge, skeletons on landmarks."""
    table = tiny.make_data().table('validation')
    row = int(np.argmax([len(table.items_of(row)) == 1 for row in range(table.num_images)]))
    (item,) = table.items_of(row)
    image = pictures.read(table, row)
    plain = drawing.Canvas(image).pixels
    scale = plain.shape[0] // image.shape[0]
    changed = [np.any(picture != plain, -1) for picture in pictures.stages(table, row, image)]
    first, annotated = (
        mask.astype(bool).repeat(scale, 0).repeat(scale, 1)
        for mask in (
            contours.first_stage_mask(
                table.landmarks[item], int(table.classes[item]), *image.shape[:2]
            ),
            pictures.mask_of(table, item, image.shape[:2]),
        )
    )
    for drawn, mask in ((changed[2], first), (changed[3], annotated)):
        assert drawn[mask].mean() > 0.97 and drawn[~mask].mean() < 0.03
    edge = cv2.dilate(first.astype(np.uint8), np.ones([9, 9])) - cv2.erode(
        first.astype(np.uint8), np.ones([9, 9])
    )
    assert changed[1].any() and edge[changed[1]].mean() > 0.9
    for x, y, seen in table.landmarks[item]:
        if seen and 1 < x < image.shape[1] - 1 and 1 < y < image.shape[0] - 1:
            x, y = int(scale * x), int(scale * y)
            assert changed[0][y - 3 : y + 4, x - 3 : x + 4].any()


def test_masks_of_a_table_are_those_of_its_polygons():
    table = tiny.make_data().table('validation')
    height, width = table.sizes[0]
    mask = pictures.mask_of(table, 0, (height, width))
    x1, y1, x2, y2 = table.boxes[0]
    rows, columns = np.where(mask)
    assert abs(rows.min() - y1) <= 1 and abs(rows.max() + 1 - y2) <= 1
    assert abs(columns.min() - x1) <= 1 and abs(columns.max() + 1 - x2) <= 1


def test_a_retrieval_picture_has_frames_of_the_right_colour():
    grey = np.full([260, 200, 3], 128, np.uint8)
    strip = pictures.retrieved(
        grey,
        (20, 20, 180, 240),
        [(grey, (20, 20, 180, 240), True), (grey, (20, 20, 180, 240), False)],
    )
    assert strip.shape == (260, 3 * 206 - 6, 3)

    def has(part, color):
        return np.all(part == color, -1).sum() > 100

    assert has(strip[:, 206:406], (0, 140, 70)) and not has(strip[:, 412:], (0, 140, 70))
    assert has(strip[:, 412:], (200, 30, 30)) and not has(strip[:, :200], (200, 30, 30))
