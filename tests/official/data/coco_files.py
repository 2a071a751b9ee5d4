"""A small set of COCO's format, and how it is read."""

import copy
import json
import os

from PIL import Image

from official.data import coco

KEYPOINTS = ['nose', 'left_eye', 'Right_Eye', 'foot_right', 'foot_left', 'left_only']


def save(path, height, width, orientation=1, mode='RGB'):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new(mode, (width, height)).save(path, exif=exif)


def annotation(identity, image, category=20, bbox=(1, 2, 3, 4), **options):
    return {
        'id': identity,
        'image_id': image,
        'category_id': category,
        'bbox': list(bbox),
        **options,
    }


def content():
    return {
        'images': [
            {'id': 9, 'file_name': 'b.jpg', 'height': 20, 'width': 30},
            {'id': 2, 'file_name': 'sub/a.jpg', 'height': 40, 'width': 10},
        ],
        'annotations': [
            annotation(
                5,
                2,
                20,
                (1.5, 2, 3, 30),
                area=17.5,
                iscrowd=0,
                segmentation=[[1.5, 2, 4.5, 2, 4.5, 32]],
            ),
            annotation(
                6,
                9,
                7,
                (2, 3, 20, 10),
                keypoints=[3, 4, 2, *[0] * 12, 9, 8, 1],
                segmentation=[[2, 3, 22, 3, 22, 13]],
            ),
            annotation(
                7,
                2,
                20,
                (0, 0, 10, 40),
                iscrowd=1,
                segmentation={'size': [40, 10], 'counts': [0, 400]},
            ),
        ],
        'categories': [
            {'id': 20, 'name': 'rug'},
            {'id': 7, 'name': 'doll', 'keypoints': KEYPOINTS},
        ],
    }


def load(folder, written, **options):
    with open(f'{folder}/x.json', 'w', encoding='utf-8') as file:
        file.write(written if isinstance(written, str) else json.dumps(written))
    return coco.load(f'{folder}/x.json', f'{folder}/images', **options)


def changed(part, number, **fields):
    written = copy.deepcopy(content())
    written[part][number].update(fields)
    return written
