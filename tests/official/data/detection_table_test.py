"""Tests of official.data.detection_table."""

import itertools

import numpy as np
import pytest

from official.data import detection_table, problems

Item = detection_table.Item
TRIANGLE = [[2.0, 1.0], [10.0, 1.0], [2.0, 17.0]]


def make(name='set', **options):
    """Two classes: a top of 3 landmarks, the first two of which mirror each other, and a rug."""
    flip = [[0, 1, 2], [1, 0, 2], [0, 1, 2]]
    return detection_table.TableBuilder(name, ('top', 'rug'), (3, 0), flip, **options)


def of_pair(pair_id, style, **options):
    return Item([1, 1, 5, 5], 1, pair_id=pair_id, style=style, **options)


def test_columns():
    builder = make(mask_size=8)
    builder.add_image(
        'a.jpg',
        7,
        (20, 30),
        detection_table.USER,
        [
            Item(
                [2, 1, 10, 17],
                1,
                [TRIANGLE],
                [[1, 2, 2], [5, 6, 0], [3, 4, 1]],
                pair_id=5,
                style=2,
                scale=3,
                occlusion=1,
                zoom_in=2,
                viewpoint=3,
                item_id=40,
            ),
            Item(
                [0, 0, 30, 20], 2, [[0, 0, 30, 0, 30, 20, 0, 20]], crowd=True, item_id=30, area=99.5
            ),
        ],
    )
    builder.add_image('b.jpg', 3, (5, 6), detection_table.SHOP)
    builder.add_image('c.jpg', 4, (10, 10), items=[Item((1, 2, 3, 4), 1, item_id=50)])
    table = builder.build()
    assert (table.num_images, table.num_items, table.num_classes) == (3, 3, 2)
    assert (table.num_landmarks, table.mask_size) == (3, 8)
    assert table.landmark_offsets == (0, 3, 3) and table.category_ids == (1, 2)
    assert table.paths == ['a.jpg', 'b.jpg', 'c.jpg']
    expected = {
        'image_ids': [7, 3, 4],
        'sizes': [[20, 30], [5, 6], [10, 10]],
        'sources': [1, 2, 0],
        'first': [0, 2, 2, 3],
        'boxes': [[2, 1, 10, 17], [0, 0, 30, 20], [1, 2, 3, 4]],
        'classes': [1, 2, 1],
        'crowd': [False, True, False],
        'pair_ids': [5, 0, 0],
        'styles': [2, 0, 0],
        'scales': [3, 0, 0],
        'occlusions': [1, 0, 0],
        'zoom_ins': [2, 0, 0],
        'viewpoints': [3, 0, 0],
        'item_ids': [40, 30, 50],
        'areas': [128, 99.5, 4],
        'landmarks': [[[1, 2, 2], [0, 0, 0], [3, 4, 1]], np.zeros([3, 3]), np.zeros([3, 3])],
    }
    dtypes = {
        'image_ids': np.int64,
        'first': np.int64,
        'item_ids': np.int64,
        'crowd': bool,
        'boxes': np.float32,
        'areas': np.float32,
        'landmarks': np.float32,
    }
    for column, values in expected.items():
        np.testing.assert_array_equal(getattr(table, column), values, column)
        assert getattr(table, column).dtype == dtypes.get(column, np.int32), column
    bits = np.unpackbits(table.mini_masks, axis=1).reshape(3, 8, 8)
    # The upper left half of the box; whether the diagonal's cells are in is a matter of taste.
    rows, columns = np.indices([8, 8])
    off = rows + columns != 7
    np.testing.assert_array_equal(bits[0][off], (rows + columns < 7)[off])
    assert bits[1].all() and not bits[2].any()
    np.testing.assert_array_equal(table.segmentations[0][0], TRIANGLE)
    assert table.segmentations[2] is None
    np.testing.assert_array_equal(table.items_of(0), [0, 1])
    assert table.items_of(1).size == 0 and table.boxes[table.items_of(1)].shape == (0, 4)
    np.testing.assert_array_equal(table.images_of_items(), [0, 0, 2])
    assert table.problems.counts == {
        problems.NO_ITEM: 1,
        problems.NO_MASK: 1,
        problems.NO_PARTNER: 1,
    }


def test_a_segmentation_beside_its_box_is_counted():
    for polygon, beside in (
        ([11, 5, 19, 5, 19, 9], True),
        ([9, 5, 19, 5, 19, 9], False),
        ([2, 2, 9, 2, 9, 4], True),
    ):
        builder = make()
        builder.add_image('a.png', 1, (20, 30), items=[Item([1, 5, 10, 15], 1, [polygon])])
        counts = builder.build().problems.counts
        assert counts.get(problems.MASK_OUTSIDE, 0) == beside


def test_mini_masks_are_the_polygons_inside_the_box():
    star = np.array(
        [
            [20, 2],
            [25, 18],
            [38, 20],
            [27, 28],
            [30, 45],
            [20, 33],
            [8, 44],
            [13, 27],
            [1, 21],
            [15, 17],
        ],
        np.float64,
    )
    hole = [[50, 5], [58, 5], [58, 40], [50, 40]]
    box = [5, 3, 60, 43]  # Cuts some corners of the star.
    builder = make(mask_size=40)
    builder.add_image('a.png', 1, (50, 70), items=[Item(box, 1, [star, hole])])
    mask = np.unpackbits(builder.build().mini_masks[0]).reshape(40, 40)

    def inside(polygon, x, y):
        """Crossings of a ray to the right, one edge after the other."""
        crossings = 0
        for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                crossings += 1
        return crossings % 2 == 1

    def near_edge(polygon, x, y, distance):
        for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            along = np.clip(np.dot([x, y] - a, b - a) / np.dot(b - a, b - a), 0, 1)
            if np.hypot(*([x, y] - a - along * (b - a))) < distance:
                return True
        return False

    compared, filled = 0, 0
    for row, column in itertools.product(range(40), range(40)):
        x, y = 5 + 55 * (column + 0.5) / 40, 3 + 40 * (row + 0.5) / 40
        polygons = star, np.array(hole, np.float64)
        if any(near_edge(polygon, x, y, 1.0) for polygon in polygons):
            continue
        assert mask[row, column] == any(inside(polygon, x, y) for polygon in polygons), (x, y)
        compared, filled = compared + 1, filled + int(mask[row, column])
    assert compared > 1000 and 200 < filled < compared - 200


def test_boxes_are_cut_at_the_image():
    builder = make()
    builder.add_image('a.jpg', 1, (20, 30), items=[Item([-3, 5, 31, 20], 2, [TRIANGLE])])
    table = builder.build()
    np.testing.assert_array_equal(table.boxes, [[0, 5, 30, 20]])
    assert table.areas == [450]
    assert table.problems.counts == {problems.CLIPPED: 1}
    assert table.problems.files(problems.CLIPPED) == ['a.jpg']


@pytest.mark.parametrize(
    'options, message',
    [
        ({'box': [3, 1, 3, 5]}, r'box \[3.0, 1.0, 3.0, 5.0\] \(x1, y1, x2, y2\) has no area'),
        ({'box': [3, 6, 4, 5]}, 'has no area'),
        ({'box': [31, 1, 40, 5]}, r'box \[31.0, .* is outside the image of 30 x 20 pixels'),
        ({'box': [1, -4, 5, 0]}, 'is outside the image'),
        ({'box': [1, 2, np.nan, 5]}, r'box \[1, 2, nan, 5\] has a number that is not finite'),
        ({'box': [1, 2, 3]}, r'box \[1, 2, 3\] does not have 4 numbers'),
        ({'box': [1, 2, 3, 'x']}, r"box \[1, 2, 3, 'x'\] is not made of numbers"),
        (
            {'box': [1, 2, 1 + 1e-5, 5]},
            r'has a side of 1e-05 pixels in the image; the least is 0.01',
        ),
        ({'box': [1, 2, 10**400, 5]}, 'is not made of numbers'),
        ({'segmentation': True}, 'segmentation True is neither polygons nor an RLE'),
        ({'segmentation': [7]}, 'polygon 1 7 is not a list of x, y'),
        ({'segmentation': {'size': [20, 30], 'counts': None}}, 'RLE whose counts are neither'),
        ({'segmentation': {'size': [20, 30], 'counts': []}}, 'RLE whose counts sum to 0, not 600'),
        ({'crowd': '0'}, "crowd '0' is neither 0 nor 1"),
        ({'crowd': None}, 'crowd None is neither'),
        ({'segmentation': [[1, 1, 2, 2, 3]]}, 'polygon 1 .* is not a list of x, y'),
        ({'segmentation': [[1, 1, 2, 2, 3, np.inf]]}, 'polygon 1 .* not finite'),
        (
            {'segmentation': {'size': [30, 20], 'counts': [600]}},
            r'RLE of size \[30, 20\] .* \[20, 30\]',
        ),
        ({'landmarks': [[1, 1, 1]] * 2}, '2 landmarks; category 1 has 3'),
        ({'landmarks': [1, 1, 1] * 4}, '4 landmarks; category 1 has 3'),
        ({'landmarks': [1, 1, 1], 'category': 2}, '1 landmarks; category 2 has 0'),
        ({'landmarks': [[1, 1, 3]] * 3}, r'landmark \[1.0, 1.0, 3.0\] .* v other than 0, 1 and 2'),
        ({'landmarks': [[1, np.nan, 1]] * 3}, 'landmarks .* not finite'),
        ({'category': 0}, 'unknown category 0; there is 1 to 2'),
        ({'category': 3}, 'unknown category 3'),
        ({'category': 'top'}, "unknown category 'top'"),
        ({'style': -1}, 'style -1 is not a whole number from 0'),
        ({'pair_id': 2**31}, 'pair_id 2147483648 is not a whole number'),
        ({'occlusion': 1.5}, 'occlusion 1.5 is not a whole number'),
        ({'area': np.inf}, 'area inf is not a number from 0'),
    ],
)
def test_what_cannot_be_right_is_an_error(options, message):
    builder, given = make(), {'box': [1, 1, 5, 5], 'category': 1} | options
    with pytest.raises(ValueError, match=rf'^x.json: item 2 \(id 9\): .*{message}'):
        builder.add_image(
            'a.jpg',
            1,
            (20, 30),
            file='x.json',
            items=[Item([1, 1, 5, 5], 1), Item(**given, item_id=9)],
        )


def test_all_that_cannot_be_right_is_named_at_once():
    bad = [
        Item([3, 1, 3, 5], 1, landmarks=[1, 1, 1], style=-1),
        Item([1, 1, 5, 5], 1),
        Item([1, 1, 5, 5], 7),
    ]
    with pytest.raises(problems.Malformed) as error:
        make().add_image('a.jpg', 1, (20, 30), items=bad)
    assert [kind for kind, _ in error.value.faults] == [
        problems.BAD_FIELD,
        problems.BAD_BOX,
        problems.BAD_LANDMARKS,
        problems.BAD_CATEGORY,
    ]
    assert [sentence.split(':')[1] for _, sentence in error.value.faults] == [
        ' item 1',
        ' item 1',
        ' item 1',
        ' item 3',
    ]
    # Or they are left out and counted.
    mine = problems.Problems('set')
    builder = make(problems=mine, faults=problems.Faults(mine, skip=True))
    builder.add_image('a.jpg', 1, (20, 30), items=bad)
    assert builder.build().num_items == 1
    assert {kind: count for kind, count in mine.counts.items() if kind != problems.NO_MASK} == {
        problems.BAD_FIELD: 1,
        problems.BAD_BOX: 1,
        problems.BAD_LANDMARKS: 1,
        problems.BAD_CATEGORY: 1,
    }


@pytest.mark.parametrize(
    'segmentation, counted, polygons',
    [
        ([], [problems.NO_MASK], None),
        ([[]], [problems.NO_MASK], None),
        ([[1, 1, 2, 2]], [problems.SHORT_POLYGON, problems.NO_MASK], None),
        ([TRIANGLE, [[1, 1], [2, 2]], []], [problems.SHORT_POLYGON], [TRIANGLE]),
        ([[1, 1, 3, 3, 5, 5]], [problems.MASK_FLAT], None),
        ([[2, 2, 2, 2, 2, 2]], [problems.MASK_FLAT], None),
        (
            [[[0, 0], [1e9, 0], [0, 10]]],
            [problems.MASK_CLIPPED],
            [[[0, 0], [60, 0], [60, 10 - 6e-7], [0, 10]]],
        ),
    ],
)
def test_segmentations_that_enclose_little(segmentation, counted, polygons):
    builder = make()
    builder.add_image(
        'a.png', 1, (20, 30), items=[Item([1, 1, 10, 17], 1, segmentation, landmarks=[])]
    )
    table = builder.build()
    assert list(table.problems.counts) == counted
    if polygons is None:
        assert table.segmentations == [None] and not table.mini_masks.any()
    else:
        assert len(table.segmentations[0]) == 1 and table.mini_masks.any()
        np.testing.assert_allclose(table.segmentations[0], polygons, rtol=1e-6)


def test_what_cannot_be_right_of_images_and_sets():
    builder = make()
    for size in (0, 3), (70000, 3):
        with pytest.raises(ValueError, match=rf'a.jpg: an image of size \({size[0]}, 3\)'):
            builder.add_image('a.jpg', 1, size)
    with pytest.raises(ValueError, match='a.jpg: source 3 is none of'):
        builder.add_image('a.jpg', 1, (2, 3), source=3)
    builder.add_image('a.jpg', 5, (2, 3), file='a.json')
    builder.add_image('b.jpg', 5, (2, 3), file='b.json')
    with pytest.raises(ValueError, match='b.json: image id 5 is that of a.json'):
        builder.build()
    with pytest.raises(ValueError, match='2 class names and 1 landmark counts'):
        detection_table.TableBuilder('set', ('a', 'b'), (3,))
    with pytest.raises(ValueError, match='mask_size = 10 is not a multiple of 4'):
        make(mask_size=10)
    for flip, message in (
        (np.zeros([2, 3]), r'shape \[2, 3\] instead of \[2, 2\]'),
        ([[0, 1], [1, 1]], 'category 1, .* does not pair its 2 landmarks'),
        ([[1, 0], [0, 1]], 'category 0, .* does not pair its 0 landmarks'),
        ([[0, 1], [0, 2]], 'category 1'),
    ):
        with pytest.raises(ValueError, match=message):
            detection_table.TableBuilder('set', ('a',), (2,), flip)


def test_item_ids_that_cannot_be_kept_are_given_anew():
    for ids, counted in (([7, 0], {}), ([0, 0], {}), ([7, 7], {problems.SAME_ID: 1})):
        builder = make()
        builder.add_image(
            'a.jpg', 1, (20, 30), items=[Item([1, 1, 5, 5], 1, item_id=number) for number in ids]
        )
        table = builder.build()
        np.testing.assert_array_equal(table.item_ids, [1, 2])
        assert {kind: table.problems.counts[kind] for kind in counted} == counted
        assert (problems.SAME_ID in table.problems.counts) == bool(counted)


def test_a_table_without_items():
    builder = make()
    builder.add_image('a.jpg', 1, (20, 30))
    table = builder.build()
    assert table.boxes.shape == (0, 4) and table.landmarks.shape == (0, 3, 3)
    assert table.mini_masks.shape == (0, 112 * 112 // 8) and table.pairs().shape == (0, 2)
    assert make().build().num_images == 0
    classes = detection_table.TableBuilder('set', ('a',), (0,))
    classes.add_image('a.jpg', 1, (9, 9), items=[Item([1, 1, 5, 5], 1)] * 2)
    assert classes.build().landmarks.shape == (2, 0, 3)


PAIRED = [  # (source, [(pair_id, style), ...]) of images; comments name the partners.
    (1, [(1, 1), (1, 2)]),  # 0: 2, 3
    (1, [(1, 1)]),  # 1: 2
    (2, [(1, 1)]),  # 2: 0, 1
    (2, [(1, 2), (1, 3)]),  # 3: 0; of style 3 there is no user's
    (1, [(2, 0)]),  # 4: style 0 is none
    (2, [(2, 0)]),  # 5
    (1, [(3, 1)]),  # 6: no shop
    (2, [(4, 1)]),  # 7: no user
    (0, [(1, 1)]),  # 8: unknown source
    (1, [(0, 1)]),  # 9: unknown pair
    (2, [(0, 1)]),  # 10
    (1, []),  # 11
    (1, [(5, 1), (5, 2)]),  # 12: 13, by two items but once
    (2, [(5, 1), (5, 2)]),  # 13
    (1, [(2, 1)]),  # 14: 15; (1, 2) is another
    (2, [(2, 1)]),  # 15
]


def paired(images):
    builder = make()
    for row, (source, items) in enumerate(images):
        builder.add_image(f'{row}.jpg', row, (9, 9), source, [of_pair(*item) for item in items])
    return builder.build()


def test_pairs():
    table = paired(PAIRED)
    pairs = table.pairs()
    assert pairs.dtype == np.int64
    assert pairs.tolist() == [[0, 2], [0, 3], [1, 2], [12, 13], [14, 15]]
    interest = [
        [1, 1],
        [1],
        [1],
        [1, 0],
        [0],
        [0],
        [0],
        [0],
        [0],
        [0],
        [0],
        [],
        [1, 1],
        [1, 1],
        [1],
        [1],
    ]
    np.testing.assert_array_equal(table.of_interest(), list(itertools.chain(*interest)))
    # Of style 3, pair 3, pair 4, and the two of no pair.
    assert table.problems.counts[problems.NO_PARTNER] == 5
    assert table.problems.files(problems.NO_PARTNER) == ['3.jpg', '6.jpg', '7.jpg']


def test_pairs_agree_with_a_plain_loop():
    generator = np.random.default_rng(3)
    images = [
        (
            int(generator.integers(0, 3)),
            [tuple(generator.integers(0, 4, 2).tolist()) for _ in range(generator.integers(4))],
        )
        for _ in range(150)
    ]
    expected = [
        [user, shop]
        for user, shop in itertools.product(range(150), repeat=2)
        if images[user][0] == 1
        and images[shop][0] == 2
        and any(
            pair and style and (pair, style) in images[shop][1] for pair, style in images[user][1]
        )
    ]
    assert len(expected) > 100 and paired(images).pairs().tolist() == expected


def test_a_crowd_is_in_no_pair():
    builder = make()
    builder.add_image('a', 1, (9, 9), 1, [of_pair(1, 1, crowd=True)])
    builder.add_image('b', 2, (9, 9), 2, [of_pair(1, 1)])
    assert not len(builder.build().pairs())


def test_pairs_of_many_images():
    """10 users' and 10 shops' images of each identity, by formula."""
    table = paired(PAIRED)
    number = 40_000
    items = np.arange(number)
    table.sources = (1 + items % 2).astype(np.int32)
    table.paths, table.first = [''] * number, np.arange(number + 1)
    table.pair_ids, table.styles = (1 + items // 20).astype(np.int32), np.ones(number, np.int32)
    table.crowd = np.zeros(number, bool)
    assert len(table.pairs()) == number // 20 * 100


def test_subset():
    table = paired(PAIRED)
    part = table.subset([13, 4, 11, 0])
    assert part.paths == ['13.jpg', '4.jpg', '11.jpg', '0.jpg']
    np.testing.assert_array_equal(part.first, [0, 2, 3, 3, 5])
    np.testing.assert_array_equal(part.pair_ids, [5, 5, 2, 1, 1])
    np.testing.assert_array_equal(part.styles, [1, 2, 0, 1, 2])
    np.testing.assert_array_equal(part.sources, [2, 1, 1, 1])
    np.testing.assert_array_equal(part.item_ids, table.item_ids[[15, 16, 6, 0, 1]])
    assert len(part.segmentations) == 5 and part.mini_masks.shape[0] == 5
    assert part.pairs().shape == (0, 2) and part.problems.counts == {}
    assert table.subset([]).num_items == 0
