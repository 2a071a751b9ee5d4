"""Pictures of detections, failures and retrieval (Ge et al. 2019, Figures 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from official.data import detection_table
from official.vision import boxes as boxes_lib
from official.vision import drawing, image_reader
from official.vision import masks as masks_lib
from research.match_rcnn import categories, contours

_CERTAIN = 0.5  # Detections below are not drawn.
MATCHED = 0.5  # IoU from which a detection is that of an object, and a mask that of its item.


def skeletons(table: detection_table.DetectionTable) -> dict[int, tuple[tuple[int, int], ...]]:
    """Edges between landmarks by class: DeepFashion2's where the classes are its, else none."""
    if table.class_names != categories.NAMES:
        return {}
    return {number: category.skeleton for number, category in enumerate(categories.CATEGORIES, 1)}


def read(
    table: detection_table.DetectionTable, row: int, reader: Callable | None = None
) -> np.ndarray:
    """An image of a table, upright, uint8 [height, width, 3].

    Args:
      table: that the image is of.
      row: of the table.
      reader: see `research.match_rcnn.sources.Source.reader`; None: the images are files.
    """
    if reader is None:
        with open(table.paths[row], 'rb') as file:
            return image_reader.decode(file.read()).numpy()
    with tf.device('CPU:0'):
        return image_reader.decode(reader(tf.constant([row], tf.int64))[0]).numpy()


def truth(
    table: detection_table.DetectionTable, row: int, image: np.ndarray | None = None
) -> np.ndarray:
    """An image with its annotations: boxes, names, landmarks with skeletons, masks."""
    image = read(table, row) if image is None else image
    items = table.items_of(row)
    return drawing.objects(
        image,
        table.boxes[items],
        table.classes[items],
        table.class_names,
        masks=[mask_of(table, item, image.shape[:2]) for item in items],
        landmarks=table.landmarks[items],
        skeletons=skeletons(table),
    )


def stages(
    table: detection_table.DetectionTable, row: int, image: np.ndarray | None = None
) -> list[np.ndarray]:
    """An image of DeepFashion2 with what is made of its landmarks, and with its masks (Sec. 2.1).

    Returns:
      Four pictures: skeletons, of which lines to an occluded landmark are grey; contours;
      first-stage masks; annotated masks.
    """
    image = read(table, row) if image is None else image
    canvases = [drawing.Canvas(image) for _ in range(4)]
    for number, item in enumerate(table.items_of(row)):
        color = drawing.PALETTE[number % len(drawing.PALETTE)]
        landmarks, category = table.landmarks[item], int(table.classes[item])
        for line, visible in zip(*contours.skeleton(landmarks, category), strict=True):
            canvases[0].lines(line, color if visible else (150, 150, 150))
        for contour in contours.contours(landmarks, category):
            canvases[1].lines(contour, color, closed=True)
        canvases[2].mask(
            contours.first_stage_mask(landmarks, category, *image.shape[:2]).astype(bool), color
        )
        canvases[3].mask(mask_of(table, item, image.shape[:2]), color)
    return [canvas.pixels for canvas in canvases]


def mask_of(table: detection_table.DetectionTable, item: int, shape: tuple[int, int]) -> np.ndarray:
    """The mask of an item of a table, bool [height, width]."""
    from pycocotools import mask as rle

    segmentation = table.segmentations[item]
    if segmentation is None:
        return np.zeros(shape, bool)
    size = segmentation['size'] if isinstance(segmentation, Mapping) else shape
    return rle.decode(masks_lib.run_lengths(segmentation, size)).astype(bool)


def detections(
    table: detection_table.DetectionTable,
    found: Mapping,
    image: np.ndarray | None = None,
    least: float = _CERTAIN,
) -> np.ndarray:
    """An image with the detections of at least a score.

    Args:
      table: that the image is of.
      found: one of `inference.detections`.
      image: the image, if it has been read.
      least: the score.
    """
    from pycocotools import mask as rle

    image = read(table, found['row']) if image is None else image
    used = np.flatnonzero(found['scores'] >= least)[::-1]  # The most certain on top.
    masks = None
    if 'masks' in found:
        masks = [rle.decode(found['masks'][index]).astype(bool) for index in used]
    landmarks = found['landmarks'][used] if 'landmarks' in found else None
    return drawing.objects(
        image,
        found['boxes'][used],
        found['classes'][used],
        table.class_names,
        found['scores'][used],
        masks,
        landmarks,
        skeletons(table),
    )


def misses(
    table: detection_table.DetectionTable, found: Mapping, least: float = _CERTAIN
) -> np.ndarray:
    """The items of an image that no detection of their class fits: rows of the table."""
    items, _, fits = _fits(table, found, least)
    return items[~fits.any(1)]


def worst_mask(
    table: detection_table.DetectionTable, found: Mapping, least: float = _CERTAIN
) -> tuple[float, int, int] | None:
    """The least accurate mask among the detections whose box and class are right.

    Returns:
      Its IoU with the annotated mask, the item's row of the table, and which detection it is; None
      if no item with a mask is found.
    """
    from pycocotools import mask as rle

    worst = None
    for item, sure in zip(*_where(*_fits(table, found, least)), strict=True):
        if table.segmentations[item] is None:
            continue
        mask = found['masks'][sure]
        annotated = rle.encode(np.asfortranarray(mask_of(table, item, mask['size']), np.uint8))
        overlap = float(rle.iou([mask], [annotated], [0])[0, 0])
        worst = min(worst or (np.inf,), (overlap, int(item), int(sure)))
    return worst


def _fits(table, found, least):
    """Items of an image, detections that are certain, and which of these fit which of those."""
    items = table.items_of(found['row'])
    items = items[~table.crowd[items]]
    sure = np.flatnonzero(found['scores'] >= least)
    overlap = boxes_lib.iou(table.boxes[items], found['boxes'][sure]).numpy()
    return (
        items,
        sure,
        (overlap >= MATCHED) & (table.classes[items][:, np.newaxis] == found['classes'][sure]),
    )


def _where(items, sure, fits):
    rows, columns = np.nonzero(fits)
    return items[rows], sure[columns]


def failure(
    table: detection_table.DetectionTable, found: Mapping, image: np.ndarray | None = None
) -> np.ndarray:
    """An image with its detections, and in red the boxes and right classes of what was missed.

    "The missing bounding boxes are drawn in red while the correct category labels are also in red"
    (Figure 5).
    """
    image = read(table, found['row']) if image is None else image
    pixels = detections(table, found, image)
    canvas = drawing.Canvas(image)
    canvas.pixels = pixels
    for item in misses(table, found):
        canvas.box(table.boxes[item], drawing.WRONG, table.class_names[table.classes[item] - 1])
    return canvas.pixels


def masks_compared(
    table: detection_table.DetectionTable,
    found: Mapping,
    item: int,
    index: int,
    image: np.ndarray | None = None,
) -> list[np.ndarray]:
    """An image with the annotated mask of an item, and with that of a detection (Figure 5 (b))."""
    one = {name: found[name][index : index + 1] for name in ('boxes', 'classes', 'scores', 'masks')}
    image = read(table, found['row']) if image is None else image
    chosen = slice(item, item + 1)
    return [
        drawing.objects(
            image,
            table.boxes[chosen],
            table.classes[chosen],
            table.class_names,
            masks=[mask_of(table, item, image.shape[:2])],
        ),
        detections(table, found | one, image, 0.0),
    ]


def retrieved(
    query: np.ndarray,
    box: Sequence[float],
    matches: Sequence[tuple[np.ndarray, Sequence[float], bool | None]],
    height: int = 260,
    width: int = 200,
) -> np.ndarray:
    """A query and what was retrieved for it in a row: Figure 6 (c).

    Args:
      query: image uint8 [h, w, 3].
      box: of the item that is searched.
      matches: image, box and whether it is right (None: not known), the nearest first.
      height: of a picture.
      width: of a picture.

    Returns:
      uint8 [height, (1 + matches) * (width + 6) - 6, 3].
    """
    cells = []
    for number, (image, one, hit) in enumerate([(query, box, None), *matches]):
        canvas = drawing.Canvas(image)
        color = {None: drawing.PALETTE[0], True: drawing.RIGHT, False: drawing.WRONG}[hit]
        canvas.box(one, color, 'query' if number == 0 else str(number))
        cells.append(drawing.fitted(canvas.pixels, height, width))
        cells.append(np.full([height, 6, 3], 255, np.uint8))
    return np.concatenate(cells[:-1], axis=1)
