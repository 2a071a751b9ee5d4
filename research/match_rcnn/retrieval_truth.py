"""Ground truth of retrieval as the benchmark hands it out: val_query.json and val_gallery.json.

Each is a list of items with `pair_id`, `style` and `bbox` (x1, y1, x2, y2), of consumers' images
with `query_image_id` and `cls`, of shops' with `gallery_image_id`. Images without an item that is
asked for are not in them.
"""

from __future__ import annotations

import math

from official.data import detection_items, detection_table
from official.data import problems as problems_lib
from research.match_rcnn import categories, result_files

_NO_CLASS = 1  # Of shops' items, whose class nothing asks for.


def load(query_file: str, gallery_file: str) -> detection_table.DetectionTable:
    """Both files as a table that `retrieval_protocol.judge` takes, with all_images=False.

    Images are in the order in which the files name them first, items in that of the files, as the
    benchmark's script has them. Sizes of images are not in the files: each is as large as its
    items.

    Args:
      query_file: items of consumers' images.
      gallery_file: items of shops' images.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: entries cannot be right, all of them named; an image is in both files.
    """
    name = f'{query_file}, {gallery_file}'
    # Items need no masks here.
    problems = problems_lib.Problems(name)
    faults = problems_lib.Faults(problems)
    builder = detection_table.TableBuilder(
        name,
        categories.NAMES,
        categories.LANDMARK_COUNTS,
        categories.landmark_flip(),
        problems,
        mask_size=4,
    )
    for file, field, source in (
        (query_file, 'query_image_id', detection_table.USER),
        (gallery_file, 'gallery_image_id', detection_table.SHOP),
    ):
        images: dict[int, list[detection_table.Item]] = {}
        for number, row in enumerate(result_files.read_list(file)):
            found = faults.call(_item, row, field, f'{file}: entry {number}')
            if found is not None:
                images.setdefault(found[0], []).append(found[1])
        for image_id, items in images.items():
            size = [max(1, *(math.ceil(item.box[axis]) for item in items)) for axis in (3, 2)]
            faults.call(
                builder.add_image,
                f'{image_id}',
                image_id,
                size,
                source,
                items,
                f'{file}, image {image_id}',
            )
    faults.check()
    return builder.build()


def _item(row, field, where) -> tuple[int, detection_table.Item]:
    """The image and the item of an entry."""
    needed = (field, 'pair_id', 'style', 'bbox', *['cls'] * (field == 'query_image_id'))
    missing = [name for name in needed if not isinstance(row, dict) or name not in row]
    if missing:
        raise problems_lib.Malformed(
            (problems_lib.BAD_ENTRY, f'{where} has no {", ".join(missing)}.')
        )
    for name in needed:
        if name != 'bbox' and not detection_items.is_count(row[name]):
            raise problems_lib.Malformed(
                (
                    problems_lib.BAD_FIELD,
                    f'{where}: {name} {str(row[name])[:40]!r} is not a whole number from 0.',
                )
            )
    box = row['bbox']
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(
            isinstance(value, (int, float)) and abs(value) < detection_table.MAX_EDGE
            for value in box
        )
    ):
        raise problems_lib.Malformed(
            (problems_lib.BAD_BOX, f'{where}: bbox {str(box)[:60]} is not x1, y1, x2, y2.')
        )
    return row[field], detection_table.Item(
        box, row.get('cls', _NO_CLASS), pair_id=row['pair_id'], style=row['style']
    )
