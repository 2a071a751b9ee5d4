"""All annotations of a set of images in memory, as columns, from which batches are gathered."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from official.data import detection_items
from official.data import problems as problems_lib
from official.vision import masks

Item = detection_items.Item
UNKNOWN, USER, SHOP = 0, 1, 2
MASK_SIZE = 112
MAX_EDGE = masks.MAX_EDGE

_PER_ITEM = (
    'boxes',
    'classes',
    'crowd',
    'landmarks',
    'mini_masks',
    'pair_ids',
    'styles',
    'scales',
    'occlusions',
    'zoom_ins',
    'viewpoints',
    'item_ids',
    'areas',
)


@dataclasses.dataclass
class DetectionTable:
    """The N images and I items of a split. Coordinates are pixels of the upright images.

    Attributes:
      name: what messages call it.
      class_names: of classes 1..C.
      landmark_counts: of classes 1..C.
      landmark_flip: int32 [C + 1, K], K the largest count: landmark j of a mirrored item of class c
        is landmark landmark_flip[c, j] of the original; itself in row 0 and after the count.
      paths: of the N image files.
      image_ids: int64 [N], each once.
      sizes: int32 [N, 2], (height, width).
      sources: int32 [N], 0 unknown, 1 user, 2 shop.
      first: int64 [N + 1]; the items of image i are first[i] to first[i + 1] - 1.
      boxes: float32 [I, 4], (x1, y1, x2, y2), inside the image and of some area.
      classes: int32 [I].
      crowd: bool [I].
      landmarks: float32 [I, K, 3], (x, y, v); zeros after the class's count.
      mini_masks: uint8 [I, S * S / 8], each the mask of an item in its box, as `masks.pack` has it.
      segmentations: of each item a list of polygons float [n, 2], a COCO RLE, or None.
      pair_ids: int32 [I], 0 unknown; so the next five.
      styles: int32 [I].
      scales: int32 [I].
      occlusions: int32 [I].
      zoom_ins: int32 [I].
      viewpoints: int32 [I].
      item_ids: int64 [I], from 1, each once.
      areas: float32 [I], in pixels.
      problems: what was met when the table was built.
      category_ids: the files' numbers of classes 1..C.
    """

    name: str
    class_names: tuple[str, ...]
    landmark_counts: tuple[int, ...]
    landmark_flip: np.ndarray
    paths: list[str]
    image_ids: np.ndarray
    sizes: np.ndarray
    sources: np.ndarray
    first: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    landmarks: np.ndarray
    mini_masks: np.ndarray
    segmentations: list
    pair_ids: np.ndarray
    styles: np.ndarray
    scales: np.ndarray
    occlusions: np.ndarray
    zoom_ins: np.ndarray
    viewpoints: np.ndarray
    item_ids: np.ndarray
    areas: np.ndarray
    problems: problems_lib.Problems
    category_ids: tuple[int, ...] = ()

    def __post_init__(self):
        self.category_ids = self.category_ids or tuple(range(1, len(self.class_names) + 1))

    @property
    def num_images(self) -> int:
        return len(self.paths)

    @property
    def num_items(self) -> int:
        return len(self.boxes)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def num_landmarks(self) -> int:
        """K: the largest number of landmarks of a class."""
        return self.landmarks.shape[1]

    @property
    def mask_size(self) -> int:
        """S: the height and width of a mini mask."""
        return math.isqrt(8 * self.mini_masks.shape[1])

    @property
    def landmark_offsets(self) -> tuple[int, ...]:
        """Where the landmarks of classes 1..C begin when all classes' are laid end to end, and,
        last, the number of all."""
        return (0, *np.cumsum(self.landmark_counts).tolist())

    def items_of(self, image: int) -> np.ndarray:
        """The rows of an image's items, int64 [n]."""
        return np.arange(self.first[image], self.first[image + 1])

    def images_of_items(self) -> np.ndarray:
        """The row of each item's image, int64 [I]."""
        return np.repeat(np.arange(self.num_images), np.diff(self.first))

    def subset(self, image_rows: Sequence[int] | np.ndarray) -> DetectionTable:
        """The table of some images, in that order, with no problems of its own."""
        rows = np.asarray(image_rows, np.int64)
        counts = np.diff(self.first)[rows]
        first = np.concatenate([[0], np.cumsum(counts)])
        items = np.repeat(self.first[rows] - first[:-1], counts) + np.arange(first[-1])
        return dataclasses.replace(
            self,
            paths=[self.paths[row] for row in rows],
            image_ids=self.image_ids[rows],
            sizes=self.sizes[rows],
            sources=self.sources[rows],
            first=first,
            segmentations=[self.segmentations[item] for item in items],
            problems=problems_lib.Problems(self.name),
            **{column: getattr(self, column)[items] for column in _PER_ITEM},
        )

    def of_interest(self) -> np.ndarray:
        """Which items have a partner, bool [I].

        A partner of a user's item is a shop's item of the same pair_id and the same style, which is
        above 0; and the other way round.
        """
        keys, sources = self._identities(), self.sources[self.images_of_items()]
        both = np.intersect1d(keys[sources == USER], keys[sources == SHOP])
        return np.isin(keys, both[both >= 0]) & np.isin(sources, (USER, SHOP))

    def pairs(self) -> np.ndarray:
        """All (user image, shop image) with an item each that are partners: int64 [P, 2] of rows.

        Each pair is there once, ordered by user image and shop image.
        """
        keys, images, interest = self._identities(), self.images_of_items(), self.of_interest()
        sides = []
        for source in USER, SHOP:
            used = interest & (self.sources[images] == source)
            sides.append(np.unique(np.stack([keys[used], images[used]]), axis=1))
        (user_keys, users), (shop_keys, shops) = sides
        # Of each user's key the run of shop images: sorted by key, as `np.unique` leaves them.
        begin = np.searchsorted(shop_keys, user_keys, 'left')
        counts = np.searchsorted(shop_keys, user_keys, 'right') - begin
        starts = np.cumsum(counts) - counts
        partners = np.repeat(begin - starts, counts) + np.arange(counts.sum())
        both = np.repeat(users, counts) * self.num_images + shops[partners]
        return np.stack(np.divmod(np.unique(both), max(self.num_images, 1)), axis=1)

    def _identities(self) -> np.ndarray:
        """One number for a pair_id and style, int64 [I]; -1 for items that are in no pair."""
        known = (self.styles > 0) & (self.pair_ids > 0) & ~self.crowd
        return np.where(known, self.pair_ids.astype(np.int64) << 32 | self.styles, -1)


class _Column:
    """An array that grows at its end, in one piece of memory."""

    def __init__(self, dtype, shape=()):
        self._dtype, self._shape, self._bytes = dtype, shape, bytearray()

    def append(self, rows):
        self._bytes += np.ascontiguousarray(rows, self._dtype).tobytes()

    def array(self):
        count = len(self._bytes) // (np.dtype(self._dtype).itemsize * math.prod(self._shape) or 1)
        return np.frombuffer(self._bytes, self._dtype).reshape(count, *self._shape)


class TableBuilder:
    """Checks annotations image by image and makes a table of them.

    Args:
      name: of the table.
      class_names: of classes 1..C.
      landmark_counts: of classes 1..C; 0 for those that have none.
      landmark_flip: see `DetectionTable`; None: no landmark changes its name.
      problems: counts what is handled; None: one of its own.
      mask_size: S, a multiple of 4; height and width of mini masks.
      category_ids: the files' numbers of classes 1..C; None: the same.
      faults: takes items that cannot be right, which are left out; None: they are errors.

    Raises:
      ValueError: the arguments do not fit each other.
    """

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        landmark_counts: Sequence[int],
        landmark_flip: np.ndarray | None = None,
        problems: problems_lib.Problems | None = None,
        mask_size: int = MASK_SIZE,
        category_ids: Sequence[int] | None = None,
        faults: problems_lib.Faults | None = None,
    ):
        if len(landmark_counts) != len(class_names) or not class_names:
            raise ValueError(
                f'{name}: {len(class_names)} class names and {len(landmark_counts)} '
                'landmark counts; there must be one of each a class.'
            )
        if mask_size < 4 or mask_size % 4:
            raise ValueError(f'{name}: mask_size = {mask_size} is not a multiple of 4.')
        self.name, self.class_names = name, tuple(class_names)
        self.landmark_counts = tuple(map(int, landmark_counts))
        self.problems = problems_lib.Problems(name) if problems is None else problems
        self._faults = faults
        self.mask_size, self.category_ids = mask_size, tuple(category_ids or ())
        self.landmark_flip = _checked_flip(landmark_flip, self.landmark_counts, name)
        self._paths: list[str] = []
        self._segmentations: list = []
        self._files: list[str] = []
        landmarks = self.landmark_flip.shape[1]
        self._images = {
            'image_ids': _Column(np.int64),
            'sizes': _Column(np.int32, (2,)),
            'sources': _Column(np.int32),
            'counts': _Column(np.int64),
        }
        self._items = {column: _Column(np.int32) for column in _PER_ITEM} | {
            'boxes': _Column(np.float32, (4,)),
            'crowd': _Column(bool),
            'landmarks': _Column(np.float32, (landmarks, 3)),
            'item_ids': _Column(np.int64),
            'mini_masks': _Column(np.uint8, (mask_size**2 // 8,)),
            'areas': _Column(np.float32),
        }

    def add_image(
        self,
        path: str,
        image_id: int,
        size: tuple[int, int],
        source: int = UNKNOWN,
        items: Sequence[Item] = (),
        file: str | None = None,
    ) -> None:
        """Adds an image and its items.

        Args:
          path: of the image file.
          image_id: of the image, unlike all others'.
          size: (height, width) of the upright image.
          source: 0 unknown, 1 user, 2 shop.
          items: may be none.
          file: of the annotations, which messages name; None: `path`.

        Raises:
          problems_lib.Malformed: see `detection_items.checked`, with all faults of all items; the
            size or source makes no sense.
        """
        file = file or path
        if len(size) != 2 or not 1 <= min(size) <= max(size) <= MAX_EDGE:
            raise problems_lib.Malformed(
                (
                    problems_lib.BAD_ENTRY,
                    f'{file}: an image of size {tuple(size)} (height, width); '
                    f'an edge has 1 to {MAX_EDGE} pixels.',
                )
            )
        if source not in (UNKNOWN, USER, SHOP):
            raise problems_lib.Malformed(
                (
                    problems_lib.BAD_ENTRY,
                    f'{file}: source {source!r} is none of 0 (unknown), 1 (user) and 2 (shop).',
                )
            )
        items = self._all_checked(items, size, file)
        if not items:
            self.problems.add(problems_lib.NO_ITEM, file)
        self._paths.append(path)
        self._files.append(file)
        for column, value in (
            ('image_ids', image_id),
            ('sizes', size),
            ('sources', source),
            ('counts', len(items)),
        ):
            self._images[column].append(value)
        if items:
            self._add_items(items)

    def _all_checked(self, items, size, file):
        good, errors = [], []
        for number, item in enumerate(items, 1):
            where = f'{file}: item {number}' + (f' (id {item.item_id})' if item.item_id else '')
            try:
                good.append(
                    detection_items.checked(
                        item, size, self.landmark_counts, where, file, self.problems
                    )
                )
            except problems_lib.Malformed as error:
                errors.append(error)
        if errors and self._faults is None:
            raise problems_lib.Malformed.of(errors)
        for found in errors:
            self._faults.add(found)
        return good

    def _add_items(self, items):
        landmarks = np.zeros([len(items), self.landmark_flip.shape[1], 3], np.float32)
        mini = np.zeros([len(items), self.mask_size, self.mask_size], np.uint8)
        for row, item in enumerate(items):
            if item.landmarks is not None:
                landmarks[row, : len(item.landmarks)] = item.landmarks
            if item.segmentation is not None:
                mini[row] = masks.rasterize(item.segmentation, item.box, self.mask_size)
        self._segmentations += [item.segmentation for item in items]
        columns = {
            'boxes': 'box',
            'classes': 'category',
            'crowd': 'crowd',
            'pair_ids': 'pair_id',
            'styles': 'style',
            'scales': 'scale',
            'occlusions': 'occlusion',
            'zoom_ins': 'zoom_in',
            'viewpoints': 'viewpoint',
            'item_ids': 'item_id',
            'areas': 'area',
        }
        for column, name in columns.items():
            self._items[column].append([getattr(item, name) for item in items])
        self._items['landmarks'].append(landmarks)
        self._items['mini_masks'].append(masks.pack(mini))

    def build(self) -> DetectionTable:
        """The table of all images that were added.

        Items of pairs that have no partner are counted. Where an item id is 0 or there twice, which
        is counted, all are replaced by 1 to I.

        Raises:
          ValueError: two images have one id.
        """
        images = {column: values.array() for column, values in self._images.items()}
        items = {column: values.array() for column, values in self._items.items()}
        if not self.landmark_flip.shape[1]:  # Rows of no bytes, which no length tells of.
            items['landmarks'] = np.zeros([len(items['boxes']), 0, 3], np.float32)
        ids, counts = np.unique(images['image_ids'], return_counts=True)
        if (counts > 1).any():
            same = np.flatnonzero(images['image_ids'] == ids[counts > 1][0])
            raise ValueError(
                f'{self._files[same[1]]}: image id {ids[counts > 1][0]} is that of '
                f'{self._files[same[0]]}, too.'
            )
        item_ids = items['item_ids']
        again = np.setdiff1d(np.arange(len(item_ids)), np.unique(item_ids, return_index=True)[1])
        if (item_ids < 1).any() or again.size:
            items['item_ids'] = np.arange(1, len(item_ids) + 1)
        table = DetectionTable(
            name=self.name,
            class_names=self.class_names,
            landmark_counts=self.landmark_counts,
            landmark_flip=self.landmark_flip,
            paths=self._paths,
            first=np.concatenate([[0], np.cumsum(images.pop('counts'))]),
            segmentations=self._segmentations,
            problems=self.problems,
            category_ids=self.category_ids,
            **images,
            **items,
        )
        of_items = table.images_of_items()
        for image in of_items[again[item_ids[again] > 0]]:
            self.problems.add(problems_lib.SAME_ID, self._files[image])
        # Where users and shops are not told apart there are no pairs to speak of.
        alone = (table.styles > 0) & (table.sources[of_items] > 0) & ~table.of_interest()
        for image in of_items[alone]:
            self.problems.add(problems_lib.NO_PARTNER, self._files[image])
        return table


def _checked_flip(flip, counts, name) -> np.ndarray:
    shape = (len(counts) + 1, max(counts))
    if flip is None:
        return np.tile(np.arange(shape[1], dtype=np.int32), (shape[0], 1))
    flip = np.asarray(flip, np.int32)
    if flip.shape != shape:
        raise ValueError(
            f'{name}: landmark_flip has shape {list(flip.shape)} instead of {list(shape)}.'
        )
    for category, (row, count) in enumerate(zip(flip, (0, *counts), strict=True)):
        there, back = row[:count], np.arange(count)
        if (
            (row[count:] != np.arange(count, shape[1])).any()
            or (count and not (there.min() >= 0 and there.max() < count))
            or ((there[there] != back).any())
        ):
            raise ValueError(
                f'{name}: landmark_flip of category {category}, {row.tolist()}, does '
                f'not pair its {count} landmarks.'
            )
    return flip
