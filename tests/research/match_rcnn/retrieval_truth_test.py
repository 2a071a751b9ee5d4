"""Tests of research.match_rcnn.retrieval_truth on rows of the benchmark's own files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from official.data.detection_table import SHOP, USER
from research.match_rcnn import retrieval_protocol, retrieval_truth
from tests.research.match_rcnn import genuine


def load(folder, queries=None, gallery=None):
    paths = []
    for name, rows in (
        ('query.json', queries or genuine.QUERIES),
        ('gallery.json', gallery or genuine.GALLERY),
    ):
        (folder / name).write_text(json.dumps(rows), 'utf8')
        paths.append(str(folder / name))
    return retrieval_truth.load(*paths)


def test_genuine_rows(tmp_path):
    table = load(tmp_path)
    assert table.image_ids.tolist() == [1, 2, 34, 48, 49, 3, 4, 36, 37, 56, 57]
    assert table.sources.tolist() == [USER] * 5 + [SHOP] * 6
    assert table.first.tolist() == [0, 2, 4, 5, 7, 8, 10, 12, 13, 14, 15, 16]
    assert table.classes[:8].tolist() == [13, 5, 13, 5, 1, 1, 10, 10]
    assert table.boxes[6].tolist() == [1, 22, 255, 623]
    assert table.sizes[3].tolist() == [623, 467]  # Of image 48, as large as its items.
    # All but the item of style 0, each with two shop items.
    items, counts = retrieval_protocol.queries(table)
    assert items.tolist() == [0, 1, 2, 3, 4, 6, 7] and counts.tolist() == [2] * 7


def test_the_first_item_of_an_image_is_the_files_first(tmp_path):
    """Which a detection that overlaps nothing stands for: of image 1 it is the dress, of 48 the
    top, which is no query."""
    table = load(tmp_path)
    nowhere = [600.0, 0, 610, 10]
    for image, category, item in ((1, 13, 0), (1, 5, None), (48, 1, None), (48, 10, None)):
        items, _ = retrieval_protocol.queries(table)
        rows = retrieval_protocol.select(
            table,
            items,
            np.array([image]),
            np.array([nowhere]),
            np.array([category]),
            np.array([0.5]),
        )
        assert [items[k] for k in np.flatnonzero(rows >= 0)] == ([] if item is None else [item])


@pytest.mark.parametrize(
    'change, message',
    [
        ({'bbox': [1, 2, 3]}, r'bbox \[1, 2, 3\] is not x1, y1, x2, y2'),
        ({'bbox': [1, 2, 1e9, 3]}, r'bbox .* is not x1'),
        ({'bbox': [9, 2, 1, 3]}, 'has no area'),
        ({'style': -1}, "style '-1' is not a whole number"),
        ({'cls': 14}, 'unknown category 14'),
        ({'pair_id': None}, "pair_id 'None' is not a whole"),
    ],
)
def test_entries_that_cannot_be_right(tmp_path, change, message):
    rows = [genuine.QUERIES[0], {**genuine.QUERIES[1], **change}]
    with pytest.raises(ValueError, match=f'query.json.*{message}'):
        load(tmp_path, rows)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match='entry 1 has no cls') as error:
        load(
            tmp_path,
            [
                genuine.QUERIES[0],
                {name: value for name, value in genuine.QUERIES[1].items() if name != 'cls'},
                7,
            ],
        )
    assert 'entry 2 has no query_image_id, pair_id, style, bbox, cls' in str(error.value)
    with pytest.raises(ValueError, match='image id 1 is that of'):
        load(tmp_path, gallery=[{**genuine.GALLERY[0], 'gallery_image_id': 1}])
    with pytest.raises(FileNotFoundError, match='nowhere: there is no such file'):
        retrieval_truth.load('nowhere', str(tmp_path / 'gallery.json'))
    (tmp_path / 'gallery.json').write_text('{}', 'utf8')
    with pytest.raises(ValueError, match='gallery.json holds no list'):
        retrieval_truth.load(str(tmp_path / 'query.json'), str(tmp_path / 'gallery.json'))
