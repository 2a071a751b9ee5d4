"""The gin files of research/dqn against the paper's tables."""

import glob
import os
import re

import gin
import pytest

from official.core import config, gin_source, runner, suite
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


def test_reverb_plays_as_catch_does():
    """Learner and actors over Reverb have the frames and the network of catch.gin."""
    shared, own = values('_catch_reverb'), values('catch')
    assert set(shared) == {
        name for name in own if name.startswith(('GameEnvironment.', 'NatureQNetwork.'))
    }
    assert {name: str(value) for name, value in shared.items()} == {
        name: str(own[name]) for name in shared
    }


# What a file of the paper's setting binds, all of it.
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
    'CentredRMSProp.rho': 0.95,  # Of both gradient and squared gradient.
    'CentredRMSProp.epsilon': 0.01 / 32**2,  # The gradient is a mean of 32, no sum.
    'LinearEpsilon.initial': 1.0,
    'LinearEpsilon.final': 0.1,
    'LinearEpsilon.final_agent_steps': 1_000_000,
    'DqnExperiment.replay_start_agent_steps': 50_000,
    'GameEnvironment.max_noop_frames': 30,
}
METHODS = {
    # "Preprocessing", "Model architecture".
    'GameEnvironment.frame_size': 84,
    'DqnExperiment.q_network': '@network.NatureQNetwork',
    'NatureQNetwork.convolutions': ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    'NatureQNetwork.hidden_units': 512,
    # "Training details".
    'DqnExperiment.clip_rewards': True,
    'GameEnvironment.life_loss_is_terminal': True,
    'DqnExperiment.optimizer': '@optimizers.CentredRMSProp',
    'DqnExperiment.train_agent_steps': 50_000_000,
    'DqnExperiment.epsilon': '@policy.LinearEpsilon()',
    # "over the first million frames".
    'LinearEpsilon.start_agent_steps': 0,
    # "Training algorithm": clipped to [-1, 1]; one game; an update sees the step before it.
    'DqnAgent.error_clip': 1.0,
    'DqnExperiment.num_games': 1,
    'DqnExperiment.overlap': False,
    # "Evaluation procedure": 30 times for up to 5 minutes at 60 Hz, epsilon = 0.05.
    'DqnExperiment.final_evaluation': '@final/evaluation.Evaluation()',
    'final/Evaluation.episodes': 30,
    'final/Evaluation.agent_steps': None,
    'final/Evaluation.max_episode_frames': 5 * 60 * 60,
    'final/Evaluation.epsilon': 0.05,
    # Extended Data Tables 3 and 4: every 250 000 frames for 135 000, the highest counts.
    'DqnExperiment.evaluate_every_agent_steps': 250_000,
    'DqnExperiment.periodic_evaluation': '@periodic/evaluation.Evaluation()',
    'periodic/Evaluation.episodes': None,
    'periodic/Evaluation.agent_steps': 135_000,
    'periodic/Evaluation.epsilon': 0.05,
    'DqnExperiment.report_best': True,
}
NOT_IN_THE_PAPER = {
    'DqnAgent.double': False,
    'NatureQNetwork.dueling': False,
    'FrameReplay.n_step': 1,
    'FrameReplay.newest_only': False,
    'FrameReplay.prioritization': None,
    'AtariGame.repeat_action_probability': 0.0,
    'DqnExperiment.bfloat16': False,
}
OURS = {
    'Run.experiment': '@experiment.DqnExperiment',
    'Run.num_seeds': 1,
    'DqnExperiment.environment': '@environment.GameEnvironment',
    'GameEnvironment.game': '@atari.AtariGame',
    'DqnExperiment.agent': '@agent.DqnAgent',
    'DqnExperiment.replay': '@replay.FrameReplay',
    'DqnExperiment.save_every_agent_steps': 50_000,
    'DqnExperiment.num_held_out_states': 500,
    'DqnExperiment.film_at_agent_steps': (1_000_000, 5_000_000, 20_000_000, 50_000_000),
    'periodic/Evaluation.max_episode_frames': 5 * 60 * 60,
    'DqnExperiment.reporter': '@report.DqnReport()',
    'DqnReport.agent_steps_per_epoch': 250_000,
}
NATURE = {**TABLE_1, **METHODS, **NOT_IN_THE_PAPER, **OURS}


def check(name, game, title, **overrides):
    """Every binding of a file, neither more nor fewer, is what the paper's tables have."""
    bound = {
        key: str(value) if isinstance(value, gin_source.Reference) else value
        for key, value in values(name).items()
    }
    expected = {
        **NATURE,
        'AtariGame.rom': game,
        'DqnExperiment.title': title,
        **{key.replace('__', '.').replace('_of_', '/'): value for key, value in overrides.items()},
    }
    assert {key: repr(bound.get(key, 'missing')) for key in {**bound, **expected}} == {
        key: repr(expected.get(key, 'should not be there')) for key in {**bound, **expected}
    }


@pytest.mark.parametrize('game', games.GAMES)
def test_nature_files_are_the_papers_setting(game):
    check(f'nature/{game}', game, games.table()[game].name)


def test_figure_2():
    """Space Invaders and Seaquest, epsilon = 0.05 for 520 000 frames."""
    for game in ('space_invaders', 'seaquest'):
        check(
            f'figure2/{game}',
            game,
            f'{games.table()[game].name}, Figure 2',
            **{
                'periodic_of_Evaluation__agent_steps': 520_000,
                'periodic_of_Evaluation__max_episode_frames': None,
            },
        )


@pytest.mark.parametrize('kind', ['nature', 'double_three_step'])
def test_every_game_has_both_files(kind):
    assert names(f'{kind}/[!_]*.gin') == set(games.GAMES)
    for game in games.GAMES:
        assert values(f'{kind}/{game}')['AtariGame.rom'] == game


def test_purposes_have_the_papers_figures():
    """Extended Data Table 2: the scores of DQN, of random play and of the human."""
    for game, row in games.table().items():
        with open(os.path.join(FOLDER, 'nature', f'{game}.gin'), encoding='utf-8') as file:
            first = file.readline()
        assert first.startswith(f'# {row.name}, ')
        numbers = re.search(r'paper: (\S+) \+- (\S+); random: (\S+); human: (\S+)\)', first)
        assert [float(number) for number in numbers.groups()] == [
            row.dqn, row.dqn_std, row.random, row.human,
        ]  # fmt: skip


def test_double_three_step_says_that_it_is_another_algorithm():
    bound = values('double_three_step/pong')
    assert bound['DqnAgent.double'] is True and bound['FrameReplay.n_step'] == 3
    assert bound['DqnExperiment.optimizer'].selector == 'optimizers.FusedAdam'
    for name in ('double_three_step', '_double_three_step'):
        with open(os.path.join(FOLDER, f'{name}.gin'), encoding='utf-8') as file:
            assert file.readline().startswith('# Another algorithm')
    assert bound['DqnExperiment.title'] == 'Pong, double, three-step'


@pytest.mark.parametrize('game', TABLES_3_AND_4)
def test_extended_data_tables_3_and_4(game):
    """10 million frames, three learning rates, episodes that are not cut at 5 minutes."""
    variants = [
        (
            f'table3/{game}_{replay}_{target}',
            {'replay': 'with replay', 'no_replay': 'without replay'}[replay]
            + ', '
            + {'target': 'with target Q', 'no_target': 'without target Q'}[target],
        )
        for replay in ('replay', 'no_replay')
        for target in ('target', 'no_target')
    ]
    variants.append((f'table4/{game}', 'linear'))
    title = games.table()[game].name
    for (name, cell), score in zip(variants, TABLES_3_AND_4[game], strict=True):
        table = name[5]
        overrides = {
            'Run__experiment': '@learning_rates.LearningRates',
            'LearningRates__experiment': '@experiment.DqnExperiment',
            'LearningRates__optimizer': '@optimizers.CentredRMSProp',
            # "three different learning rates": which, the paper does not say.
            'LearningRates__rates': (0.000125, 0.00025, 0.0005),
            'LearningRates__reference': {
                'cell': f'Extended Data Table {table}, {title}, {cell}',
                'score': score,
            },
            'DqnExperiment__train_agent_steps': 10_000_000,
            'periodic_of_Evaluation__max_episode_frames': None,
            'final_of_Evaluation__max_episode_frames': None,
        }
        if 'no_replay' in name:
            overrides['FrameReplay__newest_only'] = True
        if 'no_target' in name:
            overrides['DqnAgent__target_update_period_updates'] = 1
        if cell == 'linear':
            overrides['DqnExperiment__q_network'] = '@network.LinearQNetwork'
        check(name, game, f'{title}, {"linear network" if cell == "linear" else cell}', **overrides)


@pytest.mark.parametrize('name', ['nature', 'double_three_step', 'table3', 'table4', 'figure2'])
def test_suites_run_every_file_of_their_table(name):
    bound = values(name)
    kind = 'Suite' if name[:5] in ('table', 'figur') else 'GamesSuite'  # Figure 3 is in its report.
    assert bound['Run.experiment'].selector.endswith(f'.{kind}')
    files = suite.matching(bound[f'{kind}.files'])
    assert {os.path.basename(path)[:-4] for path in files} == names(f'{name}/[!_]*.gin')
    assert len(files) == len(set(files))


@pytest.mark.parametrize(
    'name',
    [
        'catch',
        'nature/breakout',
        'double_three_step/pong',
        'table3/enduro_no_replay_no_target',
        'table4/seaquest',
    ],
)
def test_experiments_can_be_made(name, tmp_path):
    config.load(config.read(os.path.join(FOLDER, f'{name}.gin')))
    try:
        run = gin.get_configurable(runner.Run)()
        made = run.experiment(run_dir=str(tmp_path), seed=0, data_dir=None, strategy=None)
        if name.startswith('table'):
            made = made._agent(0.0005)
            optimizer = made.agent._optimizer
            assert float(optimizer.learning_rate) == pytest.approx(0.0005)
            assert optimizer.epsilon == 0.01 / 32**2
        if name == 'nature/breakout':
            assert made.model.count_params() == 1_686_180
            assert float(made.agent._optimizer.learning_rate) == pytest.approx(0.00025)
        assert made.data.name == name.split('/')[-1].split('_')[0]
    finally:
        config.clear()
