"""A DQN experiment that takes seconds."""

import functools

from official.modeling import optimizers
from research.dqn import agent, catch, environment, evaluation, experiment, network, policy, replay


def make(run_dir, strategy=None, game=catch.Catch, **overrides):
    """600 agent steps of Catch by two players, a checkpoint and an evaluation every 200."""
    arguments = dict(
        seed=3,
        environment=functools.partial(
            environment.GameEnvironment, game, frame_size=20, history=2, max_noop_frames=8
        ),
        q_network=functools.partial(
            network.NatureQNetwork, convolutions=((8, 4, 2),), hidden_units=16
        ),
        optimizer=lambda: optimizers.FusedAdam(1e-3, epsilon=1e-3),
        agent=functools.partial(agent.DqnAgent, target_update_period_updates=30),
        replay=functools.partial(replay.FrameReplay, capacity_frames=300),
        epsilon=policy.LinearEpsilon(1.0, 0.1, 400),
        num_games=2,
        train_agent_steps=600,
        replay_start_agent_steps=100,
        update_period_agent_steps=4,
        minibatch_size=8,
        save_every_agent_steps=200,
        evaluate_every_agent_steps=200,
        periodic_evaluation=evaluation.Evaluation(episodes=2, num_games=2),
        final_evaluation=evaluation.Evaluation(episodes=3, num_games=2),
        num_held_out_states=5,
        keep_replay=True,
    )
    return experiment.DqnExperiment(str(run_dir), strategy=strategy, **{**arguments, **overrides})
