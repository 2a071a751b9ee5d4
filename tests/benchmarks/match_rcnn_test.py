"""The Match R-CNN benchmark: its arithmetic, its table, its complaints, its turns."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import contest, match_rcnn, match_rcnn_data, match_rcnn_flops

CONFIG = match_rcnn_data.Config(64, 128)


def run(ms, peak_mb=100.0):
    return {
        'ms': [ms, ms - 1, ms + 1],
        'first_s': 2.0,
        'parameters': 7,
        'memory': {'peak_mb': peak_mb},
        'libraries': {'tensorflow': '2'},
    }


RUNS = {
    'arboretum': [run(20), run(50)],
    'streams': [run(80), run(100)],
    'trained': [run(10), run(10)],
    'peer': [run(40), run(60)],
    'peer_frozen': [run(50), run(90)],
    'peer_frozen_batched': [run(40), run(60)],
}


def test_summary():
    row = match_rcnn.summary('step', CONFIG, RUNS, 200.0)
    forms = row['forms']
    assert row['images'] == 2 and forms['arboretum']['round_ms'] == [20, 50]
    assert forms['arboretum']['median_ms'] == 35
    assert forms['arboretum']['images_per_s'] == pytest.approx(2 / 0.035)
    for form, peer, streams in (
        ('arboretum', False, False),
        ('streams', False, True),
        ('trained', False, False),
        ('peer_frozen', True, False),
    ):
        gflop = match_rcnn_flops.flops('step', CONFIG, peer, streams) / 1e9
        assert forms[form]['gflop'] == gflop
        assert forms[form]['floor_ms'] == pytest.approx(gflop * 5)
        assert forms[form]['floor_fraction'] == pytest.approx(gflop * 5 / forms[form]['median_ms'])
    # Each with the best of its kind.
    assert {text: ratio['median'] for text, ratio in row['ratios'].items()} == {
        'peer_frozen_batched over arboretum': pytest.approx(1.6),  # of 2 and 1.2
        'peer_frozen_batched over streams': pytest.approx(0.55),  # of 0.5 and 0.6
        'peer over trained': pytest.approx(5),
    }


def test_the_floor_is_that_of_the_rois_that_were_positive():
    counted = [run(50) | {'positives': 1.5}]
    row = match_rcnn.summary('step', CONFIG, {'streams': counted}, 200.0)
    gflop = match_rcnn_flops.flops('step', CONFIG, streams=True, positives=1.5) / 1e9
    assert row['forms']['streams']['floor_ms'] == pytest.approx(gflop * 5)


def test_an_operation_has_no_floor_and_detections_are_of_one_image():
    runs = {form: RUNS[form] for form in ('arboretum', 'peer_frozen')}
    row = match_rcnn.summary('nms', CONFIG, runs, 200.0)
    assert row['images'] == 2 and 'floor_ms' not in row['forms']['arboretum']
    assert list(row['ratios']) == ['peer_frozen over arboretum']
    assert match_rcnn.summary('forward', CONFIG, runs, 200.0)['images'] == 1
    # This project alone has no ratio.
    assert not match_rcnn.summary('nms', CONFIG, {'arboretum': RUNS['arboretum']}, 9.0)['ratios']


def test_table_says_what_was_measured():
    runs = RUNS | {'peer': [run(40, peak_mb=None), run(60)]}
    text = match_rcnn.table(
        {
            'gflop_per_s': 200.0,
            'workloads': {
                'step': match_rcnn.summary('step', CONFIG, runs, 200.0),
                'rois': match_rcnn.summary('rois', CONFIG, {'arboretum': RUNS['arboretum']}, 200.0),
            },
        }
    )
    lines = text.splitlines()
    assert lines[0] == 'training step, images: 2'
    assert lines[1].split() == [
        'ms',
        'median',
        'lowest',
        'highest',
        'images/s',
        'peak',
        'MB',
        'GFLOP',
        'floor',
    ]
    assert lines[2].split()[:6] == ['Arboretum', '35.0', '20.0', '50.0', '57.1', '100']
    gflop = match_rcnn_flops.flops('step', CONFIG) / 1e9
    assert lines[2].split()[6:] == [f'{gflop:.0f}', f'{gflop * 5 / 35:.0%}']
    assert next(line for line in lines if line.startswith('tf-models as')).split()[-3] == '?'
    assert 'peer_frozen_batched over arboretum: 1.60 (1.20 to 2.00; of the medians 1.43)' in lines
    assert lines[-1].endswith('at their peak, 200 GFLOP/s')
    assert lines[-3].split()[-1] == '100'  # No operations are counted, and no floor.


@pytest.mark.parametrize(
    'argument',
    [
        '--rounds=0',
        '--only=steps',
        '--forms=arboretum,torch',
        '--canvas=500x512',
        '--canvas=512',
        '--canvas=0x64',
        '--batch=3',
        '--batch=x',
        '--json=/nowhere/at/all.json',
    ],
)
def test_bad_argument(monkeypatch, capsys, argument):
    monkeypatch.setattr(sys, 'argv', ['match_rcnn.py', argument])
    with pytest.raises(SystemExit):
        match_rcnn.main()
    assert argument.partition('=')[0] in capsys.readouterr().err


def test_every_workload_compares_two_and_every_form_is_used():
    used = {form for workload in match_rcnn.WORKLOADS.values() for form in workload.forms}
    assert used == set(match_rcnn.FORMS)
    for workload in match_rcnn.WORKLOADS.values():
        kinds = {match_rcnn.FORMS[form][1:3] for form in workload.forms}
        assert {(True, 'frozen'), (False, 'frozen')} <= kinds


def test_contestants_take_turns_with_one_file_and_their_arguments(monkeypatch):
    commands = []

    def worker(command):
        commands.append(command)
        if 'peak' in command:
            return {'gflop_per_s': 10.0 * len(commands), 'libraries': {'tensorflow': '2'}}
        with np.load(next(word for word in command if word.endswith('.npz'))) as file:
            assert match_rcnn_data.config_of(file) == CONFIG
        return run(float(len(commands)))

    monkeypatch.setattr(contest, 'run_worker', worker)
    numbers = match_rcnn.measure(
        ['forward'], ['arboretum', 'streams', 'peer_frozen_batched'], 2, CONFIG, '/peer/python'
    )
    assert [command[-1] for command in commands] == 2 * [
        '--blocks=3',
        '--streams',
        '--nms=batched',
        'peak',
    ]
    assert commands[2][:2] == ('/peer/python', '-I') and commands[0][0] == sys.executable
    assert numbers['gflop_per_s'] == 80 and numbers['machine']['tensorflow'] == '2'
    assert numbers['settings'] == {'rounds': 2, 'bfloat16': False, **CONFIG._asdict()}
    assert numbers['workloads']['forward']['forms']['streams']['round_ms'] == [2, 6]
    # Without the peer this project alone.
    commands.clear()
    numbers = match_rcnn.measure(['rois'], match_rcnn.FORMS, 1, CONFIG, None)
    assert list(numbers['workloads']['rois']['forms']) == ['arboretum']
    # In bfloat16 the networks and the peak, but no operation; and not what cannot run so.
    for name, half in [('forward', ['--bfloat16', '--bfloat16']), ('rois', [])]:
        commands.clear()
        numbers = match_rcnn.measure(
            [name],
            ['arboretum', 'peer_frozen', 'peer_frozen_batched'],
            1,
            CONFIG,
            '/peer/python',
            True,
        )
        assert [
            word for command in commands[:-1] for word in command if word == '--bfloat16'
        ] == half
        assert commands[-1][-2:] == ('peak', '--bfloat16')
        assert list(numbers['workloads'][name]['forms']) == ['arboretum', 'peer_frozen']
        assert numbers['settings']['bfloat16']
