"""A split of DeepFashion2 as it is handed out: image/000001.jpg, ... and annos/000001.json, ..."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from official.core import checks
from official.data import coco_classes, detection_table, image_files
from official.data import problems as problems_lib
from research.match_rcnn import annotation_files, categories

IMAGES, ANNOTATIONS = 'image', 'annos'
SPLITS = ('train', 'validation', 'test')
NO_ANNOTATIONS = 'image of a split without annotations (kept)'
_THREADS = 16
_AT_ONCE = 4096


class Entry(NamedTuple):
    """An image and its annotations, as paths; `image_id` is the number that names both."""

    image_id: int
    image: str
    annotation: str | None  # None: it has none.


def load(
    folder: str | os.PathLike,
    problems: problems_lib.Problems | None = None,
    skip_malformed: bool = False,
    consumer_images: int | None = None,
    annotated: bool = False,
) -> detection_table.DetectionTable:
    """Reads the annotations of a split, and the headers of its images.

    Annotations are taken to be of the upright images: one that is stored turned, by its EXIF
    orientation, is seen upright by who annotates it. Images are in the order of their numbers,
    items in that of theirs. What is handled is counted in the table's `problems` and not printed.

    Args:
      folder: of the split, with the folders image and annos; or, as the test split is handed out,
        with image only.
      problems: counts what is handled; None: one of its own.
      skip_malformed: skip and count images whose annotation cannot be right, instead of an error.
      consumer_images: see `with_sources`; for images without annotations.
      annotated: see `find`.

    Raises:
      FileNotFoundError: a folder is missing.
      ValueError: what `annotation_files.parse` and `detection_items.checked` say of all files;
        nothing in the folders fits together.
    """
    folder = os.path.normpath(folder)
    problems = problems_lib.Problems(folder) if problems is None else problems
    faults = problems_lib.Faults(problems, skip_malformed)
    entries = find(folder, problems, annotated)
    builder = table_builder(folder, problems)
    for entry, header, found in look(entries):
        if not image_files.note(header, entry.image, entry.image, problems):
            continue
        if isinstance(found, problems_lib.Malformed):
            faults.add(found)
        else:
            faults.call(
                builder.add_image,
                entry.image,
                entry.image_id,
                header.upright,
                found.source,
                found.items,
                entry.annotation,
            )
    faults.check()
    return with_sources(builder.build(), consumer_images)


def with_sources(
    table: detection_table.DetectionTable, consumer_images: int | None
) -> detection_table.DetectionTable:
    """A table whose images of unknown source are consumers' or shops' by their number.

    In the released validation split the first 10 844 images are consumers', and the others shops';
    in the test split the first 20 681 (README of the release, "Data Description").

    Args:
      table: of images.
      consumer_images: images with a number up to that are consumers'; None: the table as it is.

    Raises:
      ValueError: consumer_images is below 1.
    """
    if consumer_images is None:
        return table
    checks.positive('with_sources', consumer_images=consumer_images)
    by_number = np.where(
        table.image_ids <= consumer_images, detection_table.USER, detection_table.SHOP
    )
    unknown = table.sources == detection_table.UNKNOWN
    return dataclasses.replace(
        table, sources=np.where(unknown, by_number, table.sources).astype(np.int32)
    )


def table_builder(name: str, problems: problems_lib.Problems) -> detection_table.TableBuilder:
    """A builder of tables with the classes and landmarks of DeepFashion2."""
    return detection_table.TableBuilder(
        name, categories.NAMES, categories.LANDMARK_COUNTS, categories.landmark_flip(), problems
    )


def end_to_end() -> coco_classes.EndToEnd:
    """The landmarks of DeepFashion2 as its converter to COCO's format lays them out."""
    return coco_classes.EndToEnd(
        categories.NAMES, categories.LANDMARK_COUNTS, categories.landmark_flip()
    )


def splits_of(folder: str) -> list[str]:
    """Which splits a folder has.

    Raises:
      FileNotFoundError: none, or there is no such folder.
    """
    splits = [split for split in SPLITS if os.path.isdir(os.path.join(folder, split))]
    if not splits:
        raise FileNotFoundError(f'{folder}: none of the folders {", ".join(SPLITS)} is there.')
    return splits


def find(folder: str, problems: problems_lib.Problems, annotated: bool = False) -> list[Entry]:
    """The images of a split that have an annotation, by number; counts what lacks the other.

    Args:
      folder: of the split.
      problems: where it is counted.
      annotated: a split without the folder of annotations is an error; else it has all its images,
        without annotations.

    Raises:
      FileNotFoundError: a folder is missing.
      ValueError: no image has an annotation; a name is not a number, or two files are of one.
    """
    images = files(os.path.join(folder, IMAGES), image_files.SUFFIXES)
    if images and not annotated and not os.path.exists(os.path.join(folder, ANNOTATIONS)):
        problems.add(NO_ANNOTATIONS, folder, len(images))
        return [Entry(number, images[number], None) for number in sorted(images)]
    annotated = files(os.path.join(folder, ANNOTATIONS), ('.json',))
    for number in sorted(annotated.keys() - images.keys()):
        problems.add(problems_lib.NO_IMAGE, annotated[number])
    for number in sorted(images.keys() - annotated.keys()):
        problems.add(problems_lib.NO_ANNOTATION, images[number])
    both = sorted(images.keys() & annotated.keys())
    if not both:
        raise ValueError(
            f'{folder}: of {len(images)} images and {len(annotated)} annotations none '
            'have the same number.'
        )
    return [Entry(number, images[number], annotated[number]) for number in both]


def files(folder: str, suffixes: tuple[str, ...]) -> dict[int, str]:
    """The files of a folder by the number that is their name; hidden and other files are left out.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: a name is not a number, or two files are of one number.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f'{folder}: no such folder; a split of DeepFashion2 has {IMAGES} and {ANNOTATIONS}.'
        )
    found = {}
    for name in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(name)
        if name.startswith('.') or suffix.lower() not in suffixes:
            continue
        path = os.path.join(folder, name)
        if not (stem.isascii() and stem.isdigit()):
            raise ValueError(f'{path}: the name is not a number, as in 000001{suffix}.')
        if int(stem) in found:
            raise ValueError(f'{path} and {found[int(stem)]}: two files of number {int(stem)}.')
        found[int(stem)] = path
    return found


def look(
    entries: list[Entry],
) -> Iterator[
    tuple[Entry, image_files.Header | None, annotation_files.Annotation | problems_lib.Malformed]
]:
    """Each entry with the header of its image, see `image_files.note`, and its annotation.

    An annotation that cannot be right is given as the error. Files are read by threads, since
    waiting for a disk or a network takes longer than to understand what it gives.
    """

    def read(entry):
        header = image_files.header(entry.image)
        if entry.annotation is None:
            return entry, header, annotation_files.Annotation(detection_table.UNKNOWN, 0, [])
        try:
            return entry, header, annotation_files.read(entry.annotation)
        except problems_lib.Malformed as error:
            return entry, header, error
        except FileNotFoundError:  # It is listed, so it is a link to nothing.
            return (
                entry,
                header,
                problems_lib.Malformed(
                    (
                        problems_lib.BAD_ENTRY,
                        f'{entry.annotation}: a link to a file that is not there.',
                    )
                ),
            )

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        # In blocks: what is read ahead stays in memory.
        for start in range(0, len(entries), _AT_ONCE):
            yield from threads.map(read, entries[start : start + _AT_ONCE])
