"""A small table of images and items, and what a pipeline makes of it in float64."""

import numpy as np
from PIL import Image

from official.data import detection, detection_table

Item = detection_table.Item
CANVAS = (48, 64)
NUMBER = 11
VARIED = {'flip': True, 'min_size': (20, 32), 'seed': 3}
FLIP = np.array([[0, 1, 2], [1, 0, 2], [0, 1, 2]])
S = 16


def picture(row, height, width):
    """Its colour says which image it is; the left half is darker than the right."""
    pixels = np.full([height, width, 3], 20 * row + 30, np.uint8)
    pixels[:, : width // 2] = 20 * row + 20
    return pixels


def size_of(row):
    return 20 + row, 42 - 2 * row  # The first ones are wide, the last ones high.


def items_of(row, rng):
    """0, 1, 2, 3, 0, ... items of odd numbers."""
    height, width = size_of(row)
    items = []
    for k in range(row % 4):
        x1, y1 = rng.uniform(0, 0.5, 2) * [width, height]
        x2, y2 = rng.uniform(0.6, 1, 2) * [width, height]
        category = 1 + (row + k) % 2
        landmarks = np.concatenate([rng.uniform(0, 20, [3, 2]), [[2], [0], [1]]], 1)
        items.append(
            Item(
                [x1, y1, x2, y2],
                category,
                [[[x1, y1], [x2, y1], [x1, y2]]],
                landmarks if category == 1 else None,
                crowd=row == 7 and k == 2,
                pair_id=1 + row // 4,
                style=1,
            )
        )
    return items


def build(folder, name='set'):
    """Images of users and shops in turn, PNG files."""
    rng = np.random.default_rng(0)
    builder = detection_table.TableBuilder(name, ('top', 'rug'), (3, 0), FLIP, mask_size=S)
    for row in range(NUMBER):
        path = f'{folder}/{row}.png'
        Image.fromarray(picture(row, *size_of(row))).save(path)
        builder.add_image(path, 100 + row, size_of(row), 1 + row % 2, items_of(row, rng))
    return builder.build()


def make(table, **options):
    return detection.DetectionPipeline(
        table, **{'canvas': CANVAS, 'min_size': 32, 'max_size': 48, 'max_items': 4} | options
    )


def take(dataset, count=-1):
    """Batches one after another, joined: a dict of arrays."""
    batches = list(dataset.take(count).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def rows_of(batch):
    """Which rows of the table the images are, by their colours."""
    return (batch['images'][:, 0, 0, 0].astype(int) - 20) // 20


def mirrored(batch):
    """By the darker half."""
    right = batch['sizes'][:, 1].astype(int) - 1
    return batch['images'][:, 0, 0, 0] > batch['images'][np.arange(len(right)), 0, right, 0]


def expected(table, row, min_size, max_size, flip, max_items=4):
    """One image's annotations in float64."""
    height, width = table.sizes[row].astype(np.float64)
    scale = min(min_size / min(height, width), max_size / max(height, width))
    new = np.floor(np.array([height, width]) * scale + 0.5)
    y, x = new / [height, width]
    result = {
        'sizes': new,
        'boxes': np.zeros([max_items, 4]),
        'scales': np.array([y, x]),
        'classes': np.zeros(max_items),
        'crowd': np.zeros(max_items, bool),
        'landmarks': np.zeros([max_items, 3, 3]),
        'masks': np.zeros([max_items, S, S]),
        'pair_ids': np.zeros(max_items),
        'styles': np.zeros(max_items),
    }
    for place, item in enumerate(table.items_of(row)):
        x1, y1, x2, y2 = table.boxes[item].astype(np.float64)
        result['boxes'][place] = [x1 * x, y1 * y, x2 * x, y2 * y]
        if flip:
            result['boxes'][place] = [new[1] - x2 * x, y1 * y, new[1] - x1 * x, y2 * y]
        mask = np.unpackbits(table.mini_masks[item]).reshape(S, S)
        result['masks'][place] = mask[:, ::-1] if flip else mask
        for j in range(3):
            source = FLIP[table.classes[item], j] if flip else j
            px, py, v = table.landmarks[item, source].astype(np.float64)
            if v:
                result['landmarks'][place, j] = [new[1] - px * x if flip else px * x, py * y, v]
        for ours, column in (
            ('classes', 'classes'),
            ('crowd', 'crowd'),
            ('pair_ids', 'pair_ids'),
            ('styles', 'styles'),
        ):
            result[ours][place] = getattr(table, column)[item]
        if not has_partner(table, item):
            result['styles'][place] = 0
    return result


def has_partner(table, item):
    """Whether an item of the other source has its pair_id and style."""

    def identity(one):
        return int(table.pair_ids[one]), int(table.styles[one])

    def source(one):
        return table.sources[
            next(row for row in range(table.num_images) if one in table.items_of(row))
        ]

    single = [other for other in range(table.num_items) if not table.crowd[other]]
    return bool(
        item in single
        and table.styles[item] > 0
        and table.pair_ids[item] > 0
        and any(
            identity(other) == identity(item) and {source(item), source(other)} == {1, 2}
            for other in single
        )
    )


def check(table, batch, min_sizes, max_size=48):
    rows, flips = rows_of(batch), mirrored(batch)
    for n, row in enumerate(rows):
        wanted = expected(table, row, min_sizes[n], max_size, flips[n])
        for name in batch.keys() & wanted.keys():
            np.testing.assert_allclose(
                batch[name][n], wanted[name], rtol=1e-5, atol=1e-4, err_msg=f'{name} of {row}'
            )
        height, width = wanted['sizes'].astype(int)
        assert (batch['images'][n, :height, :width] > 0).all()
        assert not batch['images'][n, height:].any() and not batch['images'][n, :, width:].any()


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)
