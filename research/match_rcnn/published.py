"""The figures that Ge et al. 2019 print, and those published with the data set.

Columns are `subsets.COLUMNS`: three levels each of scale, occlusion, zoom-in and viewpoint, and
overall.
"""

from __future__ import annotations

from research.match_rcnn import subsets

METRICS = ('AP', 'AP50', 'AP75')
FEATURES = ('class', 'pose', 'mask', 'pose+class', 'mask+class')
TOP = ('top1', 'top10', 'top20')  # Table 5's overall columns.


def _table(*rows: tuple[float, ...]) -> dict[str, dict[str, float]]:
    return {
        metric: dict(zip(subsets.COLUMNS, row, strict=True))
        for metric, row in zip(METRICS, rows, strict=True)
    }


# Table 2, of Mask R-CNN.
BOX = _table(
    (0.604, 0.700, 0.660, 0.712, 0.654, 0.372, 0.695, 0.629, 0.466, 0.624, 0.681, 0.641, 0.667),
    (0.780, 0.851, 0.768, 0.844, 0.810, 0.531, 0.848, 0.755, 0.563, 0.713, 0.832, 0.796, 0.814),
    (0.717, 0.809, 0.744, 0.812, 0.768, 0.433, 0.806, 0.718, 0.525, 0.688, 0.791, 0.744, 0.773),
)

# Table 3, of Mask R-CNN: on visible landmarks only, and on visible and occluded ones.
LANDMARKS_VISIBLE = _table(
    (0.587, 0.687, 0.599, 0.669, 0.631, 0.398, 0.688, 0.559, 0.375, 0.527, 0.677, 0.536, 0.641),
    (0.780, 0.854, 0.782, 0.851, 0.813, 0.534, 0.855, 0.757, 0.571, 0.724, 0.846, 0.748, 0.820),
    (0.671, 0.779, 0.678, 0.760, 0.718, 0.440, 0.786, 0.633, 0.390, 0.571, 0.771, 0.610, 0.728),
)
LANDMARKS = _table(
    (0.497, 0.607, 0.555, 0.643, 0.530, 0.248, 0.616, 0.489, 0.319, 0.510, 0.596, 0.456, 0.563),
    (0.764, 0.839, 0.774, 0.847, 0.799, 0.479, 0.848, 0.744, 0.549, 0.716, 0.832, 0.727, 0.805),
    (0.551, 0.703, 0.625, 0.739, 0.600, 0.236, 0.714, 0.537, 0.307, 0.550, 0.684, 0.506, 0.641),
)

# Table 4, of Mask R-CNN.
MASK = _table(
    (0.634, 0.700, 0.669, 0.720, 0.674, 0.389, 0.703, 0.627, 0.526, 0.695, 0.697, 0.617, 0.680),
    (0.831, 0.900, 0.844, 0.900, 0.878, 0.559, 0.899, 0.815, 0.663, 0.829, 0.886, 0.843, 0.873),
    (0.765, 0.838, 0.786, 0.850, 0.813, 0.463, 0.842, 0.740, 0.613, 0.792, 0.834, 0.732, 0.812),
)


def _features(*rows: tuple[tuple[float, ...], tuple[float, ...]]) -> dict:
    columns = (*subsets.COLUMNS[:-1], *TOP)
    return {
        features: {
            boxes: dict(zip(columns, row, strict=True))
            for boxes, row in zip(('truth', 'detected'), pair, strict=True)
        }
        for features, pair in zip(FEATURES, rows, strict=True)
    }


# Table 5: top-20 accuracy of queries with over 5 shop items, by level; and of all queries top-1,
# top-10 and top-20. With ground truth boxes, and with detected ones. The overall columns are all
# that is printed of Figure 6(d), a picture.
RETRIEVAL = _features(
    (
        (
            0.513,
            0.619,
            0.547,
            0.580,
            0.556,
            0.503,
            0.608,
            0.557,
            0.441,
            0.555,
            0.580,
            0.533,
            0.122,
            0.363,
            0.464,
        ),
        (
            0.445,
            0.558,
            0.515,
            0.542,
            0.514,
            0.361,
            0.557,
            0.514,
            0.409,
            0.508,
            0.529,
            0.519,
            0.104,
            0.321,
            0.417,
        ),
    ),
    (
        (
            0.695,
            0.775,
            0.729,
            0.752,
            0.729,
            0.698,
            0.769,
            0.742,
            0.618,
            0.725,
            0.755,
            0.705,
            0.255,
            0.555,
            0.647,
        ),
        (
            0.619,
            0.695,
            0.688,
            0.704,
            0.668,
            0.559,
            0.700,
            0.693,
            0.572,
            0.682,
            0.690,
            0.654,
            0.234,
            0.495,
            0.589,
        ),
    ),
    (
        (
            0.641,
            0.705,
            0.663,
            0.688,
            0.656,
            0.645,
            0.708,
            0.670,
            0.556,
            0.650,
            0.690,
            0.653,
            0.187,
            0.471,
            0.573,
        ),
        (
            0.584,
            0.656,
            0.632,
            0.657,
            0.619,
            0.512,
            0.663,
            0.630,
            0.541,
            0.628,
            0.645,
            0.602,
            0.175,
            0.421,
            0.529,
        ),
    ),
    (
        (
            0.752,
            0.786,
            0.733,
            0.754,
            0.750,
            0.728,
            0.789,
            0.750,
            0.620,
            0.726,
            0.771,
            0.719,
            0.268,
            0.574,
            0.665,
        ),
        (
            0.691,
            0.730,
            0.705,
            0.725,
            0.706,
            0.605,
            0.746,
            0.709,
            0.582,
            0.699,
            0.723,
            0.684,
            0.244,
            0.522,
            0.617,
        ),
    ),
    (
        (
            0.679,
            0.738,
            0.685,
            0.711,
            0.695,
            0.651,
            0.742,
            0.699,
            0.569,
            0.677,
            0.719,
            0.678,
            0.214,
            0.510,
            0.607,
        ),
        (
            0.623,
            0.696,
            0.661,
            0.685,
            0.659,
            0.568,
            0.708,
            0.667,
            0.566,
            0.659,
            0.676,
            0.657,
            0.200,
            0.463,
            0.564,
        ),
    ),
)

# With the release of the data set, which is smaller than the paper's: overall (Tables 2, 4 and 6 of
# its README).
RELEASE = {
    'box': {'AP': 0.638, 'AP50': 0.789, 'AP75': 0.745},
    'landmarks_visible': {'AP': 0.605, 'AP50': 0.790, 'AP75': 0.684},
    'landmarks': {'AP': 0.529, 'AP50': 0.775, 'AP75': 0.596},
    'mask': {'AP': 0.640, 'AP50': 0.797, 'AP75': 0.754},
}

# Table 8 of that README: top-k accuracy of all queries with detected boxes.
RELEASE_TOP = ('top1', 'top5', 'top10', 'top15', 'top20')
RELEASE_RETRIEVAL = {
    features: dict(zip(RELEASE_TOP, row, strict=True))
    for features, row in zip(
        FEATURES,
        (
            (0.079, 0.198, 0.273, 0.329, 0.366),
            (0.182, 0.326, 0.416, 0.469, 0.510),
            (0.135, 0.271, 0.350, 0.407, 0.447),
            (0.192, 0.345, 0.435, 0.488, 0.524),
            (0.152, 0.295, 0.379, 0.435, 0.477),
        ),
        strict=True,
    )
}


def reference(table: str) -> dict[str, str | float]:
    """The overall figures of a table under the names of a result, for `reference`.

    Args:
      table: 'detection' (Tables 2 and 4), 'landmarks' (Table 3), or one of FEATURES (Table 5).

    Returns:
      {'cell': where they are printed, 'validation_<metric>': value, ...}.

    Raises:
      ValueError: if there is no such table.
    """
    if table in RETRIEVAL:
        figures = RETRIEVAL[table]
        return {
            'cell': 'Table 5, all queries',
            **{
                f'validation_retrieval_{boxes}_{k}': figures[boxes][k]
                for boxes in ('detected', 'truth')
                for k in reversed(TOP)
            },
        }
    if table == 'detection':
        return {'cell': 'Tables 2 and 4, overall', **_overall(box=BOX, mask=MASK)}
    if table == 'landmarks':
        parts = _overall(landmarks_visible=LANDMARKS_VISIBLE, landmarks=LANDMARKS)
        return {'cell': 'Table 3, overall', **parts}
    names = ', '.join(('detection', 'landmarks', *FEATURES))
    raise ValueError(f'published.reference.table = {table!r} must be one of {names}.')


def _overall(**tables: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f'validation_{part}_{metric.lower()}': row['overall']
        for part, table in tables.items()
        for metric, row in table.items()
    }
