"""Small tables and detections that tests write down item by item."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle

from official.data import detection_table

SIZE = 100
COUNTS = (3, 2, 0)  # Landmarks of the classes 'top', 'skirt' and 'hat'.
SIGMAS = np.full(5, 0.05)
IDS = (4, 7, 9)  # The files' numbers of the classes.


def item(category, box, pair_id=0, style=0, levels=(0, 0, 0, 0), landmarks=None, **fields):
    """An item whose mask is its box; levels are scale, occlusion, zoom-in and viewpoint."""
    scale, occlusion, zoom_in, viewpoint = levels
    return detection_table.Item(
        **{
            'box': box,
            'category': category,
            'segmentation': [polygon(box)],
            'landmarks': landmarks,
            'pair_id': pair_id,
            'style': style,
            'scale': scale,
            'occlusion': occlusion,
            'zoom_in': zoom_in,
            'viewpoint': viewpoint,
            **fields,
        }
    )


def table(*images, category_ids=IDS):
    """Of (image_id, source, items)."""
    builder = detection_table.TableBuilder(
        'hand-made', ('top', 'skirt', 'hat'), COUNTS, mask_size=8, category_ids=category_ids
    )
    for image_id, source, items in images:
        builder.add_image(f'{image_id}.jpg', image_id, (SIZE, SIZE), source, items)
    return builder.build()


def polygon(box):
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


def mask(box):
    return rle.merge(rle.frPyObjects([polygon(box).ravel().tolist()], SIZE, SIZE))


def found(image_id, *detections, truth=(), dims=2):
    """An image's detections of (class, box, score, embedding or nothing); truth: embeddings."""
    boxes = np.array([one[1] for one in detections], np.float32).reshape(-1, 4)
    embeddings = [one[3] if len(one) > 3 else [0] * dims for one in detections]
    return {
        'image_id': image_id,
        'boxes': boxes,
        'classes': np.array([one[0] for one in detections], np.int32),
        'scores': np.array([one[2] for one in detections], np.float32),
        'masks': [mask(one[1]) for one in detections],
        'embeddings': np.array(embeddings, np.float32).reshape(-1, dims),
        'truth_embeddings': np.array(truth, np.float32).reshape(-1, dims),
    }
