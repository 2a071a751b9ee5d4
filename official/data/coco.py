"""COCO-format annotations (instances or person keypoints) as a `DetectionTable`, and back.

Lin et al. 2014, Microsoft COCO: Common Objects in Context.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from official.data import detection_table
from official.data import image_files
from official.data import problems as problems_lib

_NEEDED = {'images': ('id', 'file_name', 'height', 'width'),
           'annotations': ('id', 'image_id', 'category_id', 'bbox'),
           'categories': ('id', 'name')}
_SIDE = re.compile(r'left|right', re.IGNORECASE)
_OTHER = {'left': 'right', 'right': 'left'}


def load(annotation_file: str, image_dir: str, problems: problems_lib.Problems | None = None,
         check_images: bool = True, mask_size: int = detection_table.MASK_SIZE
         ) -> detection_table.DetectionTable:
    """Reads a set.

    Categories become classes 1..C in the order of their ids. Images are in the order of the file.
    Boxes of no area, which the original COCO has, are skipped and counted; the other faults that
    `detection_items.checked` names are errors.

    Args:
      annotation_file: JSON, with images, annotations and categories.
      image_dir: folder of the images' file names.
      problems: counts what is handled; None: an own one, of which a summary is printed.
      check_images: look at the header of each image file. Images that are missing, damaged or of
        another shape than the file says are skipped and counted. Where an EXIF orientation turns
        an image and the file has its size as it is stored, its annotations are turned as well.
        Without it, every image is taken for one as the file says, upright.
      mask_size: height and width of mini masks.

    Returns:
      The table. A category's landmarks are mirrored as its keypoints' names say, left to right.

    Raises:
      FileNotFoundError: the file or folder is missing.
      ValueError: the file is no such JSON; an annotation cannot be right.
    """
    content = _read(annotation_file)
    if not os.path.isdir(image_dir):
        raise FileNotFoundError(f'{image_dir}: no such folder of images.')
    name = os.path.basename(annotation_file)
    own = problems_lib.Problems(name) if problems is None else problems
    categories = _by_id(content['categories'], annotation_file, 'category')
    classes = {identity: number for number, identity in enumerate(sorted(categories), 1)}
    keypoints = [categories[identity].get('keypoints', []) for identity in classes]
    builder = detection_table.TableBuilder(
        name, [str(categories[identity]['name']) for identity in classes],
        [len(names) for names in keypoints], _flips(keypoints, annotation_file), own, mask_size,
        tuple(classes))
    images = list(_by_id(content['images'], annotation_file, 'image').values())
    annotations = _by_image(content, annotation_file, own)
    paths = [os.path.join(image_dir, image['file_name']) for image in images]
    headers = image_files.headers(paths) if check_images else [None] * len(images)
    for image, path, header in zip(images, paths, headers):
        stored, orientation = _size(image, annotation_file), 1
        if check_images:
            if not image_files.note(header, path, annotation_file, own):
                continue
            if not _fits(stored, header, path, own):
                continue
            # A square may be either; what annotators are shown is upright.
            if not _same_shape(stored, header.upright):
                orientation = header.orientation
        items = [_item(annotation, classes, annotation_file, orientation, stored)
                 for annotation in annotations[image['id']]
                 if _has_area(annotation, annotation_file, own)]
        builder.add_image(path, image['id'], stored[::-1] if orientation >= 5 else stored,
                          items=items, file=f'{annotation_file}, image {image["file_name"]}')
    _count_others(image_dir, [image['file_name'] for image in images], own)
    table = builder.build()
    if problems is None:
        own.print_summary()
    return table


def to_coco(table: detection_table.DetectionTable, landmarks: bool = False,
            all_landmarks: bool = False) -> dict[str, Any]:
    """The table as COCO's dictionary, of which `pycocotools.coco.COCO.dataset` may be made.

    Args:
      table: of the images and items.
      landmarks: write keypoints, too.
      all_landmarks: write those of all classes end to end, each item's at the place of its class
        and zeros elsewhere, as DeepFashion2 has it (294 a item); else those of its class alone.
        Evaluation by pycocotools needs it where classes have different numbers of landmarks.

    Returns:
      {'images', 'annotations', 'categories'} of plain Python numbers; boxes (x, y, width, height);
      file names without their folders.
      Images and annotations have the table's ids, categories those of `category_ids`.
    """
    offsets = table.landmark_offsets
    categories = []
    for number, (identity, name) in enumerate(zip(table.category_ids, table.class_names)):
        category = {'id': identity, 'name': name}
        if landmarks:
            count = offsets[-1] if all_landmarks else table.landmark_counts[number]
            category['keypoints'] = [str(k) for k in range(1, count + 1)]
        categories.append(category)
    annotations = []
    for item, image in enumerate(table.images_of_items().tolist()):
        x1, y1, x2, y2 = table.boxes[item].astype(np.float64).tolist()
        number = int(table.classes[item])
        annotation = {
            'id': int(table.item_ids[item]), 'image_id': int(table.image_ids[image]),
            'category_id': table.category_ids[number - 1], 'bbox': [x1, y1, x2 - x1, y2 - y1],
            'area': float(table.areas[item]), 'iscrowd': int(table.crowd[item]),
            'segmentation': _plain(table.segmentations[item])}
        if landmarks:
            own = table.landmarks[item, :table.landmark_counts[number - 1]].astype(np.float64)
            values = own.reshape(-1).tolist()
            if all_landmarks:
                before, after = offsets[number - 1], offsets[-1] - offsets[number]
                values = [0.0] * (3 * before) + values + [0.0] * (3 * after)
            annotation['keypoints'] = values
            annotation['num_keypoints'] = int(np.count_nonzero(own[:, 2]))
        annotations.append(annotation)
    images = [{'id': int(identity), 'file_name': os.path.basename(path), 'height': int(height),
               'width': int(width)}
              for identity, path, (height, width) in zip(table.image_ids, table.paths, table.sizes)]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def _plain(segmentation):
    if isinstance(segmentation, dict):
        return segmentation
    return [polygon.astype(np.float64).reshape(-1).tolist() for polygon in segmentation or ()]


def _read(path) -> dict:
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such annotation file.') from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: damaged, no JSON ({error}).') from None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: no COCO annotations: {type(content).__name__} at the top.')
    for part, fields in _NEEDED.items():
        if not isinstance(content.get(part), list):
            raise ValueError(f'{path}: no COCO annotations: there is no list {part!r}.')
        for number, entry in enumerate(content[part]):
            for field in fields:
                if not isinstance(entry, dict) or field not in entry:
                    raise ValueError(f'{path}: {part}[{number}] has no {field!r}.')
    return content


def _by_id(entries, file, what) -> dict:
    found = {}
    for entry in entries:
        if not isinstance(entry['id'], int) or entry['id'] in found:
            raise ValueError(f'{file}: {what} id {entry["id"]!r} is no whole number or is there '
                             'twice.')
        found[entry['id']] = entry
    return found


def _by_image(content, file, problems) -> dict:
    found = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        image = annotation['image_id']
        if isinstance(image, int) and image in found:
            found[image].append(annotation)
        else:
            problems.add(problems_lib.NO_IMAGE,
                         f'{file}, annotation {annotation["id"]} of image {image!r}')
    return found


def _size(image, file) -> tuple[int, int]:
    size = image['height'], image['width']
    if not all(isinstance(length, int) and length > 0 for length in size):
        raise ValueError(f'{file}: image {image["file_name"]} has height {size[0]!r} and width '
                         f'{size[1]!r}.')
    return size


def _same_shape(one, other) -> bool:
    """Whether one is the other made smaller or larger, but for the rounding of sizes."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _fits(size, header, path, problems) -> bool:
    """Whether an image file can be the one whose size was annotated, upright or as stored."""
    if size in (header.upright, header.stored):
        return True
    if _same_shape(size, header.upright) or (
            header.orientation >= 5 and _same_shape(size, header.stored)):
        problems.add(problems_lib.OTHER_SIZE, path)
        return True
    problems.add(problems_lib.OTHER_SHAPE, path)
    return False


def _has_area(annotation, file, problems) -> bool:
    box = annotation['bbox']
    if not isinstance(box, list) or len(box) != 4 or not all(
            isinstance(number, (int, float)) for number in box):
        raise ValueError(f'{file}: annotation {annotation["id"]} has box {box!r}, not x, y, width '
                         'and height.')
    if min(box[2:]) == 0:
        problems.add(problems_lib.NO_AREA, f'{file}, annotation {annotation["id"]}')
        return False
    return True


def _item(annotation, classes, file, orientation, stored) -> detection_table.Item:
    category = annotation['category_id']
    if not isinstance(category, int) or category not in classes:
        raise ValueError(f'{file}: annotation {annotation["id"]} has unknown category {category!r};'
                         f' there is {_some(classes)}.')
    x, y, width, height = annotation['bbox']
    box, landmarks = [x, y, x + width, y + height], annotation.get('keypoints')
    segmentation = annotation.get('segmentation')
    if orientation != 1:
        box, segmentation, landmarks = image_files.turned_item_arrays(
            box, segmentation, landmarks, orientation, stored)
    return detection_table.Item(
        box, classes[category], segmentation, landmarks, bool(annotation.get('iscrowd', 0)),
        item_id=annotation['id'], area=annotation.get('area'))


def _some(values: Sequence) -> str:
    values = list(values)
    return ', '.join(map(str, values[:10])) + (', ...' if len(values) > 10 else '')


def _flips(keypoints, file) -> np.ndarray:
    """Pairs landmarks whose names differ in left and right alone."""
    flips = np.tile(np.arange(max(map(len, keypoints)), dtype=np.int32), (len(keypoints) + 1, 1))
    for row, names in enumerate(keypoints, 1):
        if len(set(names)) < len(names):
            raise ValueError(f'{file}: two keypoints of one category have one name: {names}.')
        for place, name in enumerate(names):
            other = _SIDE.sub(lambda side: _OTHER[side[0].lower()], name.lower())
            lower = [name.lower() for name in names]
            if other in lower:
                flips[row, place] = lower.index(other)
    return flips


def _count_others(image_dir, names, problems) -> None:
    """Counts images of the folders that are not among the annotated ones."""
    known = {os.path.normpath(name) for name in names}
    folders = {os.path.dirname(name) for name in known} | {''}
    for folder in sorted(folders):
        path = os.path.join(image_dir, folder)
        for entry in sorted(os.listdir(path) if os.path.isdir(path) else ()):
            if os.path.join(folder, entry) in known:
                continue
            if image_files.is_hidden(entry):
                problems.add(problems_lib.HIDDEN, os.path.join(path, entry))
            elif entry.lower().endswith(image_files.SUFFIXES):
                problems.add(problems_lib.NO_ANNOTATION, os.path.join(path, entry))
