"""A split of DeepFashion2 as it is handed out: image/000001.jpg, ... and annos/000001.json, ..."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Iterator
from typing import NamedTuple

from official.data import detection_table
from official.data import image_files
from official.data import problems as problems_lib
from research.match_rcnn import annotations
from research.match_rcnn import categories

IMAGES, ANNOTATIONS = 'image', 'annos'
SPLITS = ('train', 'validation', 'test')
MALFORMED = 'annotation that cannot be right (skipped)'
_THREADS = 16
_AT_ONCE = 4096


class Entry(NamedTuple):
    """An image and its annotations, as paths; `image_id` is the number that names both."""

    image_id: int
    image: str
    annotation: str | None  # None: it has none.


def load(folder: str | os.PathLike, problems: problems_lib.Problems | None = None,
         skip_malformed: bool = False) -> detection_table.DetectionTable:
    """Reads the annotations of a split, and the headers of its images.

    Annotations are taken to be of the upright images: one that is stored turned, by its EXIF
    orientation, is seen upright by who annotates it. Images are in the order of their numbers,
    items in that of theirs. What is handled is counted in the table's `problems` and not printed.

    Args:
      folder: of the split, with the folders image and annos.
      problems: counts what is handled; None: an own one.
      skip_malformed: skip and count images whose annotation cannot be right, instead of an error.

    Raises:
      FileNotFoundError: a folder is missing.
      ValueError: what `annotations.parse` and `detection_items.checked` say of a file; nothing in
        the folders fits together.
    """
    folder = os.path.normpath(folder)
    problems = problems_lib.Problems(folder) if problems is None else problems
    entries = find(folder, problems)
    builder = table_builder(folder, problems)
    for entry, header, found in look(entries):
        if not image_files.note(header, entry.image, entry.image, problems):
            continue
        try:
            if isinstance(found, ValueError):
                raise found
            builder.add_image(entry.image, entry.image_id, header.upright, found.source,
                              found.items, entry.annotation)
        except ValueError as error:
            if not skip_malformed:
                raise
            problems.add(MALFORMED, str(error))
    return builder.build()


def table_builder(name: str, problems: problems_lib.Problems) -> detection_table.TableBuilder:
    """A builder of tables with the classes and landmarks of DeepFashion2."""
    return detection_table.TableBuilder(
        name, categories.NAMES, categories.LANDMARK_COUNTS, categories.landmark_flip(), problems)


def splits_of(folder: str) -> list[str]:
    """Which splits a folder has.

    Raises:
      FileNotFoundError: none, or there is no such folder.
    """
    splits = [split for split in SPLITS if os.path.isdir(os.path.join(folder, split))]
    if not splits:
        raise FileNotFoundError(f'{folder}: none of the folders {", ".join(SPLITS)} is there.')
    return splits


def find(folder: str, problems: problems_lib.Problems) -> list[Entry]:
    """The images of a split that have an annotation, by number; counts what lacks the other.

    Raises:
      FileNotFoundError: a folder is missing.
      ValueError: no image has an annotation; a name is no number, or two files are of one number.
    """
    images = files(os.path.join(folder, IMAGES), image_files.SUFFIXES)
    annotated = files(os.path.join(folder, ANNOTATIONS), ('.json',))
    for number in sorted(annotated.keys() - images.keys()):
        problems.add(problems_lib.NO_IMAGE, annotated[number])
    for number in sorted(images.keys() - annotated.keys()):
        problems.add(problems_lib.NO_ANNOTATION, images[number])
    both = sorted(images.keys() & annotated.keys())
    if not both:
        raise ValueError(f'{folder}: of {len(images)} images and {len(annotated)} annotations none '
                         'have the same number.')
    return [Entry(number, images[number], annotated[number]) for number in both]


def files(folder: str, suffixes: tuple[str, ...]) -> dict[int, str]:
    """The files of a folder by the number that is their name; hidden and other files are left out.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: a name is no number, or two files are of one number.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'{folder}: no such folder; a split of DeepFashion2 has {IMAGES} '
                                f'and {ANNOTATIONS}.')
    found = {}
    for name in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(name)
        if name.startswith('.') or suffix.lower() not in suffixes:
            continue
        path = os.path.join(folder, name)
        if not (stem.isascii() and stem.isdigit()):
            raise ValueError(f'{path}: the name is no number, as in 000001{suffix}.')
        if int(stem) in found:
            raise ValueError(f'{path} and {found[int(stem)]}: two files of number {int(stem)}.')
        found[int(stem)] = path
    return found


def look(entries: list[Entry]) -> Iterator[tuple[
        Entry, image_files.Header | FileNotFoundError | None,
        annotations.Annotation | ValueError]]:
    """Each entry with the header of its image, see `image_files.note`, and its annotation.

    An annotation that cannot be right is given as the error. Files are read by threads, since
    waiting for a disk or a network takes longer than to understand what it gives.
    """

    def read(entry):
        header = _or_error(image_files.header, entry.image, FileNotFoundError)
        if entry.annotation is None:
            return entry, header, annotations.Annotation(detection_table.UNKNOWN, 0, [])
        return entry, header, _or_error(annotations.read, entry.annotation, ValueError)

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        # In blocks: what is read ahead stays in memory.
        for start in range(0, len(entries), _AT_ONCE):
            yield from threads.map(read, entries[start:start + _AT_ONCE])


def _or_error(function, argument, kind):
    try:
        return function(argument)
    except kind as error:
        return error
