"""The formulas against the sums worked out by hand in the module's head."""

from __future__ import annotations

import pytest

from tests.research.ladder import parameter_counts as counts


@pytest.mark.parametrize(
    'layers, top_scale, weights, beta, supervised, units',
    [
        (counts.FULLY_CONNECTED, True, 1_536_500, 2_260, 1_538_770, 3_044),
        (counts.CONV_FC, True, 1_428_500, 2_270, 1_430_780, 2_271),
        (counts.CONV_SMALL, True, 131_204, 308, 131_522, 415),
        (counts.CONV_LARGE, False, 1_368_480, 1_268, 1_369_748, 1_559),
    ],
)
def test_networks(layers, top_scale, weights, beta, supervised, units):
    encoder = counts.parameter_counts(layers, decoder='none', top_scale=top_scale)
    assert (encoder['W'], encoder['beta'], encoder['total']) == (weights, beta, supervised)
    for name, each in {'g': 9, 'g2': 7, 'g3': 4, 'g4': 9, 'g5': 10}.items():
        gamma = counts.parameter_counts(layers, name, 'gamma', top_scale)
        full = counts.parameter_counts(layers, name, 'full', top_scale)
        assert gamma['total'] == supervised + 10 * each
        assert full['total'] == supervised + weights + units * each


def test_totals():
    totals = {
        ('g', 1_536_500): 3_102_666,
        ('g5', 1_536_500): 3_105_710,
        ('g', 1_428_500): 2_879_719,
        ('g5', 1_428_500): 2_881_990,
    }
    for layers in (counts.FULLY_CONNECTED, counts.CONV_FC):
        for denoiser in ('g', 'g5'):
            got = counts.parameter_counts(layers, denoiser)
            assert got['total'] == totals[denoiser, got['V']]
