"""The protocol of Extended Data Tables 3 and 4: every rate is trained, the highest score counts."""

import functools
import json
import os
import pathlib
import re

import pytest

from official.core import suite
from official.modeling import optimizers
from research.dqn import experiment, learning_rates
from tests.research.dqn import tiny


class Fake:
    """An agent whose evaluations have scores by its learning rate."""

    scores = {0.1: (1.0, 5.0, 2.0), 0.2: (3.0, 9.0, 4.0), 0.4: (8.0, 8.5, 1.0)}
    title = 'Fake'
    trained = []

    def __init__(self, run_dir, seed, data_dir, strategy, optimizer):
        self.run_dir, self.seed, self.rate = run_dir, seed, optimizer()

    def train(self):
        self.trained.append((self.rate, self.seed))
        os.makedirs(self.run_dir, exist_ok=True)
        with open(os.path.join(self.run_dir, 'history.jsonl'), 'w') as file:
            for step, score in enumerate(self.scores[self.rate], 1):
                file.write(json.dumps({'step': step, 'score': score}) + '\n')
                file.write(json.dumps({'step': step, 'loss': 1e9}) + '\n')

    def evaluate(self):
        return {}

    def export(self):
        return os.path.join(self.run_dir, 'saved_model')

    def report(self):
        path = os.path.join(self.run_dir, 'report.html')
        with open(path, 'w') as file:
            file.write('the agent')
        return path


def make(run_dir, **arguments):
    return learning_rates.LearningRates(
        str(run_dir),
        7,
        **{
            'experiment': Fake,
            'optimizer': lambda learning_rate: learning_rate,
            'rates': (0.1, 0.2, 0.4),
            'reference': {'cell': 'Table X, a game', 'score': 10.0},
            **arguments,
        },
    )


def test_every_rate_is_trained_and_the_highest_evaluation_counts(tmp_path):
    Fake.trained = []
    run = make(tmp_path)
    run.train()
    assert Fake.trained == [(0.1, 7), (0.2, 7), (0.4, 7)]
    result = run.evaluate()
    # Neither the last evaluation, nor the lowest, nor that of the first rate.
    assert result == {
        'seed': 7,
        'score': 9.0,
        'learning_rate': 0.2,
        'learning_rates': {'0.1': 5.0, '0.2': 9.0, '0.4': 8.5},
        'reference': {'cell': 'Table X, a game', 'score': 10.0},
    }
    assert json.loads((tmp_path / 'result.json').read_text()) == result
    assert run.export() == str(tmp_path / 'learning_rate_0.2' / 'saved_model')


def links(path):
    """The files that a page links to."""
    found = re.findall(r'href="([^"#]+)"', pathlib.Path(path).read_text())
    return [os.path.normpath(os.path.join(os.path.dirname(path), link)) for link in found]


def test_the_links_of_a_suite_and_of_its_reports_live(tmp_path):
    """As `table3.gin` and `table4.gin` link to the reports of their 25 experiments."""
    files = [
        'gin_configs/dqn/table4/breakout.gin',
        'gin_configs/dqn/table4/enduro.gin',
    ]
    table = suite.Suite(str(tmp_path), files=files)
    for name in table.files:
        run = make(tmp_path / name)
        run.train()
        run.evaluate()
        assert run.report() == str(tmp_path / name / 'report.html')
    table.evaluate()
    linked = links(table.report())
    assert linked == [str(tmp_path / name / 'report.html') for name in table.files]
    for page in linked:
        assert os.path.exists(page)
        (agent,) = links(page)
        assert pathlib.Path(agent).read_text() == 'the agent' and 'learning_rate_0.2' in agent
        text = pathlib.Path(page).read_text()
        for number in ('0.1', '0.2', '0.4', '8.5', 'Table X, a game: 10; here 9'):
            assert number in text


def test_agents_learn_with_their_rates(tmp_path):
    """The real experiment: the rate reaches the optimizer, the report of the best one is linked."""

    def agent(optimizer, **arguments):
        run = tiny.make(
            arguments['run_dir'], seed=arguments['seed'], train_agent_steps=200, optimizer=optimizer
        )
        made.append((run, float(run.agent._optimizer.learning_rate)))
        return run

    made = []
    run = make(
        tmp_path,
        experiment=agent,
        rates=(1e-3, 1e-2),
        optimizer=functools.partial(optimizers.FusedAdam, epsilon=1e-3),
    )
    with pytest.raises(FileNotFoundError, match='learning_rate_0.001 has no evaluation: train'):
        run.evaluate()
    run.train()
    assert [rate for _, rate in made] == pytest.approx([1e-3, 1e-2])
    assert all(isinstance(agent, experiment.DqnExperiment) for agent, _ in made)
    result = run.evaluate()
    (best,) = links(run.report())
    assert f'learning_rate_{result["learning_rate"]:g}' in best and os.path.exists(best)


@pytest.mark.parametrize(
    'rates, wrong',
    [
        ((), r'= \(\) must be different'),
        ((0.1, 0.1), 'must be different numbers'),
        ((0.1, 0), 'has 0, which is not a number above 0'),
        ((-1e-3,), 'has -0.001, which is not'),
        ((float('nan'),), 'has nan, which is not'),
        ((float('inf'),), 'has inf, which is not'),
        (('0.1',), "has '0.1', which is not"),
    ],
)
def test_rates_that_cannot_be(tmp_path, rates, wrong):
    with pytest.raises(ValueError, match=f'LearningRates.rates.*{wrong}'):
        make(tmp_path, rates=rates)
