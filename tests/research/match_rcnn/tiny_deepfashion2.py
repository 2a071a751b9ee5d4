"""Small folders in the format of DeepFashion2, written by hand for tests."""

from __future__ import annotations

import json
import pathlib

import numpy as np
from PIL import Image

# Name and number of landmarks of some categories.
KINDS = {
    1: ('short sleeve top', 25),
    4: ('long sleeve outwear', 39),
    8: ('trousers', 14),
    9: ('skirt', 8),
}
_OFFSETS = {1: 0, 4: 89, 8: 168, 9: 182}  # Of their landmarks among the 294.


def item(category: int, box: list[float], modes: str | None = None, **changes) -> dict:
    """The JSON of an item whose landmarks are on the diagonal of its box, its mask a triangle.

    Args:
      category: 1, 4, 8 or 9.
      box: (x1, y1, x2, y2).
      modes: a digit for the v of each landmark; None: all 2.
      **changes: of the other fields.
    """
    name, count = KINDS[category]
    x1, y1, x2, y2 = box
    landmarks = []
    for place, mode in enumerate(modes or '2' * count):
        share = place / count
        point = [x1 + share * (x2 - x1), y1 + share * (y2 - y1), int(mode)]
        landmarks += point if int(mode) else [0, 0, 0]
    return {
        'segmentation': [[x1, y1, x2, y1, x1, y2]],
        'scale': 2,
        'viewpoint': 2,
        'zoom_in': 1,
        'landmarks': landmarks,
        'style': 0,
        'bounding_box': box,
        'category_id': category,
        'occlusion': 1,
        'category_name': name,
    } | changes


def write(
    folder: pathlib.Path,
    number: int,
    items: list[dict],
    source: str = 'user',
    pair_id: int = 1,
    size: tuple[int, int] = (40, 30),
) -> None:
    """An image of `size` (width, height), all one colour, and its annotation."""
    write_image(folder, number, Image.new('RGB', size, (number % 256, 100, 200)))
    write_annotation(
        folder,
        number,
        {
            'pair_id': pair_id,
            **{f'item{place}': one for place, one in enumerate(items, 1)},
            'source': source,
        },
    )


def write_image(
    folder: pathlib.Path, number: int, image: Image.Image, suffix: str = '.jpg', **options
) -> pathlib.Path:
    """The image alone; `options` as for Pillow's save."""
    path = folder / 'image' / f'{number:06d}{suffix}'
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def write_annotation(folder: pathlib.Path, number: int, fields: dict | str) -> pathlib.Path:
    """The annotation alone, as a dictionary or as text."""
    path = folder / 'annos' / f'{number:06d}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(fields if isinstance(fields, str) else json.dumps(fields), 'utf8')
    return path


def truncate(path: pathlib.Path) -> None:
    """Leaves the first half of a file, which has the header of an image of noise."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """An image of `size` (width, height) that no format makes small."""
    random = np.random.Generator(np.random.PCG64(seed))
    return Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8))


def converted(items: list[tuple[int, str | None, list[dict]]]) -> dict:
    """COCO's form of (image, source, items), 40 x 30, as the benchmark's converter has it.

    The converter drops whose images they are; a source that is not None is kept here.
    """
    names = [str(number) for number in range(1, 295)]
    content = {
        'images': [],
        'annotations': [],
        'categories': [
            {'id': number, 'name': f'c{number}', 'keypoints': names} for number in range(1, 14)
        ],
    }
    for image, source, of_image in items:
        content['images'].append(
            {
                'id': image,
                'file_name': f'{image:06d}.jpg',
                'width': 40,
                'height': 30,
                **({'source': source} if source else {}),
            }
        )
        for one in of_image:
            x1, y1, x2, y2 = one['bounding_box']
            begin = 3 * _OFFSETS[one['category_id']]
            points = [0] * 882
            points[begin : begin + len(one['landmarks'])] = one['landmarks']
            content['annotations'].append(
                {
                    'id': len(content['annotations']) + 1,
                    'image_id': image,
                    'iscrowd': 0,
                    'category_id': one['category_id'],
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'area': (x2 - x1) * (y2 - y1),
                    'keypoints': points,
                    'pair_id': 1,
                    'style': one['style'],
                    'segmentation': one['segmentation'],
                }
            )
    return content
