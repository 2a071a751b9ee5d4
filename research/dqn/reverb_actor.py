"""DQN on several machines: an actor."""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf
from tf_agents.metrics import py_metrics
from tf_agents.specs import tensor_spec

from official.core import checks, experiment, history
from research.dqn import collector, policy, reverb_link, reverb_replay

_IS_LEARNERS = "that is the learner's; run an actor with --mode=train."


class ReverbActor(experiment.Experiment):
    """Plays for a `ReverbLearner` until that has learnt.

    Every actor has its own seed, run folder and clock: epsilon is that of its own agent steps, and
    1 until learning has started. An actor that is started again begins anew.

    Args:
      run_dir: see `Experiment`.
      seed: of the games and the exploration; each actor has its own.
      data_dir: None; the games come with packages.
      strategy: without meaning.
      environment: makes a `GameEnvironment`, called with num_games= and seed=.
      q_network: called as q_network(num_actions=, seed=), gives a Keras model as the learner's.
      server: address of the learner's server, 'host:port'.
      epsilon: gives epsilon of an agent step.
      num_games: games played at once.
      pull_every_agent_steps: steps between two looks at the learner's weights.
      log_every_agent_steps: steps between rows of the history.
      connect_seconds: how long to try to reach the server at first.
      reconnect_seconds: how long the server may be gone later.

    Raises:
      ValueError: a count is not positive.
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
        server: str,
        epsilon: Callable = policy.LinearEpsilon(),
        num_games: int = 1,
        pull_every_agent_steps: int = 400,
        log_every_agent_steps: int = 50_000,
        connect_seconds: float = 20,
        reconnect_seconds: float = 600,
    ):
        checks.no_data_dir('a game', data_dir)
        super().__init__(run_dir, seed, data_dir, strategy)
        checks.positive(
            'ReverbActor',
            num_games=num_games,
            pull_every_agent_steps=pull_every_agent_steps,
            log_every_agent_steps=log_every_agent_steps,
        )
        self._environment = environment
        self._q_network = q_network
        self._server = server
        self._epsilon = epsilon
        self._num_games = num_games
        self._pull_every = pull_every_agent_steps
        self._log_every = log_every_agent_steps
        self._connect_seconds = connect_seconds
        self._reconnect_seconds = reconnect_seconds

    def train(self) -> None:
        """Plays until the learner says that it is done.

        Raises:
          ValueError: the address is none, or the learner's frames or Q-network are others.
          ConnectionError: the server does not answer, or has been gone for too long.
          environment.GameFailed: a game raised.
        """
        env = self._environment(num_games=self._num_games, seed=self.seed)
        model = self._q_network(num_actions=len(env.action_names), seed=self.seed)
        height, width, frames = env.observation_spec().shape
        model(tf.zeros([1, height, width, frames], tf.uint8))
        link = reverb_link.Link(
            self._server,
            (height, width),
            model.variables,
            self._connect_seconds,
            self._reconnect_seconds,
        )
        writer = reverb_replay.TransitionWriter(link.client, self._num_games, link.rules)
        exploration = policy.Epsilon()
        behaviour = policy.EpsilonGreedyPolicy(
            tensor_spec.from_spec(env.time_step_spec()),
            tensor_spec.from_spec(env.action_spec()),
            model,
            exploration,
            self.seed,
        )
        observer = collector.replay_observer(writer, link.rules.clip_rewards)
        metrics = [
            py_metrics.AverageReturnMetric(buffer_size=100, batch_size=self._num_games),
            py_metrics.NumberOfEpisodes(),
        ]
        driver = collector.Collector(env, behaviour, metrics, [observer])
        try:
            self._play(env, driver, behaviour, exploration, link, writer, metrics)
        finally:
            driver.close()

    def _play(self, env, driver, behaviour, exploration, link, writer, metrics) -> None:
        rows = history.History(self.run_dir, -1)
        time_step = env.reset()
        policy_state = behaviour.get_initial_state(self._num_games)
        step, clock, first = 0, time.monotonic(), 0
        while not link.is_done:
            # A uniformly random policy fills the memory before learning starts.
            exploration.assign(self._epsilon(step) if link.updates else 1.0)
            time_step, policy_state = driver.run(time_step, policy_state)
            before, step = step, step + int((~time_step.is_first()).sum())
            # Once a second, while the server makes actors wait or is gone, and now and then.
            while not writer.wait(1.0) and not link.is_done:
                link.pull()
            if step // self._pull_every > before // self._pull_every:
                link.pull()
            if step // self._log_every > before // self._log_every or link.is_done:
                score, episodes = (float(metric.result()) for metric in metrics)
                now = time.monotonic()
                rows.add(
                    step,
                    {
                        'epsilon': exploration.value,
                        'episodes': int(episodes),
                        'updates': link.updates,
                        'agent_steps_per_second': (step - first) / (now - clock),
                        **({'train_score': score} if episodes else {}),
                    },
                )
                clock, first = now, step
        print(f'The learner is done; {step} agent steps of this actor.', flush=True)

    def evaluate(self) -> dict:
        raise ValueError(f'An actor has no result: {_IS_LEARNERS}')

    def export(self) -> str:
        raise ValueError(f'An actor exports nothing: {_IS_LEARNERS}')

    def report(self) -> str:
        raise ValueError(f'An actor has no report: {_IS_LEARNERS}')
