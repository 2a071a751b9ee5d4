"""What the headers of image files say: size, orientation, kind of pixels; without decoding."""

from __future__ import annotations

import concurrent.futures
import os
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from official.data import problems as problems_lib

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')
_EXIF_ORIENTATION = 0x0112
_TURNED = ('JPEG', 'MPO', 'PNG')  # Formats whose orientation `image_reader` follows.
_THREADS = 16


class Header(NamedTuple):
    """Of one file.

    Attributes:
      stored: (height, width) of the pixels as they are in the file.
      orientation: EXIF orientation, 1 to 8; 1 where there is none.
      mode: Pillow's name of the kind of pixels ('RGB', 'L', 'RGBA', 'I;16', ...).
    """

    stored: tuple[int, int]
    orientation: int
    mode: str

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) once the image is turned as its orientation says."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored


def is_hidden(name: str) -> bool:
    """Returns True for files and folders that programs leave behind, which are no data.

    Their names begin with a dot, as `.ipynb_checkpoints`, `.DS_Store` and `._1.jpg` do, or it is
    the folder `__MACOSX` of an archive made on a Mac.

    Args:
      name: of a file or folder, without the folders above it.
    """
    return name.startswith('.') or name == '__MACOSX'


def header(path: str) -> Header | None:
    """The header of a file; None where there is none, or Pillow cannot read it as an image."""
    try:
        with Image.open(path) as image:
            orientation = _orientation(image) if image.format in _TURNED else 1
            return Header((image.height, image.width), orientation, image.mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _orientation(image: Image.Image) -> int:
    # Not image.getexif(), which looks into XMP as well, which decoders do not heed.
    exif = Image.Exif()
    try:
        exif.load(image.info.get('exif', b''))
        orientation = exif.get(_EXIF_ORIENTATION, 1)
    except (SyntaxError, ValueError, struct.error):
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def headers(paths: Sequence[str]) -> list[Header | None]:
    """`header` of many files, by threads."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(header, paths))


def note(found: Header | None, path: str, file: str, problems: problems_lib.Problems) -> bool:
    """Counts what is odd about an image file, and says whether it can be used.

    Args:
      found: its header.
      path: of the image file.
      file: of its annotations.
      problems: where it is counted.
    """
    if found is None:
        if os.path.isfile(path):
            problems.add(problems_lib.DAMAGED, path)
        else:
            problems.add(problems_lib.NO_IMAGE, f'{path} (in {file})')
        return False
    if found.orientation != 1:
        problems.add(problems_lib.TURNED, path)
    if found.mode != 'RGB':
        problems.add(problems_lib.CONVERTED, path)
    return True


def turned_points(points: np.ndarray, orientation: int, stored: tuple[int, int]) -> np.ndarray:
    """Where points of a stored image are once it is upright.

    Args:
      points: [..., 2], (x, y) in continuous pixels.
      orientation: EXIF orientation.
      stored: (height, width) of the image as it is stored.

    Returns:
      float64 [..., 2].
    """
    height, width = stored
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    x, y = {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }[orientation]
    return np.stack([x, y], -1)


def turned_pixels(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An array [height, width, ...] as it is once turned upright."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    # In EXIF's numbering, of the image as it is after the transposition.
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def turned_item_arrays(
    box: Any, segmentation: Any, landmarks: Any, orientation: int, stored: tuple[int, int]
) -> tuple[np.ndarray, Any, Any]:
    """An item's (box, segmentation, landmarks) of a stored image, for the upright one.

    For annotations that were made on an image as it is stored. Polygons may be flat or [n, 2],
    landmarks flat or [n, 3]; a segmentation may be an RLE; it and landmarks may be None.
    """
    corners = turned_points(np.reshape(box, [2, 2]), orientation, stored)
    box = np.concatenate([corners.min(0), corners.max(0)])
    if isinstance(segmentation, dict):
        segmentation = _turned_rle(segmentation, orientation)
    elif segmentation:
        segmentation = [
            turned_points(np.reshape(polygon, [-1, 2]), orientation, stored)
            for polygon in segmentation
        ]
    if landmarks is not None:
        landmarks = np.reshape(landmarks, [-1, 3]).astype(np.float64)
        landmarks[:, :2] = turned_points(landmarks[:, :2], orientation, stored)
    return box, segmentation, landmarks


def _turned_rle(rle, orientation):
    from pycocotools import mask as coco_mask

    if isinstance(rle['counts'], list):
        rle = coco_mask.frPyObjects(rle, *rle['size'])
    turned = turned_pixels(coco_mask.decode(rle), orientation)
    encoded = coco_mask.encode(np.asfortranarray(turned))
    return {'size': list(map(int, encoded['size'])), 'counts': encoded['counts'].decode('ascii')}
