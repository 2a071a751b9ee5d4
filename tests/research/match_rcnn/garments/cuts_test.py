"""Categories differ in their cut, whatever is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from research.match_rcnn.garments import body, cuts


@pytest.mark.parametrize('category_id', range(1, 14))
def test_measures_are_the_categorys(category_id):
    rng = np.random.default_rng(category_id)
    samples = [cuts.sample(category_id, rng) for _ in range(200)]
    assert len(set(samples)) == 200
    for cut in samples:
        assert cut.category_id == category_id
        if category_id in cuts.SHORT_SLEEVED:
            assert 0.2 < cut.sleeve < 0.5
        elif category_id in cuts.LONG_SLEEVED:
            assert 0.8 < cut.sleeve <= 1
        if category_id in cuts.DRESSES:
            assert cut.length > 1.5  # Well below the crotch, 1.2.
        elif category_id in cuts.TOPS:
            assert cut.length <= body.CROTCH
        if category_id in cuts.OUTWEAR:
            assert cut.closure and 0 <= cut.gap_top <= cut.gap_hem
        elif category_id not in cuts.LOWER:
            assert cut.gap_top == cut.gap_hem == 0 and cut.closure in ('', 'placket')
        if category_id in (cuts.VEST, cuts.VEST_DRESS):
            assert cut.neck_width + 0.05 < cut.shoulder < 0.35
        elif category_id in cuts.SLINGS:
            assert cut.strap <= 0.03
        if category_id == cuts.SHORTS:
            assert cut.length < 0.5
        elif category_id == cuts.TROUSERS:
            assert cut.length > 0.8
