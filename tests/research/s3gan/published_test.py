"""The published figures, against the tables as printed and numbers read off the paper's pages."""

import re

import pytest

from research.s3gan import published
from tests.research.s3gan import printed

# Read off the paper's page.
SUMS_OF_TABLES = {2: (120.7, 109.0), 4: (157.1, 668.8), 5: (66.8, 360.6)}


def test_figures_that_the_text_repeats():
    """Secs. 5 and 5.1 to 5.4 name some of them."""
    assert published.MEDIANS['biggan'] == (8.4, 75.0)
    assert published.MEDIANS['s2gan_co_20'] == (13.9, 49.2)
    assert published.MEDIANS['s3gan_2_5'] == (13.6, 46.3)
    assert published.MEDIANS['s3gan_10'].fid < 8.4 < 8.5
    assert [round(100 - published.ERRORS[f'features_{k}'][0]) for k in (5, 10, 20)] == [50, 63, 71]


@pytest.mark.parametrize('number', SUMS_OF_TABLES)
def test_columns_sum_to_what_the_printed_ones_do(number):
    (table,) = (table for table in published.TABLES if table.number == number)
    scores = [published.MEDIANS[method] for _, row in table.rows for method in table.methods(row)]
    assert tuple(map(sum, zip(*scores, strict=True))) == pytest.approx(SUMS_OF_TABLES[number])


def test_means_are_near_the_medians_but_where_a_run_collapsed():
    for method, (fid, score) in published.MEANS.items():
        if method != 'single_label':
            median = published.MEDIANS[method]
            assert abs(fid.mean - median.fid) <= max(fid.std, 0.3), method
            assert abs(score.mean - median.inception_score) <= max(score.std, 0.3), method
    assert published.MEANS['single_label'][0].mean > 2 * published.MEDIANS['single_label'].fid


@pytest.mark.parametrize('table', published.TABLES, ids=lambda table: str(table.number))
def test_every_cell_is_the_papers(table):
    lines = {
        heading: [
            [float(value) for value in cell.split('\N{PLUS-MINUS SIGN}')] for cell in cells.split()
        ]
        for heading, cells in printed.PRINTED[table.number].items()
    }
    assert list(lines) == [re.sub(r'\s', '', heading) for heading, _ in table.rows]
    for heading, row in table.rows:
        of = published.MEANS if table.means else published.MEDIANS
        cells = [of[method] for method in table.methods(row)]
        expected = [cell[score] for score in range(2) for cell in cells]
        assert lines[re.sub(r'\s', '', heading)] == [
            list(value) if table.means else [value] for value in expected
        ], heading


def test_every_error_is_the_papers():
    assert list(published.ERRORS) == ['features_5', 'features_10', 'features_20']
    assert tuple(zip(*published.ERRORS.values(), strict=True)) == (printed.TOP_1, printed.TOP_5)


def test_no_table_is_left_out():
    """98 cells: 10, 6, 24 and 12 of Tables 2 to 5, and 24, 12 and 10 of Tables 12 to 14."""
    assert {table.number for table in published.TABLES} == set(printed.PRINTED)
    cells = [len(cells.split()) for rows in printed.PRINTED.values() for cells in rows.values()]
    assert sum(cells) + len(printed.TOP_1) + len(printed.TOP_5) == 98


@pytest.mark.parametrize(
    'method, heading',
    [
        ('s3gan_10', 'S3GAN 10 %'),
        ('s3gan_co_2_5', 'S3GAN-CO 2.5 %'),
        ('biggan', 'BigGAN'),
        ('biggan_2_5', 'BigGAN-2.5%'),
        ('clustering_50', 'CLUSTERING'),
        ('clustering_50_ss', 'CLUSTERING (SS)'),
        ('clustering_500_ss', 'CLUSTERING, 500 clusters (SS)'),
        ('single_label_ss', 'SINGLE LABEL (SS)'),
        ('s2gan_soft_20', 'S2GAN SOFT 20 %'),
        ('features_10', 'features, 10 %'),
    ],
)
def test_names_of_gin_files(method, heading):
    assert published.heading(method) == heading


@pytest.mark.parametrize(
    'method, cell',
    [
        ('biggan', 'Sec. 5, BigGAN'),
        ('s3gan_2_5', 'Sec. 5.4, S3GAN 2.5 %'),
        ('s2gan_10', 'Table 4, S2GAN 10 %'),
        ('s2gan_soft_5', 'Table 5, S2GAN SOFT 5 %'),
        ('clustering_50_ss', 'Table 2, CLUSTERING (SS)'),
    ],
)
def test_reference_names_the_cell(method, cell):
    fid, score = published.MEDIANS[method]
    assert published.reference(method) == {
        'cell': cell, 'test_fid': fid, 'test_inception_score': score,
    }  # fmt: skip


def test_reference_of_the_feature_extractors():
    assert published.reference('features_10') == {
        'cell': 'Table 3, 10 % labels',
        'test_error_percent': 36.74,
        'test_top5_error_percent': 16.04,
    }
    with pytest.raises(ValueError, match="method = 'biggan_5': nothing is printed for it"):
        published.reference('biggan_5')


def test_every_published_method_has_a_heading_of_its_own():
    methods = {*published.MEDIANS, *published.MEANS, *published.ERRORS, *published.COLLAPSED}
    assert len({published.heading(method) for method in methods}) == len(methods)
    for table in published.TABLES:
        for _, row in table.rows:
            for method in table.methods(row):
                assert method in (published.MEANS if table.means else published.MEDIANS)


def test_names_that_are_none():
    with pytest.raises(ValueError, match="'gan' is not the name of a method"):
        published.heading('gan')
