"""The published figures, against numbers read off the paper's pages and against its text."""

import pytest

from research.match_rcnn import published, subsets
from research.match_rcnn.annotation_files import LEVELS
from tests.research.match_rcnn import paper_tables

TABLES = {
    'box': published.BOX,
    'visible': published.LANDMARKS_VISIBLE,
    'all': published.LANDMARKS,
    'mask': published.MASK,
}
BEST = ('scale: moderate', 'occlusion: slight', 'zoom-in: no', 'viewpoint: frontal')


def test_literals():
    """Corners of the tables, and what the text repeats."""
    assert published.BOX['AP']['overall'] == 0.667
    assert published.BOX['AP50']['viewpoint: no wear'] == 0.713
    assert published.BOX['AP75']['occlusion: heavy'] == 0.433
    assert published.LANDMARKS['AP']['overall'] == 0.563  # Sec. 4.2.
    assert published.LANDMARKS_VISIBLE['AP75']['zoom-in: large'] == 0.390
    assert published.MASK['AP50']['scale: small'] == 0.831
    assert published.MASK['AP']['viewpoint: side or back'] == 0.617
    best = published.RETRIEVAL['pose+class']['truth']
    assert best['top20'] == 0.665 < 0.7  # Sec. 4.4.
    assert published.RETRIEVAL['mask']['detected']['zoom-in: large'] == 0.541
    assert published.RELEASE['landmarks']['AP75'] == 0.596
    assert published.RELEASE_RETRIEVAL['pose']['top20'] == 0.510


def rows():
    for name, table in TABLES.items():
        yield from ((f'{name} {metric}', row) for metric, row in table.items())
    for features, of_boxes in published.RETRIEVAL.items():
        yield from ((f'{features} {boxes}', row) for boxes, row in of_boxes.items())


@pytest.mark.parametrize('name, row', rows())
def test_what_is_bold_is_the_best_of_each_property(name, row):
    """The columns are in the right places: moderate, slight, no zoom, frontal are all bold."""
    del name
    for group, best in zip(LEVELS, BEST, strict=True):
        of_group = {
            column: value
            for column, value in row.items()
            if column.startswith(group.replace('_', '-'))
        }
        assert len(of_group) == 3 and max(of_group, key=of_group.get) == best


def test_harder_settings_have_lower_figures():
    for column in subsets.COLUMNS:
        for table in TABLES.values():
            assert max(table['AP'][column], table['AP75'][column]) < table['AP50'][column]
        for metric in published.METRICS:
            assert published.LANDMARKS[metric][column] < published.LANDMARKS_VISIBLE[metric][column]
    for of_boxes in published.RETRIEVAL.values():
        for column, truth in of_boxes['truth'].items():
            assert of_boxes['detected'][column] < truth
        for row in of_boxes.values():
            assert row['top1'] < row['top10'] < row['top20']


def test_overall_retrieval_is_of_more_queries_than_the_levels():
    """If they were the same, it would lie between the levels of scale, which every item has."""
    for of_boxes in published.RETRIEVAL.values():
        for row in of_boxes.values():
            assert row['top20'] < min(row[column] for column in subsets.COLUMNS[:3])


def test_every_number_of_the_paper_is_here_in_its_order():
    two, three, four, five = (
        paper_tables.rows(table)
        for table in (
            paper_tables.TABLE_2,
            paper_tables.TABLE_3,
            paper_tables.TABLE_4,
            paper_tables.TABLE_5,
        )
    )
    assert list(two) == list(three) == list(four) == list(published.METRICS)
    for metric in published.METRICS:
        assert two[metric] == list(published.BOX[metric].values())
        assert four[metric] == list(published.MASK[metric].values())
        # Two numbers a cell.
        assert three[metric][::2] == list(published.LANDMARKS_VISIBLE[metric].values())
        assert three[metric][1::2] == list(published.LANDMARKS[metric].values())
    assert five == {
        f'{features}, {boxes}': list(row.values())
        for features, of_boxes in published.RETRIEVAL.items()
        for boxes, row in of_boxes.items()
    }
    assert [{len(row) for row in table.values()} for table in (two, five)] == [{13}, {15}]


def test_the_release():
    """With detected boxes: below the paper's of the same, which has more training images."""
    assert paper_tables.rows(paper_tables.RELEASE) == {
        features: list(row.values()) for features, row in published.RELEASE_RETRIEVAL.items()
    }
    for features, row in published.RELEASE_RETRIEVAL.items():
        assert list(row) == ['top1', 'top5', 'top10', 'top15', 'top20']
        for k in published.TOP:
            assert row[k] < published.RETRIEVAL[features]['detected'][k]


def test_a_table_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"table = 'pose\+mask' must be one of detection, landmar"):
        published.reference('pose+mask')
