"""The rates that floors stand on are rates, and printed as the benchmarks read them."""

from __future__ import annotations

import itertools
import json

import pytest

from benchmarks import peak


def test_rate_of_products_is_positive():
    rates = peak.gflop_per_s(size=64, repetitions=3)
    assert len(rates) == 3 and min(rates) > 0


def test_rate_of_convolutions_counts_every_image_and_pixel(monkeypatch):
    clock = itertools.count()  # A second goes by between two looks at it.
    monkeypatch.setattr(peak.time, 'perf_counter', lambda: next(clock))
    rate = peak.convolution_gflop_per_s([(8, 5, 6, 2), (16, 5, 6, 2)], repetitions=2)
    assert rate == pytest.approx(2e-9 * 9 * 16 * 16 * 5 * 6 * 2)  # The highest.


def test_rate_of_sums_is_one_that_a_processor_can_have():
    rates = peak.gbyte_per_s(kilobytes=60, repetitions=4, sums=50)
    assert len(rates) == 4 and all(0.01 < rate < 2000 for rate in rates)


def test_prints_what_the_benchmarks_read(monkeypatch, capsys):
    monkeypatch.setattr(peak, 'gflop_per_s', lambda: [1.0, 2.0])
    monkeypatch.setattr(peak, 'gbyte_per_s', lambda: [3.0])
    peak.main()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed['gflop_per_s'] == [1.0, 2.0] and printed['gbyte_per_s'] == [3.0]
    assert list(printed['libraries']) == ['tensorflow']
    assert 'instruction_sets' in printed['machine']
