import dataclasses

import numpy as np
import pytest

from official.data.detection_table import SHOP, USER
from research.match_rcnn import retrieval_protocol as protocol
from tests.research.match_rcnn import hand_made

LEFT, RIGHT, WHOLE = (0, 0, 40, 80), (50, 0, 90, 80), (0, 0, 100, 100)
TOP, SKIRT = 1, 2


def retrieved(*rows):
    """Of (image_id, class, box, score, [(gallery image, box), ...])."""
    return protocol.Retrieved(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int32),
        np.array([row[3] for row in rows], np.float32),
        np.array([[image for image, _ in row[4]] for row in rows], np.int64),
        np.array([[box for _, box in row[4]] for row in rows], np.float32),
    )


def small_table():
    return hand_made.table(
        (1, USER, [hand_made.item(TOP, LEFT, 1, 1), hand_made.item(SKIRT, RIGHT, 1, 0)]),
        (2, USER, [hand_made.item(TOP, LEFT, 2, 1), hand_made.item(TOP, RIGHT, 2, 2)]),
        (3, USER, [hand_made.item(TOP, WHOLE, 3, 1)]),
        (11, SHOP, [hand_made.item(TOP, LEFT, 1, 1), hand_made.item(TOP, RIGHT, 1, 2)]),
        (12, SHOP, [hand_made.item(TOP, LEFT, 2, 1), hand_made.item(SKIRT, RIGHT, 2, 2)]),
        (13, SHOP, [hand_made.item(TOP, WHOLE, 2, 1)]),
    )


RIGHT_FOR_1 = (11, LEFT)
WRONG = [(11, RIGHT), (12, LEFT), (12, RIGHT), (13, WHOLE)]


def hits(table, *rows):
    return protocol.judge(table, retrieved(*rows))


def test_queries_have_a_style_and_a_shop_item_of_their_identity():
    table = small_table()
    items, counts = protocol.queries(table)
    # Not the item without a style, nor that of pair 3, which no shop shows.
    assert items.tolist() == [0, 2, 3] and counts.tolist() == [1, 2, 1]
    items, counts = protocol.queries(table, min_shop_items=2)
    assert items.tolist() == [2] and counts.tolist() == [2]
    crowd = dataclasses.replace(table, crowd=np.arange(table.num_items) == 2)
    assert protocol.queries(crowd)[0].tolist() == [0, 3]
    none = table.subset([0, 1])
    assert [len(part) for part in protocol.queries(none)] == [0, 0]
    assert [len(part) for part in protocol.queries(table.subset([]))] == [0, 0]


def test_identities_are_pairs_and_styles():
    identities = protocol.identities_of(small_table())
    together = [(0, 5), (2, 7, 9), (3, 8), (4,), (6,)]
    numbers = [set(identities[list(items)].tolist()) for items in together]
    assert all(len(found) == 1 for found in numbers) and len(set.union(*numbers)) == 5
    assert identities[1] == -1 and min(set.union(*numbers)) >= 0


def test_the_rank_decides():
    table = small_table()
    for rank in range(4):
        gallery = WRONG[:rank] + [RIGHT_FOR_1] + WRONG[rank:3]
        judged = hits(table, (1, TOP, LEFT, 0.9, gallery))
        assert judged.items.tolist() == [0, 2, 3] and judged.rows.tolist() == [0, -1, -1]
        assert judged.hits[0].tolist() == [place == rank for place in range(4)]
        assert not judged.hits[1:].any() and judged.missed == 2


def test_what_is_right():
    table = small_table()

    def right(image, box):
        return bool(hits(table, (1, TOP, LEFT, 0.9, [(image, box)])).hits[0, 0])

    assert right(11, LEFT)
    # The item of the same garment in another style, and another garment's in the same place.
    assert not right(11, RIGHT) and not right(12, LEFT)
    # Half of the item is an IoU of .5, less is not; nor is a box twice as large and more.
    assert right(11, (0, 0, 40, 40)) and not right(11, (0, 0, 40, 39))
    assert right(11, (0, 0, 80, 80)) and not right(11, (0, 0, 82, 80))
    # Of two queries in an image each has its own; 2 shops show the first of them.
    judged = hits(
        table,
        (2, TOP, LEFT, 0.9, [(12, LEFT), (12, RIGHT), (13, WHOLE), (11, LEFT)]),
        (2, TOP, RIGHT, 0.9, [(12, LEFT), (12, RIGHT), (13, WHOLE), (11, LEFT)]),
    )
    assert judged.rows.tolist() == [-1, 0, 1]
    assert judged.hits[1:].tolist() == [[True, False, True, False], [False, True, False, False]]


def test_which_detection_stands_for_a_query():
    table, good = small_table(), [RIGHT_FOR_1]

    def row(*rows):
        return hits(table, *((*one, good) for one in rows)).rows[0]

    # The wrong class is no detection of it, however certain.
    assert row((1, SKIRT, LEFT, 0.9)) == -1
    assert row((1, SKIRT, LEFT, 0.9), (1, TOP, LEFT, 0.1)) == 1
    # The most certain of several, not the nearest.
    assert row((1, TOP, LEFT, 0.5), (1, TOP, (5, 0, 45, 70), 0.6), (1, TOP, LEFT, 0.4)) == 1
    # What covers the other item more is that one's, of the query's class or not.
    assert row((1, TOP, (30, 0, 90, 80), 0.9)) == -1
    # Another image's is not.
    assert row((2, TOP, LEFT, 0.9), (3, TOP, LEFT, 0.9), (11, TOP, LEFT, 0.9)) == -1
    # A poor box does, if it overlaps no other item more.
    assert row((1, TOP, (0, 70, 10, 80), 0.9)) == 0


NOWHERE = (92, 90, 99, 99)


def test_what_overlaps_no_item_stands_for_the_first():
    """As the largest of a row of zeros does in the benchmark's script; or for none."""
    table = small_table()
    # An unlabelled top of score .9, with a wrong item first, and the labelled one of .8.
    found = retrieved((1, TOP, NOWHERE, 0.9, WRONG[:1]), (1, TOP, LEFT, 0.8, [RIGHT_FOR_1]))
    judged = protocol.judge(table, found)
    assert judged.rows.tolist() == [0, -1, -1] and not judged.hits.any()
    judged = protocol.judge(table, found, must_overlap=True)
    assert judged.rows.tolist() == [1, -1, -1] and judged.hits[0, 0]
    # It has to have the first item's class, and stands for no other item.
    wrong = retrieved(
        (1, SKIRT, NOWHERE, 0.9, WRONG[:1]),
        (2, TOP, NOWHERE, 0.9, WRONG[:1]),
        (2, TOP, RIGHT, 0.1, WRONG[:1]),
    )
    assert protocol.judge(table, wrong).rows.tolist() == [-1, 1, 2]
    assert protocol.judge(table, wrong, must_overlap=True).rows.tolist() == [-1, -1, 2]


def test_images_without_items_may_be_unknown():
    """Ground truth files of the benchmark list no image of which nothing is wanted."""
    table = small_table()
    for unknown in 5, 99:
        found = retrieved((1, TOP, LEFT, 0.9, [(unknown, WHOLE), RIGHT_FOR_1]))
        with pytest.raises(ValueError, match=f'gallery_image_id {unknown} is of no image'):
            protocol.judge(table, found)
        judged = protocol.judge(table, found, all_images=False)
        assert judged.hits[0].tolist() == [False, True]


def test_a_missed_query_counts_and_a_lucky_detection_does_not():
    table = small_table()
    judged = hits(
        table,
        (1, SKIRT, LEFT, 0.9, [RIGHT_FOR_1] * 4),
        (2, TOP, LEFT, 0.3, [(12, LEFT)] * 4),
        (2, TOP, LEFT, 0.4, WRONG[:1] * 4),
    )
    assert judged.rows.tolist() == [-1, 2, -1]
    assert protocol.accuracies(table, judged)['overall'] == {
        f'top{k}': 0 for k in (1, 5, 10, 15, 20)
    }


def test_top_k_and_levels():
    """9 queries of one identity, with the right item first at 0, 4, 5, 9, 14, 19 and nowhere."""
    places = [0, 4, 5, 9, 14, 19, None, None, 0]
    levels = [
        (1, 1, 1, 1),
        (1, 2, 2, 2),
        (2, 2, 2, 2),
        (2, 2, 3, 3),
        (2, 1, 2, 2),
        (3, 1, 1, 1),
        (3, 1, 1, 1),
        (1, 1, 1, 1),
        (0, 0, 0, 0),
    ]
    users = [(n, USER, [hand_made.item(TOP, LEFT, 5, 1, one)]) for n, one in enumerate(levels, 1)]
    # Seven shop items of that identity; the last query is of another, with a single one.
    users[-1] = (9, USER, [hand_made.item(TOP, LEFT, 6, 1, (1, 1, 1, 1))])
    shops = [(n, SHOP, [hand_made.item(TOP, LEFT, 5, 1)]) for n in range(20, 27)]
    shops.append((30, SHOP, [hand_made.item(TOP, LEFT, 6, 1)]))
    table = hand_made.table(*users, *shops)
    rows = []
    for number, place in enumerate(places, 1):
        wrong, right = ((20, LEFT), (30, LEFT)) if number == 9 else ((30, LEFT), (20, LEFT))
        rows.append((number, TOP, LEFT, 0.5, [right if k == place else wrong for k in range(20)]))
    del rows[7]  # Query 8 is not detected.
    judged = protocol.judge(table, retrieved(*rows))
    got = protocol.accuracies(table, judged)
    assert got['overall'] == {
        'top1': pytest.approx(2 / 9),
        'top5': pytest.approx(3 / 9),
        'top10': pytest.approx(5 / 9),
        'top15': pytest.approx(6 / 9),
        'top20': pytest.approx(7 / 9),
    }
    assert (got['queries'], got['level_queries'], got['missed']) == (9, 8, 1)
    # With the ninth, which has one shop item and is found among 20.
    more = protocol.accuracies(table, judged, level_shop_items=1)
    assert (more['level_queries'], more['level_shop_items']) == (9, 1)
    assert more['levels']['scale: small'] == 3 / 4
    # Levels are of the 8 queries with over 5 shop items: 6 of them are found among 20.
    assert got['levels'] == {
        'scale: small': pytest.approx(2 / 3),
        'scale: moderate': 1,
        'scale: large': 0.5,
        'occlusion: slight': pytest.approx(3 / 5),
        'occlusion: medium': 1,
        'occlusion: heavy': None,
        'zoom-in: no': 0.5,
        'zoom-in: medium': 1,
        'zoom-in: large': 1,
        'viewpoint: no wear': 0.5,
        'viewpoint: frontal': 1,
        'viewpoint: side or back': 1,
        'overall': 0.75,
    }


def test_retrieval_from_embeddings():
    table = small_table()
    detections = [
        hand_made.found(1, (TOP, LEFT, 0.9, (0, 0)), truth=[(0, 1), (9, 9)]),
        hand_made.found(
            2, (TOP, RIGHT, 0.2, (5, 0)), (TOP, LEFT, 0.3, (8, 0)), truth=[(5, 1), (9, 1)]
        ),
        hand_made.found(3, truth=[(0, 0)]),
        hand_made.found(
            11, (TOP, LEFT, 0.9, (1, 0)), (TOP, RIGHT, 0.1, (0, 0)), truth=[(0, 0), (1, 0)]
        ),
        hand_made.found(12, (SKIRT, RIGHT, 0.9, (5, 1)), truth=[(4, 0), (9, 0)]),
        hand_made.found(13, (TOP, WHOLE, 0.9, (6, 0)), truth=[(6, 0)]),
    ]
    users = protocol.of_detections(table, detections, USER)
    assert users.image_ids.tolist() == [1, 2, 2] and users.classes.tolist() == [TOP] * 3
    gallery = protocol.of_detections(table, detections, SHOP, min_score=0.5)
    assert gallery.image_ids.tolist() == [11, 12, 13]
    found = protocol.retrieve(users, gallery, None, 2)
    assert found.gallery_image_ids.tolist() == [[11, 12], [12, 13], [13, 12]]
    np.testing.assert_array_equal(found.gallery_boxes[1], [RIGHT, WHOLE])
    np.testing.assert_allclose(found.similarities, [[-1, -26], [-1, -1], [-4, -10]])
    judged = protocol.judge(table, found)
    assert judged.rows.tolist() == [0, 2, 1]
    assert judged.hits.tolist() == [[True, False], [True, False], [True, False]]
    # If the first number speaks for a match and the second does not count, the farthest is first.
    far = protocol.retrieve(users, gallery, np.array([1, 0]), 1)
    assert far.gallery_image_ids.tolist() == [[13], [11], [11]]
    # The ground truth boxes: of 5 shop items the nearest.
    truth = protocol.retrieve(
        protocol.of_truth(table, detections, np.array([0, 2, 3])),
        protocol.of_truth(table, detections, np.arange(5, 10)),
        None,
        1,
    )
    assert truth.gallery_image_ids.tolist() == [[11], [12], [12]]
    np.testing.assert_array_equal(truth.boxes, [LEFT, LEFT, RIGHT])
    judged = protocol.judge(table, truth, np.array([0, 2, 3]), np.arange(3))
    assert judged.hits.tolist() == [[True], [True], [True]]


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def by_the_rules(table, found, must_overlap):
    """First right place of each query, or None: the benchmark's rules, one by one."""
    items = [
        [
            (tuple(table.boxes[i].tolist()), table.classes[i], table.pair_ids[i], table.styles[i])
            for i in table.items_of(row)
        ]
        for row in range(table.num_images)
    ]
    of_id = dict(zip(table.image_ids.tolist(), items, strict=True))
    shop_ids = table.image_ids[table.sources == SHOP].tolist()
    shops = {(pair, style) for image in shop_ids for _, _, pair, style in of_id[image]}
    places = []
    for image in table.image_ids[table.sources == USER].tolist():
        for query, (_, category, pair, style) in enumerate(of_id[image]):
            if style == 0 or (pair, style) not in shops:
                continue
            best, place = -1, None
            for n, (image_id, box, found_class, score) in enumerate(
                zip(found.image_ids, found.boxes.tolist(), found.classes, found.scores, strict=True)
            ):
                if image_id != image or found_class != category or score <= best:
                    continue
                overlaps = [iou(box, other) for other, _, _, _ in of_id[image]]
                if overlaps.index(max(overlaps)) == query and (
                    max(overlaps) > 0 or not must_overlap
                ):
                    best, place = (
                        score,
                        next(
                            (
                                k
                                for k, (other, shop_box) in enumerate(
                                    zip(
                                        found.gallery_image_ids[n].tolist(),
                                        found.gallery_boxes[n].tolist(),
                                        strict=True,
                                    )
                                )
                                if any(
                                    (p, s) == (pair, style) and iou(shop_box, b) >= 0.5
                                    for b, _, p, s in of_id[other]
                                )
                            ),
                            None,
                        ),
                    )
            places.append(place)
    return places


def test_against_the_rules_one_by_one():
    rng = np.random.default_rng(0)

    def random_box():
        x, y, width, height = rng.uniform(0, 40, 2).tolist() + rng.uniform(20, 60, 2).tolist()
        return tuple(np.float32([x, y, x + width, y + height]).tolist())

    images = []
    for image in rng.permutation(60).tolist():
        source = USER if image < 30 else SHOP
        images.append(
            (
                image + 1,
                source,
                [
                    hand_made.item(
                        int(rng.integers(1, 3)),
                        random_box(),
                        1 + image % 5,
                        int(rng.integers(0, 3)),
                    )
                    for _ in range(rng.integers(1, 4))
                ],
            )
        )
    table = hand_made.table(*images)

    def near(image_id):
        """A box by the side of one of the image's items."""
        row = int(np.flatnonzero(table.image_ids == image_id)[0])
        chosen = int(rng.choice(table.items_of(row)))
        box = table.boxes[chosen] + rng.normal(0, 4, 4)
        return tuple(box.tolist()), int(table.classes[chosen])

    rows = []
    for image_id in rng.permutation(np.repeat(np.arange(1, 31), 2)).tolist():
        box, category = near(image_id)
        if rng.uniform() < 0.2:
            box = (300, 300, 320, 320)  # Where nothing is.
        gallery = [(shop, near(shop)[0]) for shop in rng.integers(31, 61, 20).tolist()]
        rows.append(
            (
                image_id,
                category if rng.uniform() < 0.9 else 3 - category,
                box,
                float(rng.integers(1, 4)),
                gallery,
            )
        )
    found = retrieved(*rows)
    missed = []
    for must_overlap in False, True:
        judged = protocol.judge(table, found, must_overlap=must_overlap)
        got = [int(np.argmax(hits)) if hits.any() else None for hits in judged.hits]
        expected = by_the_rules(table, found, must_overlap)
        assert got == expected
        assert len(set(expected)) > 6
        missed.append(judged.missed)
    assert 3 < missed[0] < missed[1]


def test_bad_input_is_named():
    table = small_table()
    with pytest.raises(ValueError, match='gallery_image_id 99 is of no image of hand-made'):
        hits(table, (1, TOP, LEFT, 0.9, [(99, LEFT)]))
    with pytest.raises(ValueError, match='image 1 has 1 truth_embeddings and 2 items'):
        protocol.of_truth(
            table,
            [hand_made.found(n, truth=[(0, 0)]) for n in table.image_ids.tolist()],
            np.array([0]),
        )
    users = table.subset(np.flatnonzero(table.sources == USER))
    with pytest.raises(ValueError, match='hand-made has no image of a shop'):
        protocol.of_detections(users, [], SHOP)
