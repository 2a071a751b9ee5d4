import base64
import re

import pytest

from research.match_rcnn import subsets, tables


def precision(start):
    """AP of the columns .start01, .start02, ..., AP50 .1 above, AP75 unknown."""
    values = [start + number / 100 for number in range(13)]
    return {
        column: {'AP': value, 'AP50': value + 0.1, 'AP75': None, 'AR': 0, 'per_class': {}}
        for column, value in zip(subsets.COLUMNS, values, strict=True)
    }


def retrieval(start):
    return {
        'overall': {f'top{k}': start + k / 100 for k in (1, 5, 10, 15, 20)},
        'levels': {column: start + number / 100 for number, column in enumerate(subsets.COLUMNS)},
        'queries': 70,
        'level_queries': 40,
        'level_shop_items': 6,
        'missed': 3,
    }


METRICS = {
    'box': precision(0.2),
    'landmarks_visible': precision(0.3),
    'landmarks': precision(0.4),
    'retrieval_truth': retrieval(0.3),
    'retrieval_detected': retrieval(0.2),
}


def test_the_papers_figures_are_below_the_measured_ones():
    box, landmarks = tables.precision_tables(METRICS)  # No masks were measured.
    assert (box.title, landmarks.title) == (
        'Clothes detection (Table 2)',
        'Landmark estimation (Table 3)',
    )
    assert box.header == ('', *subsets.COLUMNS)
    assert [row[0] for row in box.rows] == [
        'AP box',
        'paper',
        'with the data set',
        'AP50 box',
        'paper',
        'with the data set',
        'AP75 box',
        'paper',
        'with the data set',
    ]
    assert box.rows[0][1:] == pytest.approx([0.2 + n / 100 for n in range(13)])
    assert box.rows[1][1:4] == (0.604, 0.700, 0.660) and box.rows[1][-1] == 0.667
    assert box.rows[2][1:] == (None,) * 12 + (0.638,)
    assert box.rows[3][13] == pytest.approx(0.42) and box.rows[6][1:] == (None,) * 13
    assert [row[0] for row in landmarks.rows[:6:3]] == [
        'AP pt, visible',
        'AP pt, visible and occluded',
    ]
    assert [row[1] for row in landmarks.rows[:6]] == [0.3, 0.587, None, 0.4, 0.497, None]
    assert [row[-1] for row in landmarks.rows[-6:]] == [None, 0.728, 0.684, None, 0.641, 0.596]
    assert tables.precision_tables({}) == []


def test_retrieval_as_table_5():
    table = tables.retrieval_table(
        {'pose+class': METRICS, 'raw pixels': {'retrieval_detected': retrieval(0.1)}}
    )
    assert table.header[-4:] == ('viewpoint: side or back', 'top-1', 'top-10', 'top-20')
    assert [row[0] for row in table.rows] == [
        'pose+class, ground truth box',
        'paper',
        'pose+class, detected box',
        'paper',
        'raw pixels, detected box',
    ]
    assert table.rows[0][1:] == pytest.approx([0.3 + n / 100 for n in (*range(12), 1, 10, 20)])
    assert table.rows[1][1] == 0.752 and table.rows[1][-3:] == (0.268, 0.574, 0.665)
    assert table.rows[3][1] == 0.691 and table.rows[3][-1] == 0.617
    assert table.rows[4][-1] == pytest.approx(0.3)
    assert all(len(row) == len(table.header) == 16 for row in table.rows)
    assert 'the 40 queries with at least 6 shop items' in table.note
    assert 'of all 70 queries' in table.note
    assert table.note.endswith(
        'Published with the data set, detected boxes, top-1, 5, 10, 15, 20: '
        'pose+class 0.192, 0.345, 0.435, 0.488, 0.524.'
    )
    other = tables.retrieval_table({'raw pixels': {'retrieval_detected': retrieval(0.1)}})
    assert 'Published' not in other.note
    assert tables.retrieval_table({'class': {'box': precision(0)}}) is None


def test_text():
    table = tables.Table(
        'A table', ('', 'one', 'longer'), (('first', 0.5, None), ('paper', 0.12345, 1)), 'A note.'
    )
    assert table.text() == (
        'A table\n         one  longer\nfirst  0.500\npaper  0.123   1.000\nA note.'
    )


def test_html():
    text = tables.html([tables.Table('A < B', ('', 'x'), (('row', 0.5), ('paper', None)), 'a & b')])
    assert '<h3>A &lt; B</h3>' in text and '0.500' in text and 'a &amp; b' in text
    assert re.findall('<th[^>]*>([a-z]*)</th>', text) == ['', 'x', 'row', 'paper']


def test_curve():
    text = tables.accuracy_curve(METRICS)
    assert (
        'alt="Top-k accuracy at k = 1, 5, 10, 15, 20: ground truth box 0.310, 0.350, 0.400, '
        '0.450, 0.500; detected box 0.210, 0.250, 0.300, 0.350, 0.400"'
    ) in text
    drawn = drawn_groups(text)
    # A point is drawn for each k, and a cross for each published figure.
    assert {name: group.count('<use') for name, group in drawn.items()} == {
        'curve-truth': 5,
        'curve-detected': 5,
        'paper-truth': 3,
        'paper-detected': 3,
    }
    alone = tables.accuracy_curve({'retrieval_detected': retrieval(0.2)}, 'other')
    assert list(drawn_groups(alone)) == ['curve-detected']


def drawn_groups(text):
    """Ids and contents of the curves in an SVG in a data: URI."""
    svg = base64.b64decode(re.search('base64,([^"]*)"', text)[1]).decode()
    groups = (
        re.match('((?:curve|paper)-[a-z]*)"(.*)', one, re.DOTALL) for one in svg.split('<g id="')
    )
    return {match[1]: match[2] for match in groups if match}
