import numpy as np
import pytest

from research.dqn import learning_curves
from tests.research.dqn import drawn


@pytest.fixture
def drawings(monkeypatch):
    return drawn.recorded(monkeypatch)


def test_what_is_known_is_drawn(drawings):
    rows = [
        {'step': 250_000, 'score': 10.0, 'score_std': 2.0},
        {'step': 500_000, 'predicted_q': 1.5},
        {'step': 750_000, 'score': 40.0, 'score_std': None, 'predicted_q': float('nan')},
        {'step': 1_000_000, 'score': 30.0, 'score_std': 5.0, 'predicted_q': 2.5},
    ]
    text = learning_curves.figure(
        rows, random_score=1.0, paper_score=99.0, agent_steps_per_epoch=250_000
    )
    (score,), (predicted,) = (drawing.axes for drawing in drawings)
    np.testing.assert_array_equal(drawn.curve(score, 'score'), [[1, 10], [3, 40], [4, 30]])
    np.testing.assert_array_equal(drawn.curve(predicted, 'predicted_q'), [[2, 1.5], [4, 2.5]])
    (band,) = score.collections
    corners = band.get_paths()[0].vertices
    assert sorted(set(corners[corners[:, 0] == 1, 1])) == [8, 12]
    assert sorted(set(corners[corners[:, 0] == 4, 1])) == [25, 35]
    labels = score.get_legend_handles_labels()[1]
    assert labels[1:] == ['DQN: 30', 'random player: 1', 'paper: 99']
    levels = [line.get_ydata()[0] for line in score.lines if not line.get_gid()]
    assert levels == [1, 99] and len(predicted.lines) == 1
    assert text.count('<figure>') == 2
    assert score.get_xlabel() == 'training epochs of 250\N{NARROW NO-BREAK SPACE}000 agent steps'


def test_in_agent_steps_or_without_values(drawings):
    text = learning_curves.figure([{'step': 4, 'score': 7.0}, {'step': 8, 'score': 9.0}])
    ((axes,),) = (drawing.axes for drawing in drawings)
    np.testing.assert_array_equal(drawn.curve(axes, 'score'), [[4, 7], [8, 9]])
    assert axes.get_xlabel() == 'agent steps' and not axes.collections
    assert 'Average predicted Q: no values.' in text
    assert learning_curves.figure([]).count('no values') == 2
