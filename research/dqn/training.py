"""The loop of Algorithm 1: play, remember, learn; with checkpoints that leave nothing out."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.metrics import py_metrics

from official.core import callbacks, checkpoints, distribution, history
from research.dqn import collector, environment, learner, play, policy, replay


class _Bytes(tf.train.experimental.PythonState):
    """Bytes in a checkpoint."""

    def __init__(self):
        super().__init__()
        self.value = b''

    def serialize(self):
        return self.value

    def deserialize(self, string_value):
        self.value = string_value


class _Progress(tf.Module):
    """Where training is."""

    def __init__(self, num_games: int):
        super().__init__()
        self.agent_step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.policy_state = tf.Variable(tf.zeros([num_games], tf.int32), trainable=False)


class Training:
    """One training of an agent in a run folder.

    Arguments that are not here are those of `DqnExperiment`.

    Args:
      run_dir: the run folder.
      seed: the run's seed.
      strategy: of `tf.distribute`.
      agent: a `DqnAgent`.
      env: the games.
      make_replay: called with slack_frames=, gives the replay memory.
      exploration: what the agent's behaviour reads epsilon from.
      epsilon: gives epsilon of an agent step.
      evaluate: called with the agent step, gives `evaluation.Scores`.
      held_out: gives the held-out states.
      at_checkpoint: called with the agent step after a checkpoint that has a row of the history.
    """

    def __init__(
        self,
        run_dir: str,
        seed: int,
        strategy: tf.distribute.Strategy,
        agent: Any,
        env: Any,
        make_replay: Callable,
        exploration: policy.Epsilon,
        epsilon: Callable,
        *,
        train_agent_steps: int,
        replay_start_agent_steps: int,
        update_period_agent_steps: int,
        minibatch_size: int,
        clip_rewards: bool,
        overlap: bool,
        jit_compile: bool,
        save_every_agent_steps: int,
        evaluate_every_agent_steps: int | None,
        keep_replay: bool,
        evaluate: Callable,
        held_out: Callable,
        at_checkpoint: Callable = lambda step: None,
    ):
        self._run_dir = run_dir
        self._agent = agent
        self._env = env
        self._make_replay = make_replay
        self._exploration = exploration
        self._epsilon = epsilon
        self._train_agent_steps = train_agent_steps
        self._replay_start = replay_start_agent_steps
        self._update_period = update_period_agent_steps
        self._minibatch_size = minibatch_size
        self._clip_rewards = clip_rewards
        self._overlap = overlap
        self._save_every = save_every_agent_steps
        self._evaluate_every = evaluate_every_agent_steps
        self._keep_replay = keep_replay
        self._evaluate = evaluate
        self._held_out = held_out
        self._at_checkpoint = at_checkpoint
        self._is_chief = distribution.is_chief(strategy)
        self._learner = learner.Learner(agent, strategy, jit_compile)
        self._values = tf.function(agent.model)
        # Without a batch size these metrics forget what was restored when they are first called.
        self._metrics = [
            py_metrics.AverageReturnMetric(buffer_size=100, batch_size=env.batch_size),
            py_metrics.AverageEpisodeLengthMetric(buffer_size=100, batch_size=env.batch_size),
            py_metrics.NumberOfEpisodes(),
        ]
        self._progress, self._best = _Progress(env.batch_size), play.Best()
        self._games, self._memory, self._interval = _Bytes(), _Bytes(), _Bytes()
        self._checkpoints = checkpoints.Checkpoints(
            os.path.join(run_dir, 'checkpoints'),
            {
                'agent': agent,
                'progress': self._progress,
                'best': self._best,
                'metrics': self._metrics,
                'games': self._games,
                'memory': self._memory,
                'interval': self._interval,
            },
            write=self._is_chief,
        )
        self._replay = None
        self._step = 0
        self._losses = [0.0, 0]  # Their sum and number since the last row of the history.
        # Agent step at which learning begins, and the updates made before it.
        self._learning_starts = [replay_start_agent_steps, 0]

    @property
    def agent_step(self) -> int:
        """Agent steps of the weights that the agent has."""
        return int(self._progress.agent_step.numpy())

    def restore(self, best: bool) -> None:
        """Restores the weights of the last checkpoint, or of the best evaluation.

        Raises:
          FileNotFoundError: there is no checkpoint.
        """
        play.restore(self._checkpoints, self._best.step, best)

    def run(self) -> None:
        """Trains to the end, from the last checkpoint if there is one.

        Where the folder of its replay memory was removed, a new memory is filled before learning
        goes on.

        Raises:
          FloatingPointError: a loss is not finite.
          environment.GameFailed: a game raised; a checkpoint holds all that was played before.
        """
        steps = self._checkpoints.steps()
        if steps:
            self._checkpoints.restore(steps[-1])
        self._step = self.agent_step
        if self._step >= self._train_agent_steps:
            return
        self._replay = self._make_replay(slack_frames=self._save_every)
        if steps:
            self._losses, self._learning_starts = json.loads(self._interval.value)
            if self._replay.is_new:
                self._fill_anew()
            else:
                self._replay.restore(_unpack(self._memory.value))
        rows = history.History(self._run_dir, self._step, write=self._is_chief)
        seconds = rows.rows[-1].get('train_seconds', 0.0) if rows.rows else 0.0
        self._held_out_states = self._held_out()
        progress = callbacks.Progress(
            self._step, self._train_agent_steps, os.path.basename(os.path.normpath(self._run_dir))
        )
        self._collector = driver = collector.Collector(
            self._env,
            self._agent.collect_policy,
            self._metrics,
            [collector.replay_observer(self._replay, self._clip_rewards)],
        )
        try:
            with callbacks.Preemption(self._save, lambda: self._step) as preemption:
                self._loop(driver, rows, progress, preemption, seconds)
            if not self._keep_replay:
                self._replay.remove()
        finally:
            driver.close()
            progress.close()

    def _loop(self, driver, rows, progress, preemption, seconds) -> None:
        time_step = self._begin_games()
        self._policy_state = policy_state = self._progress.policy_state.numpy()
        self._updates = int(self._agent.train_step_counter.numpy())
        clock = time.monotonic()
        work = {'sampling': 0.0, 'updates': 0.0}
        first = self._step
        while self._step < self._train_agent_steps:
            self._set_epsilon()
            # Before the games begin: emulators keep Python's lock, an update does without it.
            batch = self._next_batch(work) if self._overlap else None
            driver.begin(time_step, policy_state)
            if self._overlap:
                self._learn(work, batch)
            try:
                time_step, policy_state = driver.finish()
            except environment.GameFailed as error:
                self._games.value = b''  # Every game begins a new episode.
                raise self._after_saving(error, 'with new episodes', games=False) from error
            before = self._step
            self._step += int(np.sum(~time_step.is_first()))
            self._policy_state = policy_state
            if not self._overlap:
                self._learn(work)
            progress.advance(self._step)
            done = self._step >= self._train_agent_steps
            if done or self._step // self._save_every > before // self._save_every:
                if self._overlap and done:
                    self._learn(work)
                seconds += time.monotonic() - clock
                steps = self._step - first
                speed = steps / max(time.monotonic() - clock, 1e-9)
                values = {
                    'train_seconds': seconds,
                    'agent_steps_per_second': speed,
                    **{
                        f'seconds_{name}': value
                        for name, value in {**work, **driver.take_seconds()}.items()
                    },
                }
                self._end_interval(
                    rows,
                    progress,
                    values,
                    self._evaluate_every is not None
                    and (
                        done or self._step // self._evaluate_every > before // self._evaluate_every
                    ),
                )
                work = dict.fromkeys(work, 0.0)
                first, clock = self._step, time.monotonic()
            elif self._replay.is_commit_due:  # Episodes of a few steps take more frames.
                self._save()
            preemption.check()

    def _begin_games(self):
        """The time step to go on from: that of the checkpoint, or of new episodes."""
        if self._games.value:
            self._env.set_state(self._games.value)
            return self._env.current_time_step()
        time_step = self._env.reset()
        zeros = np.zeros(self._env.batch_size)
        self._replay.append(
            time_step.observation[..., -1], zeros, zeros, zeros + 1, time_step.is_first()
        )
        return time_step

    def _fill_anew(self) -> None:
        """Begins with an empty replay memory where the one of the checkpoint was removed."""
        self._learning_starts = [
            self._step + self._replay_start,
            int(self._agent.train_step_counter.numpy()),
        ]
        print(
            f'The replay memory was removed: learning goes on at agent step '
            f'{self._learning_starts[0]}, when a new one has been filled.',
            flush=True,
        )

    def _set_epsilon(self) -> None:
        # A uniformly random policy fills the memory before learning starts.
        self._exploration.assign(
            1.0 if self._step < self._replay_start else self._epsilon(self._step)
        )

    def _next_batch(self, work) -> replay.Transitions | None:
        """The minibatch of the next update, None if none is due."""
        start, before = self._learning_starts
        if self._updates >= before + max(0, self._step - start) // self._update_period:
            return None
        start = time.perf_counter()
        batch = self._replay.sample(self._minibatch_size, self._updates)
        work['sampling'] += time.perf_counter() - start
        return batch

    def _learn(self, work, batch: replay.Transitions | None = None) -> None:
        """The updates that are due, the first one on `batch` if that is drawn already."""
        batch = batch or self._next_batch(work)
        while batch is not None:
            start = time.perf_counter()
            try:
                loss, td_error = self._learner(batch)
            except tf.errors.InvalidArgumentError as error:
                if 'inf or nan' not in str(error):
                    raise
                raise FloatingPointError(
                    f'The loss of update {self._updates}, agent step {self._step}, is not finite; '
                    f'the last good checkpoint is {self._last_checkpoint()}.'
                ) from error
            self._replay.update_priorities(batch.index, td_error)
            self._losses[0] += loss
            self._losses[1] += 1
            self._updates += 1
            work['updates'] += time.perf_counter() - start
            batch = self._next_batch(work)

    def _end_interval(self, rows, progress, values, evaluate) -> None:
        score, length, episodes = self._metrics
        if episodes.result() > 0:
            values['train_score'] = float(score.result())
            values['train_episode_agent_steps'] = float(length.result())
        values['episodes'] = int(episodes.result())
        values['epsilon'] = self._exploration.value
        values['updates'] = self._updates
        if self._losses[1]:
            values['loss'] = self._losses[0] / self._losses[1]
        self._losses = [0.0, 0]
        if evaluate:
            try:
                scores = self._evaluate(self._step).result()
            except environment.GameFailed as error:
                rows.add(self._step, values)
                raise self._after_saving(error, 'without this evaluation') from error
            values |= {name: scores[name] for name in ('score', 'score_std')}
            values['predicted_q'] = play.average_max_value(self._values, self._held_out_states)
            self._best.note(self._step, scores['score'])
        rows.add(self._step, values)
        self._save()
        if self._is_chief:
            self._at_checkpoint(self._step)
        progress.show(
            {name: values[name] for name in ('train_score', 'score', 'epsilon') if name in values}
        )

    def _after_saving(self, error: environment.GameFailed, how: str, games: bool = True):
        """Saves; the error with where that is."""
        path = self._save(games)
        return environment.GameFailed(
            f'{error} All before agent step {self._step} is in {path}; the same command goes on '
            f'from there {how}.'
        )

    def _save(self, games: bool = True) -> str:
        if not checkpoints.all_finite(self._agent.model.trainable_variables):
            raise FloatingPointError(
                f'A weight is not finite at agent step {self._step}; the last good checkpoint is '
                f'{self._last_checkpoint()}.'
            )
        if games:
            self._games.value = self._env.get_state()
        self._memory.value = _pack(self._replay.state())
        self._interval.value = json.dumps([self._losses, self._learning_starts]).encode()
        self._progress.agent_step.assign(self._step)
        self._progress.policy_state.assign(self._policy_state)
        # The frames first: a checkpoint is never ahead of them.
        self._replay.flush()
        # Without its games, a checkpoint is another one than that of the same step with them.
        path = self._checkpoints.save(
            self._step, keep={int(self._best.step.numpy())}, replace=not games
        )
        self._replay.commit()
        return path

    def _last_checkpoint(self) -> str:
        steps = self._checkpoints.steps()
        return self._checkpoints.path(steps[-1]) if steps else 'none'


def _pack(arrays: dict) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _unpack(data: bytes) -> dict:
    return dict(np.load(io.BytesIO(data)))
