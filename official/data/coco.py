"""COCO-format annotations (instances or person keypoints) as a `DetectionTable`, and back.

Lin et al. 2014, Microsoft COCO: Common Objects in Context.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from official.data import coco_classes, detection_table, image_files
from official.data import problems as problems_lib

_NEEDED = {
    'images': ('id', 'file_name', 'height', 'width'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox'),
}
_SOURCES = {'user': detection_table.USER, 'shop': detection_table.SHOP}


def load(
    annotation_file: str,
    image_dir: str,
    problems: problems_lib.Problems | None = None,
    check_images: bool = True,
    mask_size: int = detection_table.MASK_SIZE,
    skip_malformed: bool = False,
    end_to_end: coco_classes.EndToEnd | None = None,
) -> detection_table.DetectionTable:
    """Reads a set.

    Categories become classes 1..C in the order of their ids; of equal names the id is added.
    Images are in the order of the file. Boxes of no area, which the original COCO has, are skipped
    and counted; the other faults that `detection_items.checked` names are errors, named together.

    - Landmarks of a category without a list of `keypoints` are numbered, as many as most of its
      annotations have.
    - A category's landmarks are mirrored as its keypoints' names say: left and right anywhere in
      them, l and r at either end. A category without such a pair is counted.
    - `pair_id` and `style` of annotations and `source` ('user' or 'shop') of images, which are
      DeepFashion2's, are kept.

    Args:
      annotation_file: JSON, with images, annotations and categories.
      image_dir: folder of the images' file names.
      problems: counts what is handled; None: one of its own, of which a summary is printed.
      check_images: look at the header of each image file. Images that are missing, damaged or of
        another shape than the file says are skipped and counted. Where an EXIF orientation turns
        an image and the file has its size as it is stored, its annotations are turned as well.
        Without it, every image is taken for one as the file says, upright.
      mask_size: height and width of mini masks.
      skip_malformed: skip and count images and annotations that cannot be right, by kind, in place
        of an error.
      end_to_end: how landmarks are laid out where the file has as many categories, each with the
        landmarks of all; its names are those of the classes there.

    Returns:
      The table.

    Raises:
      FileNotFoundError: the file or folder is missing.
      ValueError: the file is no such JSON, or its categories are none; entries cannot be right, all
        of them with file, entry and value.
    """
    content = _read(annotation_file)
    if not os.path.isdir(image_dir):
        raise FileNotFoundError(f'{image_dir}: no such folder of images.')
    name = os.path.basename(annotation_file)
    own = problems_lib.Problems(name) if problems is None else problems
    faults = problems_lib.Faults(own, skip_malformed)
    categories = _categories(content['categories'], annotation_file)
    images = _images(content['images'], annotation_file, faults)
    annotations = _by_image(content['annotations'], images, annotation_file, own, faults)
    classes = coco_classes.Classes(categories, annotations, annotation_file, own, end_to_end)
    builder = detection_table.TableBuilder(
        name, classes.names, classes.counts, classes.flip, own, mask_size, tuple(categories), faults
    )
    paths = [os.path.join(image_dir, image['file_name']) for image in images.values()]
    headers = image_files.headers(paths) if check_images else [None] * len(paths)
    for image, path, header in zip(images.values(), paths, headers, strict=True):
        stored, orientation = (image['height'], image['width']), 1
        if check_images:
            if not image_files.note(header, path, annotation_file, own) or header is None:
                continue
            if not _fits(stored, header, path, own):
                continue
            # A square may be either; what annotators are shown is upright.
            if not _same_shape(stored, header.upright):
                orientation = header.orientation
        file = f'{annotation_file}, image {image["file_name"]}'
        items = [
            faults.call(classes.item, annotation, orientation, stored)
            for annotation in annotations[image['id']]
            if _has_area(annotation, annotation_file, own)
        ]
        builder.add_image(
            path,
            image['id'],
            stored[::-1] if orientation >= 5 else stored,
            # Of other sets the field may be of any kind.
            _SOURCES.get(str(image.get('source')), detection_table.UNKNOWN),
            [item for item in items if item is not None],
            file,
        )
    faults.check()
    if check_images:
        _count_others(image_dir, [image['file_name'] for image in images.values()], own)
    table = builder.build()
    if problems is None:
        own.print_summary()
    return table


def to_coco(
    table: detection_table.DetectionTable, landmarks: bool = False, all_landmarks: bool = False
) -> dict[str, Any]:
    """The table as COCO's dictionary, of which `pycocotools.coco.COCO.dataset` may be made.

    Args:
      table: of the images and items.
      landmarks: write keypoints, too.
      all_landmarks: write those of all classes end to end, each item's at the place of its class
        and zeros elsewhere, as DeepFashion2 has it (294 a item); else only those of its class.
        Evaluation by pycocotools needs it where classes have different numbers of landmarks.

    Returns:
      {'images', 'annotations', 'categories'} of plain Python numbers; boxes (x, y, width, height);
      file names without their folders.
      Images and annotations have the table's ids, categories those of `category_ids`. Where there
      are pairs, annotations have `pair_id` and `style`.
    """
    offsets = table.landmark_offsets
    categories = []
    for number, (identity, name) in enumerate(
        zip(table.category_ids, table.class_names, strict=True)
    ):
        category = {'id': identity, 'name': name}
        if landmarks:
            count = offsets[-1] if all_landmarks else table.landmark_counts[number]
            category['keypoints'] = [str(k) for k in range(1, count + 1)]
        categories.append(category)
    annotations, in_pairs = [], bool(table.pair_ids.any())
    for item, image in enumerate(table.images_of_items().tolist()):
        x1, y1, x2, y2 = table.boxes[item].astype(np.float64).tolist()
        number = int(table.classes[item])
        annotation = {
            'id': int(table.item_ids[item]),
            'image_id': int(table.image_ids[image]),
            'category_id': table.category_ids[number - 1],
            'bbox': [x1, y1, x2 - x1, y2 - y1],
            'area': float(table.areas[item]),
            'iscrowd': int(table.crowd[item]),
            'segmentation': _plain(table.segmentations[item]),
        }
        if in_pairs:
            annotation |= {'pair_id': int(table.pair_ids[item]), 'style': int(table.styles[item])}
        if landmarks:
            own = table.landmarks[item, : table.landmark_counts[number - 1]].astype(np.float64)
            values = own.reshape(-1).tolist()
            if all_landmarks:
                before, after = offsets[number - 1], offsets[-1] - offsets[number]
                values = [0.0] * (3 * before) + values + [0.0] * (3 * after)
            annotation['keypoints'] = values
            annotation['num_keypoints'] = int(np.count_nonzero(own[:, 2]))
        annotations.append(annotation)
    images = [
        {
            'id': int(identity),
            'file_name': os.path.basename(path),
            'height': int(height),
            'width': int(width),
        }
        for identity, path, (height, width) in zip(
            table.image_ids, table.paths, table.sizes, strict=True
        )
    ]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def _plain(segmentation):
    if isinstance(segmentation, dict):
        return segmentation
    return [polygon.astype(np.float64).reshape(-1).tolist() for polygon in segmentation or ()]


def _read(path) -> dict:
    try:
        with open(path, encoding='utf-8-sig') as file:
            content = json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: no such annotation file.') from None
    except OSError as error:
        raise ValueError(f'{path}: cannot be read ({error.strerror}).') from None
    except (ValueError, RecursionError) as error:  # Includes what is not Unicode.
        raise ValueError(f'{path}: not valid JSON ({error}).') from None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: no COCO annotations: {type(content).__name__} at the top.')
    for part in (*_NEEDED, 'categories'):
        if not isinstance(content.get(part), list):
            raise ValueError(f'{path}: no COCO annotations: there is no list {part!r}.')
    return content


def _categories(entries, file) -> dict[int, dict]:
    """The categories by id, in the order of their ids."""
    found = {}
    for number, entry in enumerate(entries):
        for field in 'id', 'name':
            if not isinstance(entry, dict) or field not in entry:
                raise ValueError(f'{file}: categories[{number}] has no {field!r}.')
        if not coco_classes.is_id(entry['id']) or entry['id'] in found:
            raise ValueError(
                f'{file}: category id {entry["id"]!r} is not a whole number or is there twice.'
            )
        if not isinstance(entry['name'], (str, int)):
            raise ValueError(f'{file}: category {entry["id"]} has the name {entry["name"]!r}.')
        names = entry.get('keypoints') or []
        if not isinstance(names, list) or not all(isinstance(one, (str, int)) for one in names):
            raise ValueError(
                f'{file}: category {entry["id"]} has keypoints '
                f'{str(entry["keypoints"])[:60]}, which is not a list of names.'
            )
        names = [str(one) for one in names]
        if len(set(names)) < len(names):
            raise ValueError(f'{file}: two keypoints of one category have one name: {names}.')
        found[entry['id']] = {'name': str(entry['name']), 'keypoints': names}
    if not found:
        raise ValueError(f'{file}: there are no categories.')
    return dict(sorted(found.items()))


def _entry(entry, part, number, file) -> None:
    """Raises `Malformed` unless an image or annotation has its fields and an id."""

    def malformed(what):
        return problems_lib.Malformed((problems_lib.BAD_ENTRY, f'{file}: {part}[{number}] {what}.'))

    for field in _NEEDED[part]:
        if not isinstance(entry, dict) or field not in entry:
            raise malformed(f'has no {field!r}')
    if not coco_classes.is_id(entry['id']):
        raise malformed(f'has id {str(entry["id"])[:40]!r}, which is not a whole number of 64 bits')
    if part == 'images':
        if not isinstance(entry['file_name'], str) or not entry['file_name']:
            raise malformed(f'has file_name {entry["file_name"]!r}')
        size = entry['height'], entry['width']
        if not all(
            coco_classes.is_id(length) and 0 < length <= detection_table.MAX_EDGE for length in size
        ):
            raise problems_lib.Malformed(
                (
                    problems_lib.BAD_ENTRY,
                    f'{file}: image {entry["file_name"]} has height '
                    f'{size[0]!r} and width {size[1]!r}; there are 1 to '
                    f'{detection_table.MAX_EDGE}.',
                )
            )


def _images(entries, file, faults) -> dict[int, dict]:
    """The images by id, in the order of the file."""
    found = {}
    for number, entry in enumerate(entries):
        try:
            _entry(entry, 'images', number, file)
            if entry['id'] in found:
                raise problems_lib.Malformed(
                    (problems_lib.BAD_ENTRY, f'{file}: image id {entry["id"]!r} is there twice.')
                )
        except problems_lib.Malformed as error:
            faults.add(error)
            continue
        found[entry['id']] = entry
    return found


def _by_image(entries, images, file, problems, faults) -> dict[int, list]:
    """The annotations of each image."""
    found: dict[int, list[dict]] = {image: [] for image in images}
    for number, annotation in enumerate(entries):
        try:
            _entry(annotation, 'annotations', number, file)
        except problems_lib.Malformed as error:
            faults.add(error)
            continue
        image = annotation['image_id']
        if coco_classes.is_id(image) and image in found:
            found[image].append(annotation)
        else:
            problems.add(
                problems_lib.NO_IMAGE,
                f'{file}, annotation {annotation["id"]} of image {str(image)[:40]}',
            )
    return found


def _same_shape(one, other) -> bool:
    """Returns True if one is the other made smaller or larger, but for the rounding of sizes."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _fits(size, header, path, problems) -> bool:
    """Returns True if an image may be the one of the annotated size, upright or as stored."""
    if size in (header.upright, header.stored):
        return True
    if _same_shape(size, header.upright) or (
        header.orientation >= 5 and _same_shape(size, header.stored)
    ):
        problems.add(problems_lib.OTHER_SIZE, path)
        return True
    problems.add(problems_lib.OTHER_SHAPE, path)
    return False


def _has_area(annotation, file, problems) -> bool:
    """False, counted, of the boxes of no area that the original COCO has."""
    box = annotation['bbox']
    numbers = (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(number, (int, float)) for number in box)
    )
    if numbers and min(box[2:]) == 0:
        problems.add(problems_lib.NO_AREA, f'{file}, annotation {annotation["id"]}')
        return False
    return True


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
