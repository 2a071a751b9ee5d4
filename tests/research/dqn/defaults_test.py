"""Without a gin file the classes have the values that the paper states."""

import inspect

import pytest

from official.modeling import optimizers
from research.dqn import agent, environment, evaluation, experiment, policy, replay
from tests import conformance

# Extended Data Table 1, and Methods, "Training details" and "Evaluation procedure"; the number of
# held-out states is the authors' code's.
PAPER = {
    environment.GameEnvironment: {
        'frame_skip': 4,
        'frame_size': 84,
        'history': 4,
        'max_noop_frames': 30,
        'life_loss_is_terminal': True,
    },
    replay.FrameReplay: {
        'capacity_frames': 1_000_000,
        'frame_shape': (84, 84),
        'history': 4,
        'discount': 0.99,
        'n_step': 1,
        'prioritization': None,
    },
    agent.DqnAgent: {
        'discount': 0.99,
        'target_update_period_updates': 10_000,
        'double': False,
        'error_clip': 1.0,
    },
    policy.LinearEpsilon: {'initial': 1.0, 'final': 0.1, 'final_agent_steps': 1_000_000},
    experiment.DqnExperiment: {
        'train_agent_steps': 50_000_000,
        'replay_start_agent_steps': 50_000,
        'update_period_agent_steps': 4,
        'minibatch_size': 32,
        'clip_rewards': True,
        'num_held_out_states': 500,
        'random_hertz': (10, 60),
        'bfloat16': False,
    },
    evaluation.Evaluation: {'episodes': 30, 'max_episode_frames': 5 * 60 * 60, 'epsilon': 0.05},
    optimizers.CentredRMSProp: {'learning_rate': 0.00025, 'rho': 0.95, 'epsilon': 0.01 / 32**2},
}


@pytest.mark.parametrize('owner', PAPER, ids=lambda owner: owner.__name__)
def test_defaults(owner):
    conformance.assert_defaults(owner, PAPER[owner])


def test_evaluations_during_training():
    """Extended Data Table 3: every 250 000, for 135 000; of the agent's, as in its code."""
    parameters = inspect.signature(experiment.DqnExperiment.__init__).parameters
    assert parameters['evaluate_every_agent_steps'].default == 250_000
    during = parameters['periodic_evaluation'].default
    assert (during.agent_steps, during.episodes) == (135_000, None)
    assert isinstance(parameters['epsilon'].default, policy.LinearEpsilon)
    assert parameters['agent'].default is agent.DqnAgent
