"""The gin files of research/dqn against the paper's tables."""

import glob
import os

import gin
import pytest

from official.core import config
from official.core import gin_source
from official.core import runner
from research.dqn import games

# Its folder comes along with a file that is named here: gin_configs/dqn/catch.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 'dqn')
# Extended Data Tables 3 and 4, written from the paper: with replay and target Q, with replay and
# without target Q, without replay and with target Q, without both; linear.
TABLES_3_AND_4 = {
    'breakout': (316.8, 240.7, 10.2, 3.2, 3.00),
    'enduro': (1006.3, 831.4, 141.9, 29.1, 62.0),
    'riverraid': (7446.6, 4102.8, 2867.7, 1453.0, 2346.9),
    'seaquest': (2894.4, 822.6, 1003.0, 275.8, 656.9),
    'space_invaders': (1088.9, 826.3, 373.2, 302.0, 301.3),
}


def values(name):
    """[scope/]Class.parameter to value of what a file binds, with what it includes."""
    source = gin_source.read(os.path.join(FOLDER, f'{name}.gin'))
    found = {}
    for binding in source.bindings.values():
        scope = f'{binding.scope}/' if binding.scope else ''
        found[f'{scope}{binding.full.rsplit(".", 1)[-1]}.{binding.parameter}'] = binding.value
    return found


def names(pattern):
    return {os.path.basename(path)[:-4] for path in glob.glob(os.path.join(FOLDER, pattern))}


# Extended Data Table 1, row by row, in the table's order.
TABLE_1 = {
    'DqnExperiment.minibatch_size': 32,
    'FrameReplay.capacity_frames': 1_000_000,
    'GameEnvironment.history': 4,
    'DqnAgent.target_update_period_updates': 10_000,
    'DqnAgent.discount': 0.99,
    'GameEnvironment.frame_skip': 4,
    'DqnExperiment.update_period_agent_steps': 4,
    'CentredRMSProp.learning_rate': 0.00025,
    'CentredRMSProp.rho': 0.95,
    'CentredRMSProp.epsilon': 0.01 / 32 ** 2,
    'LinearEpsilon.initial': 1.0,
    'LinearEpsilon.final': 0.1,
    'LinearEpsilon.final_agent_steps': 1_000_000,
    'DqnExperiment.replay_start_agent_steps': 50_000,
    'GameEnvironment.max_noop_frames': 30,
}


@pytest.mark.parametrize('game', games.GAMES)
def test_the_papers_hyperparameters_are_in_every_nature_file(game):
    bound = values(f'{game}_nature')
    for name, value in TABLE_1.items():
        assert bound[name] == value, name
    assert bound['AtariGame.rom'] == game
    assert bound['DqnExperiment.train_agent_steps'] == 50_000_000
    assert bound['DqnExperiment.num_games'] == 1 and not bound['DqnExperiment.overlap']
    # What the paper has not.
    assert not bound['DqnAgent.double'] and not bound['NatureQNetwork.dueling']
    assert bound['FrameReplay.n_step'] == 1 and bound['FrameReplay.prioritization'] is None
    assert bound['AtariGame.repeat_action_probability'] == 0


def test_every_game_has_both_files():
    for kind in ('nature', 'two_cores'):
        assert names(f'[!_]*_{kind}.gin') == {f'{game}_{kind}' for game in games.GAMES}


@pytest.mark.parametrize('kind', ['nature', 'two_cores'])
def test_heads_have_the_papers_figures(kind):
    for game, row in games.table().items():
        with open(os.path.join(FOLDER, f'{game}_{kind}.gin'), encoding='utf-8') as file:
            text = file.read()
        assert text.startswith(f'# {row.name}')
        assert f'{row.dqn:g} +- {row.dqn_std:g}.' in text
        assert f'random: {row.random:g})' in text.splitlines()[0]
        assert f'gin_configs/dqn/{game}_{kind}.gin\n' in text
        assert values(f'{game}_{kind}')['AtariGame.rom'] == game


@pytest.mark.parametrize('game', TABLES_3_AND_4)
def test_extended_data_tables_3_and_4(game):
    variants = [f'table3_{game}_{replay}_{target}' for replay in ('replay', 'no_replay')
                for target in ('target', 'no_target')] + [f'table4_{game}_linear']
    for name, score in zip(variants, TABLES_3_AND_4[game], strict=True):
        bound = values(name)
        assert bound['LearningRates.reference']['score'] == score
        assert bound['AtariGame.rom'] == game
        assert bound['FrameReplay.newest_only'] == ('no_replay' in name)
        assert bound['DqnAgent.target_update_period_updates'] == (
            1 if 'no_target' in name else 10_000)
        # 10 million frames, every 250 000 for 135 000, three rates, no 5 minutes.
        assert bound['DqnExperiment.train_agent_steps'] == 10_000_000
        assert bound['DqnExperiment.evaluate_every_agent_steps'] == 250_000
        assert bound['periodic/Evaluation.agent_steps'] == 135_000
        assert bound['periodic/Evaluation.max_episode_frames'] is None
        assert len(bound['LearningRates.rates']) == 3
        assert 0.00025 in bound['LearningRates.rates']
        with open(os.path.join(FOLDER, f'{name}.gin'), encoding='utf-8') as file:
            assert ('@network.LinearQNetwork' in file.read()) == name.endswith('linear')


@pytest.mark.parametrize('suite, pattern', [
    ('table2', '[!_]*_nature.gin'), ('table3', 'table3_*.gin'), ('table4', 'table4_*.gin')])
def test_suites_run_every_file_of_their_table(suite, pattern):
    files = [os.path.basename(path)[:-4] for path in values(suite)['Suite.files']]
    assert set(files) == names(pattern) and len(files) == len(set(files))


@pytest.mark.parametrize('name', ['catch', 'breakout_nature', 'pong_two_cores',
                                  'table3_enduro_no_replay_no_target', 'table4_seaquest_linear'])
def test_experiments_can_be_made(name, tmp_path):
    config.load(config.read(os.path.join(FOLDER, f'{name}.gin')))
    try:
        run = gin.get_configurable(runner.Run)()
        made = run.experiment(run_dir=str(tmp_path), seed=0, data_dir=None, strategy=None)
        if name.startswith('table'):
            made = made._agent(0.0005)
            optimizer = made.agent._optimizer
            assert float(optimizer.learning_rate) == pytest.approx(0.0005)
            assert optimizer.epsilon == 0.01 / 32 ** 2
        if name == 'breakout_nature':
            assert made.model.count_params() == 1_686_180
            assert float(made.agent._optimizer.learning_rate) == pytest.approx(0.00025)
        assert made.data.name == name.split('_')['table' in name]
    finally:
        config.clear()


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__]))
