"""DQN on several machines: the learner, which has the replay server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import tensorflow as tf

from official.core import callbacks, checkpoints, checks, history, run_folder
from research.dqn import agent as dqn_agent
from research.dqn import evaluation as dqn_evaluation
from research.dqn import learner, play, reverb_replay

_ADDRESS = 'server.txt'


class ReverbLearner(play.AgentExperiment):
    """Learns from what `ReverbActor`s play, as Algorithm 1 does.

    The replay server is in this process; its address is printed and in `server.txt` of the run
    folder. A learner that is stopped and started again goes on from its last checkpoint, at the
    same port, and its actors find it again. All counts are of parameter updates or transitions.

    - Actors play with weights that are up to `publish_every_updates` and their own interval old.
    - A run that goes on is not one that was never stopped: transitions since the last checkpoint
      are lost, and who comes first is chance anyway.

    Args:
      run_dir: see `Experiment`.
      seed: of the weights and the evaluations.
      data_dir: see `AgentExperiment`.
      strategy: one device, or several between which minibatches are divided.
      environment: see `AgentExperiment`; here for evaluation alone.
      q_network: see `AgentExperiment`.
      optimizer: see `AgentExperiment`.
      agent: see `AgentExperiment`.
      port: of the server; 0 for the one it had before, or any free one.
      capacity_transitions: how many the replay memory keeps.
      replay_start_transitions: how many there must be before learning starts.
      update_period_transitions: new transitions for an update; actors or learner wait.
      lead_updates: how many updates the learner may be ahead of that, and the actors may.
      n_step: steps of a transition.
      minibatch_size: transitions in an update.
      clip_rewards: learn from the sign of the rewards.
      train_updates: updates in all.
      publish_every_updates: updates between two states of the weights that actors see.
      save_every_updates: updates between checkpoints and rows of the history.
      evaluate_every_updates: updates between evaluations, a multiple of it; None for none.
      save_replay: whether a checkpoint has the replay memory; else it is filled anew. It goes to
        the folder `replay` in the run folder, compressed; the server halts while it is written.
      linger_seconds: how long the server stays at the end, to tell the actors.
      periodic_evaluation: `evaluation.Evaluation` of these.
      final_evaluation: see `AgentExperiment`.
      report_best: see `AgentExperiment`.
      num_held_out_states: see `DqnExperiment`.
      random_hertz: see `AgentExperiment`.
      bfloat16: see `AgentExperiment`.
      jit_compile: compile the update with XLA, where the strategy can.
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
        port: int = 0,
        capacity_transitions: int = 1_000_000,
        replay_start_transitions: int = 50_000,
        update_period_transitions: int = 4,
        lead_updates: int = 100,
        n_step: int = 1,
        minibatch_size: int = 32,
        clip_rewards: bool = True,
        train_updates: int = 12_500_000,
        publish_every_updates: int = 100,
        save_every_updates: int = 12_500,
        evaluate_every_updates: int | None = 62_500,
        save_replay: bool = True,
        linger_seconds: float = 10,
        periodic_evaluation: dqn_evaluation.Evaluation = dqn_evaluation.Evaluation(
            episodes=None, agent_steps=135_000
        ),
        final_evaluation: dqn_evaluation.Evaluation = dqn_evaluation.Evaluation(),
        report_best: bool = True,
        num_held_out_states: int = 500,
        random_hertz: tuple[int, ...] = (10, 60),
        bfloat16: bool = False,
        jit_compile: bool = False,
        reporter: Callable | None = None,
        title: str = '',
    ):
        checks.positive(
            'ReverbLearner',
            update_period_transitions=update_period_transitions,
            lead_updates=lead_updates,
            n_step=n_step,
            minibatch_size=minibatch_size,
            train_updates=train_updates,
            publish_every_updates=publish_every_updates,
            save_every_updates=save_every_updates,
        )
        if evaluate_every_updates and evaluate_every_updates % save_every_updates:
            raise ValueError(
                f'ReverbLearner.evaluate_every_updates = {evaluate_every_updates} is not a '
                f'multiple of save_every_updates = {save_every_updates}.'
            )
        if evaluate_every_updates is not None:
            checks.positive('ReverbLearner', evaluate_every_updates=evaluate_every_updates)
        if port not in range(65536):
            raise ValueError(f'ReverbLearner.port = {port!r} is outside [0, 65535].')
        super().__init__(
            run_dir,
            seed,
            data_dir,
            strategy,
            environment=environment,
            q_network=q_network,
            optimizer=optimizer,
            agent=agent,
            num_games=1,
            final_evaluation=final_evaluation,
            report_best=report_best and bool(evaluate_every_updates),
            random_hertz=random_hertz,
            bfloat16=bfloat16,
            reporter=reporter,
            title=title,
        )
        height, width, frames = self.env.observation_spec().shape
        self._rules = reverb_replay.Rules(frames, n_step, self.agent.discount, clip_rewards)
        self._make_server = lambda: reverb_replay.ReplayServer(
            (height, width),
            reverb_replay.broadcast(self.model.variables, self._rules),
            self._rules,
            capacity_transitions=capacity_transitions,
            min_transitions=replay_start_transitions,
            samples_per_insert=minibatch_size / update_period_transitions,
            error_buffer_samples=minibatch_size * lead_updates,
            port=port or self._previous_port(),
            directory=os.path.join(run_dir, 'replay') if save_replay else None,
        )
        self._minibatch_size = minibatch_size
        self._train_updates = train_updates
        self._publish_every = publish_every_updates
        self._save_every = save_every_updates
        self._evaluate_every = evaluate_every_updates
        self._save_replay = save_replay
        self._linger_seconds = linger_seconds
        self._periodic_evaluation = periodic_evaluation
        self._num_held_out_states = num_held_out_states
        self._learner = learner.Learner(self.agent, self.strategy, jit_compile)
        self._values = tf.function(self.agent.model)
        self._best = play.Best()
        self._checkpoints = checkpoints.Checkpoints(
            os.path.join(run_dir, 'checkpoints'),
            {'agent': self.agent, 'best': self._best},
            write=self.is_chief,
        )

    @property
    def step(self) -> int:
        """Parameter updates of the weights that the agent has."""
        return int(self.agent.train_step_counter.numpy())

    def restore(self, best: bool) -> None:
        play.restore(self._checkpoints, self._best.step, best)

    def train(self) -> None:
        """Learns to the end, from the last checkpoint if there is one.

        Raises:
          FloatingPointError: a loss is not finite.
          OSError: the port is in use.
        """
        if self._checkpoints.steps():
            self.restore(best=False)
        if self.step >= self._train_updates:
            return
        rows = history.History(self.run_dir, self.step, write=self.is_chief)
        progress = callbacks.Progress(
            self.step, self._train_updates, os.path.basename(os.path.normpath(self.run_dir))
        )
        server = self._make_server()
        try:
            server.publish(self.step)
            run_folder.write_text(os.path.join(self.run_dir, _ADDRESS), server.address + '\n')
            print(
                f'The replay server is at {server.address}; actors take it as '
                f'--gin_param="ReverbActor.server=\'{server.address}\'".',
                flush=True,
            )
            with callbacks.Preemption(lambda: self._save(server), lambda: self.step) as preemption:
                self._learn(server, rows, progress, preemption)
            server.publish(self.step, done=True)
            time.sleep(self._linger_seconds)
        finally:
            progress.close()
            server.stop()

    def _previous_port(self) -> int:
        try:
            with open(os.path.join(self.run_dir, _ADDRESS), encoding='utf-8') as file:
                return int(file.read().rpartition(':')[2])
        except (OSError, ValueError):
            return 0

    def _learn(self, server, rows, progress, preemption) -> None:
        reader = reverb_replay.ReplayReader(server, self._rules, preemption.check)
        states = dqn_evaluation.held_out_states(
            self.environment, self._num_held_out_states, play.seed_of(self.seed, 1)
        )
        seconds = rows.rows[-1].get('train_seconds', 0.0) if rows.rows else 0.0
        clock, first, losses, sampling = time.monotonic(), self.step, 0.0, 0.0
        for update in range(self.step, self._train_updates):
            start = time.perf_counter()
            batch = reader.sample(self._minibatch_size, update)
            sampling += time.perf_counter() - start
            try:
                losses += self._learner(batch)[0]
            except tf.errors.InvalidArgumentError as error:
                if 'inf or nan' not in str(error):
                    raise
                raise FloatingPointError(
                    f'The loss of update {update} is not finite; the last good checkpoint is '
                    f'{self._last_checkpoint()}.'
                ) from error
            done = update + 1
            if done % self._publish_every == 0:
                server.publish(done)
                progress.advance(done)
            if done % self._save_every == 0 or done == self._train_updates:
                duration = time.monotonic() - clock
                seconds += duration
                values = {
                    'train_seconds': seconds,
                    'updates_per_second': (done - first) / duration,
                    'seconds_sampling': sampling,
                    'loss': losses / (done - first),
                    **dict(
                        zip(
                            ('replay_transitions', 'transitions'), server.transitions(), strict=True
                        )
                    ),
                }
                self._end_interval(server, rows, progress, values, states)
                clock, first, losses, sampling = time.monotonic(), done, 0.0, 0.0
            preemption.check()

    def _end_interval(self, server, rows, progress, values, states) -> None:
        step = self.step
        if step == self._train_updates or (
            self._evaluate_every and step % self._evaluate_every == 0
        ):
            seed = play.seed_of(self.seed, 2 + step)
            scores = self.play(self._periodic_evaluation, seed).result()
            values |= {name: scores[name] for name in ('score', 'score_std')}
            values['predicted_q'] = play.average_max_value(self._values, states)
            self._best.note(step, scores['score'])
        rows.add(step, values)
        self._save(server)
        progress.advance(step)
        progress.show({name: values[name] for name in ('score', 'loss') if name in values})

    def _save(self, server) -> str:
        if not checkpoints.all_finite(self.agent.model.trainable_variables):
            raise FloatingPointError(
                f'A weight is not finite at update {self.step}; the last good checkpoint is '
                f'{self._last_checkpoint()}.'
            )
        if self._save_replay:  # First: of a kill between the two the weights alone are older.
            server.checkpoint()
        return self._checkpoints.save(self.step, keep={int(self._best.step.numpy())})

    def _last_checkpoint(self) -> str:
        steps = self._checkpoints.steps()
        return self._checkpoints.path(steps[-1]) if steps else 'none'
