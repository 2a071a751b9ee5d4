"""Training, evaluation and export of a DQN agent (Mnih et al. 2015, Algorithm 1)."""

from __future__ import annotations

import contextlib
import os
from typing import Callable

import tensorflow as tf
from tf_agents.specs import tensor_spec

from official.core import history
from official.core import model_experiment
from research.dqn import agent as dqn_agent
from research.dqn import evaluation as dqn_evaluation
from research.dqn import export
from research.dqn import policy
from research.dqn import training


class DqnExperiment(model_experiment.ModelExperiment):
    """Learns to play a game.

    A run that is stopped and started again goes on with the same replay memory, games, schedule and
    random numbers: it ends with the same weights. All counts say what they count; an agent step is
    an action chosen by the agent, of `frame_skip` emulator frames. The paper's "frames" are agent
    steps. The defaults are Extended Data Table 1's.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`.
      data_dir: without meaning; the games come with packages.
      strategy: one device, or several between which minibatches are divided.
      environment: makes a `GameEnvironment`, called with num_games=, seed= and, to evaluate, more.
      q_network: called as q_network(num_actions=, seed=), gives a Keras model.
      optimizer: called without arguments.
      agent: called as agent(time_step_spec, action_spec, q_network=, optimizer=, epsilon=, seed=).
      replay: makes a `FrameReplay`, called with frame_shape=, history=, num_streams=, discount=,
        seed=, directory= and slack_frames=.
      epsilon: gives epsilon of an agent step.
      num_games: games played at once in training; the paper has 1.
      train_agent_steps: agent steps in all.
      replay_start_agent_steps: of these, steps of a uniformly random policy before learning starts.
      update_period_agent_steps: agent steps between two parameter updates, "update frequency".
      minibatch_size: transitions in an update.
      clip_rewards: learn from the sign of the rewards.
      overlap: let the emulators play the next step while the agent learns from the steps before;
        otherwise an update sees the step just made, as Algorithm 1 has it.
      save_every_agent_steps: steps between checkpoints and rows of the history.
      evaluate_every_agent_steps: steps between evaluations, a multiple of it; None for none.
      periodic_evaluation: `evaluation.Evaluation` of these.
      final_evaluation: `evaluation.Evaluation` of the reported score.
      report_best: report and export the agent of the best periodic evaluation, else the last one.
      num_held_out_states: states whose average predicted action-value is followed (Fig. 2).
      random_hertz: rates of the random players that the result has beside the agent.
      bfloat16: compute products in bfloat16; weights stay float32.
      jit_compile: compile the update with XLA, where the strategy can.
      replay_dir: local folder of the replay memory; by default in the run folder.
      reporter: see `ModelExperiment`.
      title: see `ModelExperiment`.

    Raises:
      ValueError: a count is not positive, or evaluations do not fall on checkpoints.
    """

    def __init__(
            self,
            run_dir: str,
            seed: int = 0,
            data_dir: str | None = None,
            strategy: tf.distribute.Strategy | None = None,
            *,
            environment: Callable,
            q_network: Callable,
            optimizer: Callable,
            agent: Callable = dqn_agent.DqnAgent,
            replay: Callable,
            epsilon: Callable = policy.LinearEpsilon(),
            num_games: int = 1,
            train_agent_steps: int = 50_000_000,
            replay_start_agent_steps: int = 50_000,
            update_period_agent_steps: int = 4,
            minibatch_size: int = 32,
            clip_rewards: bool = True,
            overlap: bool = False,
            save_every_agent_steps: int = 50_000,
            evaluate_every_agent_steps: int | None = 250_000,
            periodic_evaluation: dqn_evaluation.Evaluation = dqn_evaluation.Evaluation(
                episodes=None, agent_steps=135_000),
            final_evaluation: dqn_evaluation.Evaluation = dqn_evaluation.Evaluation(),
            report_best: bool = True,
            num_held_out_states: int = 500,
            random_hertz: tuple[int, ...] = (10, 60),
            bfloat16: bool = False,
            jit_compile: bool = False,
            replay_dir: str | None = None,
            reporter: Callable | None = None,
            title: str = ''):
        super().__init__(
            run_dir, seed, data_dir, strategy, signatures=export.signatures, reporter=reporter,
            reference=None, title=title)
        for name, count in (
                ('num_games', num_games), ('train_agent_steps', train_agent_steps),
                ('update_period_agent_steps', update_period_agent_steps),
                ('minibatch_size', minibatch_size),
                ('save_every_agent_steps', save_every_agent_steps)):
            if count < 1:
                raise ValueError(f'DqnExperiment.{name} = {count} must be at least 1.')
        if evaluate_every_agent_steps and evaluate_every_agent_steps % save_every_agent_steps:
            raise ValueError(
                f'DqnExperiment.evaluate_every_agent_steps = {evaluate_every_agent_steps} is not a '
                f'multiple of save_every_agent_steps = {save_every_agent_steps}.')
        self.environment = environment
        self.train_agent_steps = train_agent_steps
        self.final_evaluation = final_evaluation
        self.report_best = report_best and bool(evaluate_every_agent_steps)
        self.random_hertz = random_hertz
        env = environment(num_games=num_games, seed=seed)
        self.data = Game(run_dir, env, environment, final_evaluation)
        previous = tf.keras.mixed_precision.global_policy()
        tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if bfloat16 else 'float32')
        try:
            with self.strategy.scope():
                exploration = tf.Variable(1.0, trainable=False, name='epsilon')
                self.agent = agent(
                    tensor_spec.from_spec(env.time_step_spec()),
                    tensor_spec.from_spec(env.action_spec()),
                    q_network=lambda num_actions: q_network(num_actions=num_actions, seed=seed),
                    optimizer=optimizer(), epsilon=exploration, seed=seed)
        finally:
            tf.keras.mixed_precision.set_global_policy(previous)
        self.model = self.agent.model

        def make_replay(**arguments):
            height, width, frames = env.observation_spec().shape
            return replay(
                frame_shape=(height, width), history=frames, num_streams=num_games,
                discount=self.agent.discount, seed=seed,
                directory=replay_dir or os.path.join(run_dir, 'replay'), **arguments)

        self._training = training.Training(
            run_dir, seed, self.strategy, self.agent, env, make_replay, exploration, epsilon,
            train_agent_steps=train_agent_steps,
            replay_start_agent_steps=replay_start_agent_steps,
            update_period_agent_steps=update_period_agent_steps, minibatch_size=minibatch_size,
            clip_rewards=clip_rewards, overlap=overlap, jit_compile=jit_compile,
            save_every_agent_steps=save_every_agent_steps,
            evaluate_every_agent_steps=evaluate_every_agent_steps,
            evaluate=lambda step: self._evaluate_periodically(periodic_evaluation, step),
            held_out=lambda: dqn_evaluation.held_out_states(
                environment, num_held_out_states, _seed(seed, 1)))

    def train(self) -> None:
        self._training.run()

    def _evaluate_periodically(self, protocol, agent_step):
        return self.play(protocol, _seed(self.seed, 2 + agent_step))

    def play(self, protocol: dqn_evaluation.Evaluation, seed: int) -> dqn_evaluation.Scores:
        """Plays with the agent's present weights by an evaluation's protocol."""
        env = protocol.make_environment(self.environment, seed)
        act = dqn_evaluation.actor(self.agent.act(protocol.epsilon, seed), env.batch_size)
        return protocol(env, act)

    @contextlib.contextmanager
    def reported_model(self):
        """The Q-network of the best periodic evaluation, or of the last checkpoint."""
        self._training.restore(best=self.report_best)
        yield self.model

    def evaluate(self) -> dict:
        """Plays by the final evaluation's protocol and writes `result.json`.

        Returns:
          'step' in agent steps, 'seed', 'game', 'score' with its 'score_std' over episodes and
          more (see `evaluation.Scores`), scores of random players as 'random_<hertz>hz_score', and,
          for a game of Extended Data Table 2, 'human_normalized_percent' and 'reference'.
        """
        with self.reported_model():
            scores = self.play(self.final_evaluation, _seed(self.seed, 0))
        result = {'step': self._training.agent_step, 'seed': self.seed,
                  'game': self.data.name, **scores.result()}
        for hertz in self.random_hertz:
            scores = dqn_evaluation.random_play(
                self.environment, hertz, _seed(self.seed, 0),
                self.final_evaluation.episodes or 30, self.final_evaluation.max_episode_frames)
            result[f'random_{hertz}hz_score'] = scores.result()['score']
        result |= dqn_evaluation.against_paper(result['score'], self.data.name)
        rows = history.read(self.run_dir)
        if rows:
            result['train_seconds'] = rows[-1].get('train_seconds')
        return self.write_result(result)


class Game:
    """What signatures and reporters are told of the game.

    Args:
      run_dir: the run folder.
      env: one of its environments.
      environment: makes more.
      protocol: how the agent is evaluated.
    """

    def __init__(self, run_dir: str, env, environment: Callable,
                 protocol: dqn_evaluation.Evaluation):
        self.run_dir = run_dir
        self.name = env.game_name
        self.action_names = env.action_names
        self.frame_skip = env.frame_skip
        self.observation_shape = env.observation_spec().shape
        self.screen_shape = env.screens.shape[2:]
        self._environment = environment
        self._protocol = protocol

    def make(self, seed: int):
        """One game as evaluation plays it."""
        return self._protocol.make_environment(self._environment, seed, num_games=1)


def _seed(seed: int, use: int) -> int:
    """A seed for one use of the run's seed."""
    return (seed * 1_000_003 + use) % 2**63
