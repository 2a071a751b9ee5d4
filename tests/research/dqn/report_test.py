"""The sections of the report, and what the recording behind them shows."""

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import random
from research.dqn import learning_curves, pictures, recording, report
from tests.research.dqn import tiny

PICTURES = {
    'embedding': (pictures, 'embedding'),
    'two_players': (pictures, 'two_players'),
    'values_along': (pictures, 'values_along'),
    'learning_curves': (learning_curves, 'figure'),
}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    made = tiny.make(tmp_path_factory.mktemp('run'), train_agent_steps=400)
    made.train()
    made.evaluate()
    return made


def sections(run, monkeypatch, **arguments):
    """The sections' titles, and what the pictures were drawn from."""
    drawn = {}
    for name, place in PICTURES.items():

        def draw(*args, name=name, **kwargs):
            drawn[name] = args, kwargs
            return f'<p>{name}</p>'

        monkeypatch.setattr(*place, draw)
    made = report.DqnReport(agent_steps=150, epsilon=0.0, **arguments)(
        model=run.model, data=run.data, key=random.make_key(5)
    )
    return made, drawn


def test_pictures_show_the_agent(run, monkeypatch, tmp_path):
    made, drawn = sections(run, monkeypatch)
    own = recording.load(run.data.run_dir + '/recording.npz', (20, 20, 2))
    assert len(own.actions) == 150
    values = run.model(own.observations).numpy()
    # epsilon is 0: every action is the best one.
    np.testing.assert_array_equal(own.actions, values.argmax(axis=1))
    (hidden, value, screens, _), _ = drawn['embedding']
    np.testing.assert_allclose(hidden, run.model.hidden(own.observations), atol=1e-5)
    np.testing.assert_allclose(value, values.max(axis=1), atol=1e-5)
    assert len(screens) == 150
    (q_values, rewards, _, names), _ = drawn['values_along']
    length = own.first_episode.stop
    np.testing.assert_allclose(q_values, values[:length], atol=1e-5)
    np.testing.assert_array_equal(rewards, own.rewards[:length])
    assert names == ('NOOP', 'LEFT', 'RIGHT')
    (_, hidden_other, _, _, _, other), _ = drawn['two_players']
    assert len(hidden_other) == 75 and other == 'random player'
    (rows,), lines = drawn['learning_curves']
    assert [row['step'] // 200 for row in rows] == [1, 2] and lines['random_score'] is not None
    assert [section.title for section in made][:2] == ['The agent plays', 'Learning (Figure 2)']
    assert 'data:image/gif' in made[0].html


def test_a_picture_that_fails_is_named_and_the_others_are_there(run, monkeypatch, capfd):
    def fail(*_, **__):
        raise ValueError('no colours left')

    for name, place in PICTURES.items():
        monkeypatch.setattr(*place, lambda *_, name=name, **__: f'<p>{name}</p>')
    monkeypatch.setattr(pictures, 'values_along', fail)
    made = report.DqnReport(agent_steps=50)(model=run.model, data=run.data, key=random.make_key(5))
    by_title = {section.title: section.html for section in made}
    said = 'This picture could not be made: ValueError: no colours left'
    assert said in by_title['Values along an episode (Extended Data Figure 2)']
    assert by_title['Last hidden layer (Figure 4)'] == '<p>embedding</p>'
    assert sum('could not be made' in text for text in by_title.values()) == 1
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    'frame_skip, said', [(1, '1.2 times slower than the game'), (4, 'at the speed of the game')]
)
def test_a_film_of_every_frame_is_slowed(run, monkeypatch, frame_skip, said):
    """At 60 frames a second no browser would play it."""
    monkeypatch.setattr(run.data, 'frame_skip', frame_skip)
    made, _ = sections(run, monkeypatch)
    assert 'data:image/gif' in made[0].html and said in made[0].html


def test_figure_2_counts_epochs(run, monkeypatch):
    """Score and predicted value of every evaluation, by epochs of the paper's length."""
    _, drawn = sections(run, monkeypatch, agent_steps_per_epoch=200)
    (rows,), arguments = drawn['learning_curves']
    assert arguments['agent_steps_per_epoch'] == 200
    assert all(np.isfinite([row['score'], row['predicted_q']]).all() for row in rows)


def test_bad_arguments():
    with pytest.raises(FileNotFoundError, match='DqnReport.other_recording: the recording x.npz'):
        report.DqnReport(other_recording='x.npz')
    for name in ('agent_steps', 'film_agent_steps', 'agent_steps_per_epoch'):
        with pytest.raises(ValueError, match=f'DqnReport.{name} = 0 must be a whole number'):
            report.DqnReport(**{name: 0})
    with pytest.raises(ValueError, match=r'DqnReport.epsilon = 3 is outside \[0, 1\]'):
        report.DqnReport(epsilon=3)


def test_another_players_recording(run, monkeypatch, tmp_path):
    path = tmp_path / 'human.npz'
    env = run.data.make(9)
    recording.save(recording.record(env, lambda step: np.array([1]), 40), str(path))
    _, drawn = sections(run, monkeypatch, other_recording=str(path))
    (_, hidden_other, _, screens, _, other), _ = drawn['two_players']
    assert len(hidden_other) == len(screens) == 40 and other == 'human.npz'


def test_a_game_of_the_paper_has_figure_3(run, monkeypatch):
    monkeypatch.setattr(run.data, 'name', 'pong')
    made, drawn = sections(run, monkeypatch)
    assert made[-1].title == 'Against a human tester (Figure 3)' and '<svg' not in made[-1].html
    assert drawn['learning_curves'][1]['paper_score'] == 18.9


def test_in_parts():
    x = np.arange(250, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(report.in_parts(lambda part: tf.constant(part) * 2, x), 2 * x)
