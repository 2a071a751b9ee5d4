"""The arithmetic of the Ladder benchmark and its complaints; nothing is timed."""

from __future__ import annotations

import sys

import pytest

from benchmarks import ladder


def test_flops_of_one_small_network_counted_by_hand():
    # 3-2-1: W1 has 6 weights, W2 has 2, and so have V1 and V2. One row, each weight one
    # multiplication and one addition (x 2).
    forward = 2 * (6 + 2)
    weight_gradients = 2 * (6 + 2)
    encoder_input_gradients = 2 * 2  # to h1; none to the input
    decoder_input_gradients = 2 * (6 + 2)  # to z_hat1 and to z_hat2
    assert ladder.update_flops((3, 2, 1), trained=0, forward_only=1) == forward
    assert ladder.update_flops((3, 2, 1), trained=1) == (
        forward + weight_gradients + encoder_input_gradients
    )
    assert ladder.update_flops((3, 2, 1), trained=0, decoded=1) == (
        forward + weight_gradients + decoder_input_gradients
    )


def test_flops_of_an_update_at_the_paper_s_sizes():
    # Weights of the encoder, and again of the decoder:
    #   784 000 + 500 000 + 125 000 + 62 500 + 62 500 + 2 500 = 1 536 500
    # Forward: 200 corrupted + 100 clean rows up, 100 rows down: 400 x 1 536 500 x 2 = 1.2292e9
    # Gradients of the weights: the same rows and products                          = 1.2292e9
    # Gradients of the inputs, up: 300 x (1 536 500 - 784 000) x 2                  = 0.4515e9
    #                        down: 100 x 1 536 500 x 2                              = 0.3073e9
    assert ladder.CONTESTANTS['ladder'].flops == 3_217_200_000
    assert ladder.CONTESTANTS['torch'].flops == ladder.CONTESTANTS['ladder'].flops
    # Without the decoder: 300 x (1 536 500 x 2 + 752 500) x 2.
    assert ladder.CONTESTANTS['gamma'].flops == 2_295_300_000
    # 100 x (1 536 500 x 2 + 752 500) x 2 = 0.7651e9, and 100 x 1 536 500 x 2 = 0.3073e9.
    assert ladder.CONTESTANTS['baseline'].flops == 1_072_400_000


TIMES = {
    'ladder': [20.0, 50.0, 16.0],
    'torch': [30.0, 80.0, 32.0],
    'gamma': [10.0, 20.0, 12.0],
    'baseline': [10.0, 10.0, 4.0],
}


def test_summary():
    numbers = ladder.summary(TIMES, [100.0, 321.72, 200.0])
    rows = numbers['contestants']
    assert list(rows) == list(TIMES)
    assert rows['gamma']['round_ms'] == [10.0, 20.0, 12.0]
    assert (rows['gamma']['median_ms'], rows['gamma']['lowest_ms']) == (12.0, 10.0)
    assert rows['gamma']['highest_ms'] == 20.0
    assert rows['gamma']['gflop'] == pytest.approx(2.2953)
    assert rows['gamma']['times_the_ladder'] == pytest.approx(0.5)  # of 0.5, 0.4, 0.75
    assert numbers['torch_over_ladder']['median'] == pytest.approx(1.6)
    assert numbers['ladder_over_baseline']['median'] == pytest.approx(4.0)  # of 2, 5, 4
    assert 'torch_fused_over_ladder' not in numbers
    # 3.2172 GFLOP at the highest rate, 321.72 GFLOP/s: a hundredth of a second.
    assert numbers['peak_gflop_per_s'] == 321.72
    assert numbers['floor_ms'] == pytest.approx(10.0)
    assert numbers['floor_fraction'] == pytest.approx(0.5)


def test_table_says_what_was_measured():
    text = ladder.table(ladder.summary(TIMES, [321.72]))
    lines = text.splitlines()
    assert lines[0].split() == [
        'one',
        'update,',
        'ms',
        'median',
        'lowest',
        'highest',
        'GFLOP',
        'times',
        'the',
        'Ladder',
    ]
    assert lines[1].split() == ['Ladder,', 'Arboretum', '20.00', '16.00', '50.00', '3.22', '1.00']
    assert 'PyTorch over Arboretum: 1.60 (1.50 to 2.00; of the medians 1.60)' in lines
    assert 'fused' not in text
    assert 'Ladder over baseline: 4.00 (2.00 to 5.00; of the medians 2.00)' in text
    assert 'are 10.00 ms, 50% of the update' in text


@pytest.mark.parametrize('argument', ['--rounds=0', '--updates=x', '--json=/nowhere/else/x.json'])
def test_bad_argument(monkeypatch, capsys, argument):
    monkeypatch.setattr(sys, 'argv', ['ladder.py', argument])
    with pytest.raises(SystemExit):
        ladder.main()
    assert argument.partition('=')[0] in capsys.readouterr().err
