"""The project's side of the DQN benchmark does the work it says."""

from __future__ import annotations

from benchmarks import dqn_tensorflow


def test_training_makes_an_update_every_four_agent_steps(monkeypatch):
    monkeypatch.setattr(dqn_tensorflow, 'REPLAY_FRAMES', 2000)
    monkeypatch.setattr(dqn_tensorflow, 'WARM_UP_AGENT_STEPS', 96)
    result = dqn_tensorflow.train('pong', 160, games=8, overlap=True, dtype='float32')
    assert abs(result['updates'] - 160 / 4) <= 2
    assert 140 <= result['agent_steps_per_s'] * result['seconds'] <= 168
    assert set(result['shares']) == {'sampling', 'updates', 'acting', 'emulator', 'waiting'}
    # The emulators play in a thread of their own, beside the rest.
    assert sum(result['shares'].values()) - result['shares']['emulator'] < 1.01
    assert result['memory']['replay_mb'] > 2000 * 84 * 84 / 1e6


def test_updates_are_those_of_the_paper(monkeypatch):
    seen = []

    def make(*args, dtype, **kwargs):
        made = original(*args, dtype=dtype, **kwargs)
        seen.append(
            (made.model.count_params(), made.model.compute_dtype, made.agent._optimizer.name)
        )
        return made

    original = dqn_tensorflow.make
    monkeypatch.setattr(dqn_tensorflow, 'make', make)
    assert len(dqn_tensorflow.update_ms('bfloat16', updates=2, blocks=2)) == 2
    assert seen == [(1_687_206, 'bfloat16', 'RMSprop')]
