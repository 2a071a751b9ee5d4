"""The figures that Lucic et al. 2019 print, by method, and their tables as printed.

A method is named as gin files are: `gin_configs/s3gan/<data set>/<method>.gin`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import NamedTuple

CLUSTERS = 50  # CLUSTERING in the tables; "all other options led to worse results" (Sec. 5.1).


class Scores(NamedTuple):
    """FID and Inception Score."""

    fid: float
    inception_score: float


class Spread(NamedTuple):
    """Mean and standard deviation of three runs."""

    mean: float
    std: float


# Tables 2, 4 and 5, and of BigGAN Sec. 5. Sec. 5.4, on 2.5 %, does not say that it is a median.
MEDIANS = {
    'biggan': Scores(8.4, 75.0),
    'random_label': Scores(26.5, 20.2),
    'single_label': Scores(25.3, 20.4),
    'single_label_ss': Scores(23.7, 22.2),
    'clustering_50': Scores(23.2, 22.7),
    'clustering_50_ss': Scores(22.0, 23.5),
    's2gan_5': Scores(10.8, 57.6),
    's2gan_10': Scores(8.9, 73.4),
    's2gan_20': Scores(8.4, 77.4),
    's2gan_co_5': Scores(21.8, 30.0),
    's2gan_co_10': Scores(17.7, 37.2),
    's2gan_co_20': Scores(13.9, 49.2),
    's3gan_2_5': Scores(13.6, 46.3),
    's3gan_5': Scores(10.4, 59.6),
    's3gan_10': Scores(8.0, 78.7),
    's3gan_20': Scores(7.7, 83.1),
    's3gan_co_5': Scores(20.2, 31.0),
    's3gan_co_10': Scores(16.6, 38.5),
    's3gan_co_20': Scores(12.7, 53.1),
    's2gan_soft_5': Scores(15.4, 40.3),
    's2gan_soft_10': Scores(12.9, 49.8),
    's2gan_soft_20': Scores(10.4, 62.1),
}

_SECTIONS = {'biggan': 'Sec. 5', 's3gan_2_5': 'Sec. 5.4'}

# Tables 12 to 14: FID and Inception Score.
MEANS = {
    's2gan_5': (Spread(11.0, 0.31), Spread(57.6, 0.86)),
    's2gan_10': (Spread(9.0, 0.30), Spread(72.9, 1.41)),
    's2gan_20': (Spread(8.4, 0.02), Spread(77.7, 1.24)),
    's2gan_co_5': (Spread(21.6, 0.64), Spread(29.8, 0.21)),
    's2gan_co_10': (Spread(17.6, 0.27), Spread(37.1, 0.54)),
    's2gan_co_20': (Spread(13.8, 0.48), Spread(50.1, 1.45)),
    's3gan_5': (Spread(10.3, 0.16), Spread(59.9, 0.74)),
    's3gan_10': (Spread(8.1, 0.14), Spread(78.3, 1.08)),
    's3gan_20': (Spread(7.8, 0.20), Spread(82.1, 1.89)),
    's3gan_co_5': (Spread(20.2, 0.14), Spread(31.1, 0.18)),
    's3gan_co_10': (Spread(16.5, 0.12), Spread(38.7, 0.36)),
    's3gan_co_20': (Spread(12.8, 0.51), Spread(52.7, 1.08)),
    's2gan_soft_5': (Spread(15.6, 0.58), Spread(40.1, 0.97)),
    's2gan_soft_10': (Spread(13.3, 1.71), Spread(49.3, 4.67)),
    's2gan_soft_20': (Spread(11.3, 1.42), Spread(58.5, 5.84)),
    'clustering_50': (Spread(22.7, 0.80), Spread(22.8, 0.42)),
    'clustering_50_ss': (Spread(21.9, 0.08), Spread(23.6, 0.19)),
    'random_label': (Spread(27.2, 1.46), Spread(20.2, 0.33)),
    'single_label': (Spread(71.7, 66.32), Spread(15.4, 7.57)),
    'single_label_ss': (Spread(23.6, 0.14), Spread(22.2, 0.10)),
}

# Table 3: top-1 and top-5 error of the feature extractors' classifiers, in per cent.
ERRORS = {
    'features_5': (50.08, 26.94),
    'features_10': (36.74, 16.04),
    'features_20': (29.21, 10.33),
}

# Sec. 5.2, in place of figures: all three seeds of each.
COLLAPSED = dict.fromkeys(('biggan_10', 'biggan_20'), 'collapses after 60k to 120k steps')


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of FID and Inception Score.

    Attributes:
      number: the paper's.
      title: what it is about.
      rows: as printed: the heading and the method, which of semi-supervised methods lacks `_<k>`.
      percents: of labels, one column each; empty: one column for all.
      means: whether it has means and standard deviations, not medians.
    """

    number: int
    title: str
    rows: tuple[tuple[str, str], ...]
    percents: tuple[str, ...] = ()
    means: bool = False

    def methods(self, row: str) -> list[str]:
        """The method of each column, of FID as of Inception Score."""
        return [f'{row}_{percent}' for percent in self.percents] or [row]


_PERCENTS = ('5', '10', '20')
_CO_AND_SS = (
    ('S2GAN', 's2gan'),
    ('S2GAN-CO', 's2gan_co'),
    ('S3GAN', 's3gan'),
    ('S3GAN-CO', 's3gan_co'),
)
TABLES = (
    Table(
        2,
        'unsupervised approaches',
        (
            ('RANDOM LABEL', 'random_label'),
            ('SINGLE LABEL', 'single_label'),
            ('SINGLE LABEL (SS)', 'single_label_ss'),
            ('CLUSTERING', 'clustering_50'),
            ('CLUSTERING (SS)', 'clustering_50_ss'),
        ),
    ),
    Table(4, 'pre-trained and co-training approaches, self-supervision', _CO_AND_SS, _PERCENTS),
    Table(
        5,
        'hard and soft predicted labels',
        (('S2GAN', 's2gan'), ('+SOFT', 's2gan_soft')),
        _PERCENTS,
    ),
    Table(
        12,
        'pre-trained and co-training approaches, self-supervision',
        _CO_AND_SS,
        _PERCENTS,
        means=True,
    ),
    Table(
        13,
        'hard and soft predicted labels',
        (('S2GAN', 's2gan'), ('S2GAN SOFT', 's2gan_soft')),
        _PERCENTS,
        means=True,
    ),
    Table(
        14,
        'unsupervised approaches',
        (
            ('CLUSTERING', 'clustering_50'),
            ('CLUSTERING(SS)', 'clustering_50_ss'),
            ('RANDOM LABEL', 'random_label'),
            ('SINGLE LABEL', 'single_label'),
            ('SINGLE LABEL(SS)', 'single_label_ss'),
        ),
        means=True,
    ),
)

_PERCENT = r'_(\d+(?:_\d+)?)'
_METHODS = (
    ('biggan', 'BigGAN'),
    (f'biggan{_PERCENT}', 'BigGAN-{}%'),
    ('random_label', 'RANDOM LABEL'),
    ('single_label', 'SINGLE LABEL'),
    (f'clustering_{CLUSTERS}', 'CLUSTERING'),
    (r'clustering_(\d+)', 'CLUSTERING, {} clusters'),
    (f's2gan{_PERCENT}', 'S2GAN {} %'),
    (f's2gan_co{_PERCENT}', 'S2GAN-CO {} %'),
    (f's2gan_soft{_PERCENT}', 'S2GAN SOFT {} %'),
    (f's3gan{_PERCENT}', 'S3GAN {} %'),
    (f's3gan_co{_PERCENT}', 'S3GAN-CO {} %'),
    (f's3gan_soft{_PERCENT}', 'S3GAN SOFT {} %'),
    ('features_rotation', 'features, rotation'),
    (f'features{_PERCENT}', 'features, {} %'),
)


def heading(method: str) -> str:
    """What the paper calls a method: 'S3GAN-CO 10 %' for s3gan_co_10.

    Raises:
      ValueError: if it is no method's name.
    """
    for pattern, text in _METHODS:
        match = re.fullmatch(f'{pattern}(?P<ss>_ss)?', method)
        if match:
            # '2_5' is 2.5.
            values = [value.replace('_', '.') for value in match.groups()[:-1]]
            return text.format(*values) + (' (SS)' if match['ss'] else '')
    raise ValueError(f'{method!r} is not the name of a method, such as s3gan_10.')


def reference(method: str) -> dict[str, str | float]:
    """The figures that are printed for a method on ImageNet at 128 pixels, for `reference`.

    Args:
      method: name of a method in MEDIANS or ERRORS.

    Returns:
      {'cell': where they are printed, '<metric>': value, ...}.

    Raises:
      ValueError: if nothing is printed for `method`.
    """
    if method in ERRORS:
        top1, top5 = ERRORS[method]
        percent = method.removeprefix('features_')
        return {
            'cell': f'Table 3, {percent} % labels',
            'test_error_percent': top1,
            'test_top5_error_percent': top5,
        }
    if method not in MEDIANS:
        raise ValueError(f'published.reference.method = {method!r}: nothing is printed for it.')
    numbers = [
        table.number
        for table in TABLES
        if not table.means and any(method in table.methods(row) for _, row in table.rows)
    ]
    # BigGAN and S3GAN with 2.5 % of the labels stand in the text.
    place = f'Table {numbers[0]}' if numbers else _SECTIONS[method]
    fid, inception_score = MEDIANS[method]
    return {
        'cell': f'{place}, {heading(method)}',
        'test_fid': fid,
        'test_inception_score': inception_score,
    }
