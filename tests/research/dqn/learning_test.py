"""The small game is learnt to its optimum, through the launcher."""

import json
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


# Half the steps, in which epsilon falls in half the time.
SHORTER = [
    'DqnReport.agent_steps=300',
    'DqnExperiment.train_agent_steps=15000',
    'DqnExperiment.save_every_agent_steps=1500',
    'DqnExperiment.evaluate_every_agent_steps=7500',
    'DqnExperiment.film_at_agent_steps=(1500, 6000, 15000)',
    'LinearEpsilon.final_agent_steps=4000',
]


def test_catch_is_learnt_to_its_optimum(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'official.launch',
            '--gin_file=gin_configs/dqn/catch.gin',
            f'--model_dir={tmp_path}/run',
            *(f'--gin_param={binding}' for binding in SHORTER),
        ],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'Warning' not in done.stderr and 'gymnasium' not in done.stderr.lower()
    result = json.loads((tmp_path / 'run' / 'result.json').read_text())
    rows = [json.loads(row) for row in (tmp_path / 'run' / 'history.jsonl').open()]
    # The optimum is 10, chance 1.3 to 1.8. Measured for seeds 0 to 2: score 10.0, 9.97 and 9.97;
    # the last hundred episodes of the training 9.44, 8.99 and 9.24. With epsilon 1 for ever the
    # score is 10.0, too, and the training's 1.7: behaviour has to follow epsilon.
    assert result['score'] >= 8.5
    assert result['random_10hz_score'] < 3
    assert rows[-1]['train_score'] >= 8
    assert rows[0]['epsilon'] > 0.6 and rows[-1]['epsilon'] == pytest.approx(0.05)
    report = (tmp_path / 'run' / 'report.html').read_text()
    for title in (
        'The agent plays',
        'Figure 2',
        'Supplementary Video 2',
        'Figure 4',
        'Extended Data Figure 1',
        'Extended Data Figure 2',
    ):
        assert title in report
    assert report.count('data:image/gif') == 4 and 'Against a human tester' not in report
