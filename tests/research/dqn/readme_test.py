"""The card's examples run."""

import pathlib
import re
import shlex

import gin
import numpy as np
import pytest

from official.core import config, runner
from research.dqn import replay

ROOT = pathlib.Path(__file__).resolve().parents[3]
CARD = ROOT / 'research' / 'dqn' / 'README.md'


def examples():
    return re.findall(r'```python\n(.*?)```', CARD.read_text(), re.DOTALL)


def test_without_the_launcher():
    names = {}
    exec(compile(examples()[0], str(CARD), 'exec'), names)
    batch = names['batch']
    assert batch.observation.shape == batch.next_observation.shape == (32, 84, 84, 4)
    # A frame of the next observation is the one before it of the observation.
    np.testing.assert_array_equal(batch.observation[..., 1:], batch.next_observation[..., :-1])
    assert len(names['memory']) == 200


def test_exported_policy(tmp_path, monkeypatch):
    from official.core import export as core_export
    from research.dqn import NatureQNetwork, export

    class Pong:
        action_names = ('NOOP', 'FIRE', 'RIGHT', 'LEFT', 'RIGHTFIRE', 'LEFTFIRE')
        observation_shape = (84, 84, 4)
        screen_shape = (210, 160, 3)

    model = NatureQNetwork(6)
    model(np.zeros((1, 84, 84, 4), np.uint8))
    core_export.save(
        model,
        export.signatures(model, Pong),
        str(tmp_path / 'runs' / 'dqn' / 'double_three_step/pong' / 'saved_model'),
    )
    monkeypatch.chdir(tmp_path)
    *setup, call = examples()[1].strip().splitlines()
    names = {}
    exec('\n'.join(setup), names)
    answer = eval(call.partition('  #')[0], names)
    np.testing.assert_allclose(
        answer['q_values'], model(np.zeros((1, 84, 84, 4), np.uint8)), atol=1e-6
    )
    assert answer['action_name'].numpy()[0].decode() in Pong.action_names


@pytest.mark.parametrize('file', ['nature/pong', 'double_three_step/breakout'])
def test_parameters_that_the_card_names(file, tmp_path):
    rows = re.findall(r'^\| `(\w+\.\w+=[^`]+)` \|', CARD.read_text(), re.MULTILINE)
    params = [shlex.split(row)[0] for row in rows]  # As a shell hands them over.
    assert len(params) == 9
    path = str(ROOT / 'gin_configs' / 'dqn' / f'{file}.gin')
    config.load(config.read(path, params))
    try:
        run = gin.get_configurable(runner.Run)()
        made = run.experiment(run_dir=str(tmp_path), seed=0, data_dir=None, strategy=None)
        assert made.data.name == 'adventure' and made.data.observation_shape == (84, 84, 3)
        assert made.agent.double and made.model.dueling
        memory = gin.get_configurable(replay.FrameReplay)(capacity_frames=100)
        assert memory.n_step == 3 and memory.prioritization.exponent == 0.6
    finally:
        config.clear()


def test_files_that_the_card_names_are_there():
    text = CARD.read_text()
    for name in re.findall(r'gin_configs/dqn/([\w/]+)\.gin', text):
        assert (ROOT / 'gin_configs' / 'dqn' / f'{name}.gin').exists(), name
    for name in re.findall(r'`(\w+\.py)`', text):
        assert (CARD.parent / name).exists(), name
