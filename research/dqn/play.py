"""What experiments with a DQN agent have in common: the agent, how it is measured, its result."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from official.core import checkpoints, checks, history, model_experiment
from research.dqn import agent as dqn_agent
from research.dqn import evaluation as dqn_evaluation
from research.dqn import export, policy


class AgentExperiment(model_experiment.ModelExperiment):
    """An experiment that learns to play a game.

    A subclass trains, and says with `restore` and `step` which weights count.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`.
      data_dir: None; the games come with packages.
      strategy: see `Experiment`.
      environment: makes a `GameEnvironment`, called with num_games=, seed= and, to evaluate, more.
      q_network: called as q_network(num_actions=, seed=), gives a Keras model.
      optimizer: called without arguments.
      agent: called as agent(time_step_spec, action_spec, q_network=, optimizer=, epsilon=, seed=).
      num_games: games of the environment `env`.
      final_evaluation: `evaluation.Evaluation` of the reported score.
      report_best: report and export the agent of the best periodic evaluation, else the last one.
      random_hertz: rates of the random players that the result has beside the agent.
      bfloat16: compute products in bfloat16; weights stay float32.
      reporter: see `ModelExperiment`.
      title: see `ModelExperiment`.

    Attributes:
      agent: the `DqnAgent`.
      env: the environment whose shapes the agent has.
      exploration: what the agent's behaviour reads epsilon from.
    """

    changeable = (
        *model_experiment.ModelExperiment.changeable,
        'final_evaluation',
        'random_hertz',
    )

    def __init__(
        self,
        run_dir: str,
        seed: int,
        data_dir: str | None,
        strategy: tf.distribute.Strategy | None,
        *,
        environment: Callable,
        q_network: Callable,
        optimizer: Callable,
        agent: Callable = dqn_agent.DqnAgent,
        num_games: int,
        final_evaluation: dqn_evaluation.Evaluation,
        report_best: bool,
        random_hertz: tuple[int, ...],
        bfloat16: bool,
        reporter: Callable | None,
        title: str,
    ):
        checks.no_data_dir('a game', data_dir)
        super().__init__(
            run_dir,
            seed,
            data_dir,
            strategy,
            signatures=export.signatures,
            reporter=reporter,
            reference=None,
            title=title,
        )
        for hertz in random_hertz:
            dqn_evaluation.check_hertz(hertz)
        self.environment = environment
        self.final_evaluation = final_evaluation
        self.report_best = report_best
        self.random_hertz = random_hertz
        self.env = environment(num_games=num_games, seed=seed)
        self.data = Game(run_dir, self.env, environment, final_evaluation)
        self.exploration = policy.Epsilon()
        self._actors: dict[tuple[float, int], dqn_evaluation.Actor] = {}
        previous = tf.keras.mixed_precision.global_policy()
        tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if bfloat16 else 'float32')
        try:
            with self.strategy.scope():
                self.agent = agent(
                    tensor_spec.from_spec(self.env.time_step_spec()),
                    tensor_spec.from_spec(self.env.action_spec()),
                    q_network=lambda num_actions: q_network(num_actions=num_actions, seed=seed),
                    optimizer=optimizer(),
                    epsilon=self.exploration,
                    seed=seed,
                )
        finally:
            tf.keras.mixed_precision.set_global_policy(previous)
        self.model = self.agent.model

    @property
    @abc.abstractmethod
    def step(self) -> int:
        """The step of the weights that the agent has, in the unit of the history."""

    @abc.abstractmethod
    def restore(self, best: bool) -> None:
        """Restores the weights of the last checkpoint, or of the best evaluation.

        Raises:
          FileNotFoundError: there is no checkpoint.
        """

    def play(self, protocol: dqn_evaluation.Evaluation, seed: int) -> dqn_evaluation.Scores:
        """Plays with the agent's present weights by an evaluation's protocol."""
        env = protocol.make_environment(self.environment, seed)
        return protocol(env, self.actor(protocol.epsilon, env.batch_size).start(seed))

    def actor(self, epsilon: float, num_games: int) -> dqn_evaluation.Actor:
        """Plays with the agent's present weights."""
        key = epsilon, num_games
        if key not in self._actors:  # TensorFlow keeps 5 MB of every one for ever.
            self._actors[key] = dqn_evaluation.Actor(self.agent.act(epsilon, self.seed))
        return self._actors[key]

    @contextlib.contextmanager
    def reported_model(self) -> Iterator[tf.keras.Model]:
        """The Q-network of the best periodic evaluation, or of the last checkpoint."""
        self.restore(best=self.report_best)
        yield self.model

    def evaluate(self) -> dict:
        """Plays by the final evaluation's protocol and writes `result.json`.

        Returns:
          'step' in the unit of the history, 'seed', 'game', 'score' with its 'score_std' over
          episodes and more (see `evaluation.Scores`), scores of random players as
          'random_<hertz>hz_score', and, for a game of Extended Data Table 2,
          'human_normalized_percent' and 'reference'.
        """
        with self.reported_model():
            scores = self.play(self.final_evaluation, seed_of(self.seed, 0))
        result = {'step': self.step, 'seed': self.seed, 'game': self.data.name, **scores.result()}
        for hertz in self.random_hertz:
            scores = dqn_evaluation.random_play(
                self.environment,
                hertz,
                seed_of(self.seed, 0),
                self.final_evaluation.episodes or 30,
                self.final_evaluation.max_episode_frames,
            )
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

    def __init__(
        self, run_dir: str, env: Any, environment: Callable, protocol: dqn_evaluation.Evaluation
    ):
        self.run_dir = run_dir
        self.name = env.game_name
        self.action_names = env.action_names
        self.frame_skip = env.frame_skip
        self.observation_shape = env.observation_spec().shape
        self.screen_shape = env.screens.shape[2:]
        self._environment = environment
        self._protocol = protocol

    def make(self, seed: int) -> Any:
        """One game as evaluation plays it."""
        return self._protocol.make_environment(self._environment, seed, num_games=1)


class Best(tf.Module):
    """The best periodic evaluation so far, in a checkpoint."""

    def __init__(self):
        super().__init__()
        self.score = tf.Variable(float('-inf'), trainable=False, dtype=tf.float64)
        self.step = tf.Variable(-1, trainable=False, dtype=tf.int64)

    def note(self, step: int, score: float) -> None:
        """Takes a score into account."""
        if score > self.score.numpy():
            self.score.assign(score)
            self.step.assign(step)


def restore(saved: checkpoints.Checkpoints, best_step: tf.Variable, best: bool) -> None:
    """Restores the last checkpoint or, if it is to be the best, that of `best_step` if it is one.

    Raises:
      FileNotFoundError: there is no checkpoint.
    """
    steps = saved.steps()
    if not steps:
        raise FileNotFoundError(f'{saved.directory} has no checkpoint: train first.')
    saved.restore(steps[-1])
    step = int(best_step.numpy())
    if best and 0 <= step != steps[-1]:
        saved.restore(step)


def average_max_value(values: Callable, states: np.ndarray) -> float:
    """max_a Q, averaged over held-out states (Fig. 2c and d).

    Args:
      values: the Q-network.
      states: uint8 [number, height, width, history].
    """
    parts = np.array_split(states, -(-len(states) // 100))
    return float(np.mean(np.concatenate([np.max(values(part), axis=1) for part in parts])))


def seed_of(seed: int, use: int) -> int:
    """A seed for one use of the run's seed."""
    return (seed * 1_000_003 + use) % 2**63
