"""Trainings that lose their replay memory, or a game while they are evaluated."""

import os

import pytest

from official.core import history
from research.dqn import catch, environment, storage
from tests.research.dqn import tiny


def test_a_training_goes_on_with_an_empty_memory_where_the_old_one_is_damaged(tmp_path, capsys):
    tiny.make(tmp_path, train_agent_steps=200).train()
    with open(tmp_path / 'replay' / 'frames.bin', 'r+b') as file:
        file.seek(20 * 20 * 2 * 30)
        file.write(b'damage')
    again = tiny.make(tmp_path, train_agent_steps=400)
    with pytest.raises(storage.DamagedReplay, match='slot 30 of') as error:
        again.train()
    folder = str(tmp_path / 'replay')
    assert f'Remove the folder {folder} to go on' in str(error.value)
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    os.rmdir(folder)

    again = tiny.make(tmp_path, train_agent_steps=400)
    updates = again.agent.train_step_counter
    learn, learnt_at = again._training._learn, []

    def noted(work, *batch):
        before = int(updates.numpy())
        learn(work, *batch)
        if int(updates.numpy()) > before:
            learnt_at.append(again._training._step)

    again._training._learn = noted
    again.train()
    assert 'learning goes on at agent step 300' in capsys.readouterr().out
    # 100 steps fill the memory; before and after them one update every 4 steps.
    assert 300 < learnt_at[0] <= 306
    assert updates.numpy() == (200 - 100) // 4 + (again.step - 300) // 4

    # A later restart remembers it.
    more = tiny.make(tmp_path, train_agent_steps=500)
    more.train()
    assert more.agent.train_step_counter.numpy() == (200 - 100) // 4 + (more.step - 300) // 4


class FailsInEvaluation(catch.Catch):
    """Raises after some frames of the games of an evaluation, which come last."""

    made = 0
    failing = True

    def __init__(self, seed=0):
        super().__init__(seed=seed)
        type(self).made += 1
        self._number = self.made
        self._frames = 0

    def act(self, action):
        self._frames += 1
        # Two games train, one gives the held-out states.
        if self.failing and self._number > 3 and self._frames == 30:
            raise RuntimeError('the evaluation breaks')
        return super().act(action)


def test_a_game_that_fails_in_an_evaluation_loses_that_evaluation_alone(tmp_path):
    FailsInEvaluation.made, FailsInEvaluation.failing = 0, True
    run = tiny.make(tmp_path, game=FailsInEvaluation, train_agent_steps=400)
    with pytest.raises(
        environment.GameFailed,
        match='All before agent step 20. is in .* the same command goes on from there without this',
    ):
        run.train()
    FailsInEvaluation.failing = False
    again = tiny.make(tmp_path, game=FailsInEvaluation, train_agent_steps=400)
    again.train()
    tiny.make(tmp_path / 'whole', train_agent_steps=400).train()
    rows = [_rows(tmp_path), _rows(tmp_path / 'whole')]
    assert [row['step'] for row in rows[0]] == [row['step'] for row in rows[1]]
    assert 'score' not in rows[0][0] and 'score' in rows[0][1]
    for name in ('loss', 'updates', 'score', 'predicted_q'):
        assert rows[0][1][name] == rows[1][1][name], name


def _rows(run_dir):
    return history.read(str(run_dir))


class Breaks(catch.Catch):
    """Raises whatever is done, while `broken`."""

    broken = False

    def act(self, action):
        if self.broken:
            raise RuntimeError('broken')
        return super().act(action)


def test_a_game_that_fails_right_after_a_checkpoint_does_not_fail_for_ever(tmp_path, monkeypatch):
    run = tiny.make(tmp_path, game=Breaks, train_agent_steps=400)
    end = run._training._end_interval

    def break_after(*arguments):
        end(*arguments)
        monkeypatch.setattr(Breaks, 'broken', True)

    run._training._end_interval = break_after
    with pytest.raises(environment.GameFailed, match='goes on from there with new episodes'):
        run.train()
    monkeypatch.undo()
    again = tiny.make(tmp_path, game=Breaks, train_agent_steps=400)
    again.restore(best=False)
    assert again.step == 200 and again._training._games.value == b''
    again.train()
    assert again.step >= 400


def test_a_folder_for_memories_is_shared_and_keeps_what_is_there(tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    (disk / 'thesis.txt').write_text('mine')
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        tiny.make(
            tmp_path / name, train_agent_steps=200, replay_dir=str(disk), keep_replay=name == 'two'
        ).train()
    assert len(os.listdir(disk)) == 2 and (disk / 'thesis.txt').read_text() == 'mine'
    assert sum(name.endswith('_two') for name in os.listdir(disk)) == 1


def test_evaluations_share_one_function(tmp_path):
    run = tiny.make(tmp_path)
    protocol = run.final_evaluation
    first = run.play(protocol, 5)
    function = run._actors[protocol.epsilon, 2]._function
    assert run.play(protocol, 5) == first
    assert run.play(protocol, 6) != first
    assert run._actors[protocol.epsilon, 2]._function is function
