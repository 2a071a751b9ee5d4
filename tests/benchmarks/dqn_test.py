"""The arithmetic of the DQN benchmark; nothing is timed."""

from __future__ import annotations

import pytest

from benchmarks import dqn, dqn_torch


def test_flops_of_an_update_counted_by_hand():
    # Places times weights: 20 x 20 x 8 x 8 x 4 x 32, 9 x 9 x 4 x 4 x 32 x 64,
    # 7 x 7 x 3 x 3 x 64 x 64, 3 136 x 512 and 512 x 6.
    first, rest = 3_276_800, 2_654_208 + 1_806_336 + 1_605_632 + 3_072
    # 32 images twice forward, for the weights and for the inputs; the first has no such gradient.
    assert dqn_torch.update_flops(dqn.ACTIONS) == 2 * 32 * (3 * first + 4 * rest)


def measured(with_peers=True):
    def updates(*values):
        return [{'update_ms': [value, value + 1, value - 1]} for value in values]

    def trainings(peak, *values):
        return [
            {
                'agent_steps_per_s': value,
                'shares': {'updates': 0.5 + 0.1 * index},
                'memory': {'peak_mb': peak + index},
            }
            for index, value in enumerate(values)
        ]

    ours = {
        'update': updates(10, 12, 11),
        'update_bfloat16': updates(8, 8, 8),
        'one': trainings(1000, 200, 210, 220),
        'eight': trainings(1100, 300, 320, 340),
        'eight_bfloat16': trainings(1200, 400, 400, 400),
    }
    peers = {
        'torch': updates(20, 18, 22),
        'torch_bfloat16': updates(16, 12, 8),
        'torch_compiled': updates(20, 24, 22),
        'sb3_one': trainings(3000, 100, 140, 110),
        'sb3_eight': trainings(3100, 150, 100, 170),
    }
    return ours | (peers if with_peers else {})


def test_summary():
    numbers = dqn.summary(measured(), [100.0, 218.0, 150.0])
    assert numbers['update_ms']['update']['median'] == 11
    assert numbers['agent_steps_per_s']['eight']['median'] == 320
    assert numbers['peak_mb']['sb3_one'] == 3002
    assert numbers['shares']['eight'] == {'updates': pytest.approx(0.6)}
    ratios = {name: ratio['median'] for name, ratio in numbers['ratios'].items()}
    assert ratios == {
        'torch over update': 2.0,
        'torch_compiled over update': 2.0,
        'torch_bfloat16 over update_bfloat16': 1.5,
        'one over sb3_one': 2.0,
        # The better peer of each round: 150, 140 and 170.
        'eight over the better sb3': 2.0,
        'eight_bfloat16 over the better sb3': pytest.approx(400 / 150),
    }
    assert numbers['floor_ms'] == pytest.approx(dqn_torch.update_flops(6) / 218e9 * 1e3)
    assert numbers['floor_fraction'] == pytest.approx(numbers['floor_ms'] / 11)


def test_table_says_what_was_measured():
    text = dqn.table(dqn.summary(measured(), [218.0]))
    lines = [' '.join(line.split()) for line in text.splitlines()]
    assert 'update, float32 11.0 10.0 12.0' in lines
    assert '8 games 320.0 300.0 340.0 peak 1102 MB' in lines
    assert 'share of the time, 8 games: updates 60%' in lines
    assert 'eight over the better sb3: 2.00 (2.00 to 2.29; of the medians 2.13)' in lines
    alone = dqn.table(dqn.summary(measured(with_peers=False), [218.0]))
    assert 'sb3' not in alone and 'PyTorch' not in alone
