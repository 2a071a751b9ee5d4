"""The rates that floors stand on are rates, and printed as the benchmarks read them."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import peak


def test_rate_of_products_is_positive():
    rates = peak.gflop_per_s(size=64, repetitions=3)
    assert len(rates) == 3 and min(rates) > 0


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


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
