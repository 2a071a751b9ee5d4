"""The classes of a set in COCO's format, their landmarks, and its annotations as items."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from official.data import detection_items, detection_table, image_files, landmark_names
from official.data import problems as problems_lib

_CODES = ('pair_id', 'style', 'scale', 'occlusion', 'zoom_in', 'viewpoint')
_INT64 = 2**63 - 1


class EndToEnd(NamedTuple):
    """Landmarks of all classes laid end to end in every annotation, as DeepFashion2's converter
    writes them.

    Attributes:
      names: of the classes.
      counts: landmarks of each class.
      flip: see `detection_table.DetectionTable.landmark_flip`.
    """

    names: Sequence[str]
    counts: Sequence[int]
    flip: np.ndarray


def is_id(value: Any) -> bool:
    """Returns True if a value is a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INT64


class Classes:
    """The classes 1..C of a set, and its annotations as their items.

    Args:
      categories: by id, in the order of the classes, each with `name` and `keypoints`, names.
      annotations: of each image.
      file: that all are of.
      problems: counts categories without a mirror pair.
      end_to_end: see `coco.load`.

    Attributes:
      names: of the classes.
      counts: landmarks of each class.
      flip: see `detection_table.DetectionTable.landmark_flip`.
    """

    def __init__(
        self,
        categories: Mapping[int, Mapping[str, Any]],
        annotations: Mapping[int, Sequence[Mapping[str, Any]]],
        file: str,
        problems: problems_lib.Problems,
        end_to_end: EndToEnd | None,
    ):
        self._file = file
        self._numbers = {identity: number for number, identity in enumerate(categories, 1)}
        keypoints = {identity: one['keypoints'] for identity, one in categories.items()}
        self._offsets, self.flip = None, None
        if end_to_end is not None and [len(names) for names in keypoints.values()] == (
            [sum(end_to_end.counts)] * len(end_to_end.counts)
        ):
            self._offsets = np.concatenate([[0], np.cumsum(end_to_end.counts)]).tolist()
            self.names, self.counts = tuple(end_to_end.names), tuple(end_to_end.counts)
            self.flip = end_to_end.flip
            return
        for identity, count in _counts(annotations).items():
            # Some tools leave the list empty while annotations have landmarks.
            if identity in keypoints and not keypoints[identity]:
                keypoints[identity] = [str(number) for number in range(1, count + 1)]
        self.names = tuple(
            unique_names({identity: one['name'] for identity, one in categories.items()}).values()
        )
        self.counts = tuple(map(len, keypoints.values()))
        self.flip = landmark_names.flips(list(keypoints.values()))
        for name, count, row in zip(self.names, self.counts, self.flip[1:], strict=True):
            if count > 1 and (row == self.flip[0]).all():
                problems.add(problems_lib.NO_MIRROR, f'{file}, category {name}')

    def item(
        self, annotation: Mapping[str, Any], orientation: int, stored: tuple[int, int]
    ) -> detection_table.Item:
        """An annotation as an item of the upright image.

        Args:
          annotation: with `id`, `category_id` and `bbox`.
          orientation: EXIF orientation of the image, by which it is turned.
          stored: (height, width) of the image as annotated.

        Raises:
          problems_lib.Malformed: the category is unknown, or the box is none; where the image is
            turned, all that `detection_items.checked` says.
        """
        where, category = f'{self._file}: annotation {annotation["id"]}', annotation['category_id']
        if not is_id(category) or category not in self._numbers:
            raise problems_lib.Malformed(
                (
                    problems_lib.BAD_CATEGORY,
                    f'{where} has unknown category {str(category)[:40]}; '
                    f'there is {_some(self._numbers)}.',
                )
            )
        box = annotation['bbox']
        if (
            not isinstance(box, list)
            or len(box) != 4
            or not all(isinstance(number, (int, float)) for number in box)
        ):
            raise problems_lib.Malformed(
                (
                    problems_lib.BAD_BOX,
                    f'{where} has box {str(box)[:60]}, not x, y, width and height.',
                )
            )
        x, y, width, height = box
        try:
            box = [x, y, float(x) + float(width), float(y) + float(height)]
        except OverflowError:
            box = [np.inf] * 4
        number = self._numbers[category]
        landmarks = annotation.get('keypoints')
        if (
            self._offsets
            and isinstance(landmarks, list)
            and len(landmarks) == (3 * self._offsets[-1])
        ):
            landmarks = landmarks[3 * self._offsets[number - 1] : 3 * self._offsets[number]]
        if not self.counts[number - 1]:
            landmarks = None  # Where no landmark is known of the class.
        item = detection_table.Item(
            box,
            number,
            annotation.get('segmentation'),
            landmarks,
            annotation.get('iscrowd', 0),
            item_id=annotation['id'],
            area=annotation.get('area'),
            **self._codes(annotation),
        )
        if orientation == 1:
            return item
        # What is turned has to be right before.
        item = detection_items.checked(
            item, stored, self.counts, where, self._file, problems_lib.Problems()
        )
        item.box, item.segmentation, item.landmarks = image_files.turned_item_arrays(
            item.box, item.segmentation, item.landmarks, orientation, stored
        )
        return item

    def _codes(self, annotation) -> dict:
        """DeepFashion2's codes. Other sets may mean something else by these names."""
        if self._offsets:
            return {name: annotation[name] for name in _CODES if name in annotation}
        both = {name: annotation.get(name) for name in ('pair_id', 'style')}
        return both if all(map(detection_items.is_count, both.values())) else {}


def unique_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names by id, where several have one with the id in brackets."""
    counts = collections.Counter(names.values())
    return {
        identity: f'{name} ({identity})' if counts[name] > 1 else name
        for identity, name in names.items()
    }


def _counts(annotations) -> dict:
    """Number of landmarks that most annotations of a category have, where they have some."""
    found: dict[int, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for of_image in annotations.values():
        for annotation in of_image:
            landmarks = annotation.get('keypoints')
            if isinstance(landmarks, list) and landmarks and is_id(annotation['category_id']):
                found[annotation['category_id']][len(landmarks) // 3] += 1
    return {identity: counts.most_common(1)[0][0] for identity, counts in found.items()}


def _some(values: Iterable) -> str:
    some = list(values)
    return ', '.join(map(str, some[:10])) + (', ...' if len(some) > 10 else '')
