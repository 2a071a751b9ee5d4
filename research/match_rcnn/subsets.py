"""The subsets of the validation set in the columns of Tables 2 to 5 (Ge et al. 2019, Sec. 4)."""

from __future__ import annotations

import numpy as np

from official.data import detection_table
from research.match_rcnn.annotation_files import LEVELS

OVERALL = 'overall'
_CODES = {
    f'{name.replace("_", "-")}: {level}': (f'{name}s', code)
    for name, names in LEVELS.items()
    for code, level in enumerate(names, 1)
}
# 'scale: small', ..., 'viewpoint: side or back', and 'overall'.
COLUMNS: tuple[str, ...] = (*_CODES, OVERALL)


def of_items(table: detection_table.DetectionTable) -> dict[str, np.ndarray]:
    """Which items are in which subset: bool [I] for each of COLUMNS.

    Items whose level is unknown are in OVERALL alone.
    """
    return {name: getattr(table, column) == code for name, (column, code) in _CODES.items()} | {
        OVERALL: np.ones(table.num_items, bool)
    }
