"""A replay memory on a server, for actors on other machines (reverb, Cassirer et al. 2021).

What actors play goes to a `ReplayServer` in the learner's process; the weights come back through a
table of one item. Transitions are those of `replay.FrameReplay`, for the same steps in the same
order. What differs:

- A transition in the server is complete: the oldest frames need no others, and past the end of an
  episode or a cut nothing is waited for but the next episode's first frame.
- Sampling is uniform, from the server's own random numbers: no run is like another. Minibatches
  are fetched a little ahead of the updates.
- There are no priorities, and learning without replay is not for several machines.
- The server answers whoever reaches its port, as gRPC without encryption: a trusted network is
  taken for granted.
"""

from __future__ import annotations

import collections
import errno
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from official.compat.reverb_server import reverb, reverb_variable_container
from research.dqn import replay

TRANSITIONS = 'transitions'
WEIGHTS = reverb_variable_container.DEFAULT_TABLE

# Transitions of a game that may be on their way: more hide the network's latency.
_IN_FLIGHT = 16
ANSWER_SECONDS = 2  # What a server may take for a question.


class Rules(NamedTuple):
    """What actors must know of learning; they get it with the weights.

    Attributes:
      history: frames in an observation.
      n_step: steps of a transition.
      discount: gamma.
      clip_rewards: whether a reward counts by its sign.
    """

    history: int
    n_step: int
    discount: float
    clip_rewards: bool


def broadcast(weights: Any, rules: Rules) -> dict:
    """What is in the table of weights, as variables: weights, 'updates', 'done' and the rules.

    Args:
      weights: the Q-network's variables, which are not copied.
      rules: of the learner; an actor, which does not know them, gives any.
    """

    def variable(value, dtype):
        return tf.Variable(value, trainable=False, dtype=dtype)

    return {
        'done': variable(False, tf.bool),
        'updates': variable(0, tf.int64),
        'rules': [
            variable(value, dtype)
            for value, dtype in zip(rules, (tf.int32, tf.int32, tf.float32, tf.bool), strict=True)
        ],
        'weights': list(weights),
    }


class ReplayServer:
    """The tables, served from this process.

    - Learning begins when `min_transitions` are there. From then on the server lets
      `samples_per_insert` transitions be sampled for each that comes: actors wait for a slow
      learner, the learner waits for slow actors.

    Args:
      frame_shape: height and width.
      variables: what `broadcast` gives.
      rules: the learner's.
      capacity_transitions: how many are kept; the oldest goes first.
      min_transitions: how many there must be before one is sampled.
      samples_per_insert: how often a transition is sampled before its successor is asked for; the
        paper's 32 / 4.
      error_buffer_samples: samples by which either side may be ahead.
      port: of this machine; 0 for any that is free.
      directory: local folder of the checkpoints, from the last of which the tables are filled;
        None for neither.

    Raises:
      ValueError: a number does not fit to another, or a checkpoint is damaged.
      OSError: the port is in use.
    """

    def __init__(
        self,
        frame_shape: tuple[int, int],
        variables: dict,
        rules: Rules,
        *,
        capacity_transitions: int,
        min_transitions: int,
        samples_per_insert: float,
        error_buffer_samples: float,
        port: int = 0,
        directory: str | None = None,
    ):
        if not 1 <= min_transitions <= capacity_transitions:
            raise ValueError(
                f'A replay server of {capacity_transitions} transitions cannot begin '
                f'at {min_transitions}.'
            )
        if error_buffer_samples < max(1.0, samples_per_insert):
            raise ValueError(
                f'An error buffer of {error_buffer_samples} samples is smaller than '
                f'the {samples_per_insert:g} samples of an insert.'
            )
        self.port = _free_port(port)
        frames = rules.history + rules.n_step
        tables = [
            reverb.Table(
                TRANSITIONS,
                reverb.selectors.Uniform(),
                reverb.selectors.Fifo(),
                capacity_transitions,
                reverb.rate_limiters.SampleToInsertRatio(
                    samples_per_insert, min_transitions, error_buffer_samples
                ),
                signature={
                    'frames': tf.TensorSpec([frames, *frame_shape], tf.uint8),
                    'action': tf.TensorSpec([], tf.int32),
                    'reward': tf.TensorSpec([], tf.float32),
                    'discount': tf.TensorSpec([], tf.float32),
                },
            ),
            reverb.Table(
                WEIGHTS,
                reverb.selectors.Fifo(),
                reverb.selectors.Fifo(),
                1,
                reverb.rate_limiters.MinSize(1),
                signature=tf.nest.map_structure(
                    lambda v: tf.TensorSpec(v.shape, v.dtype), variables
                ),
            ),
        ]
        try:
            saved = directory and reverb.checkpointers.DefaultCheckpointer(directory)
            self._server = reverb.Server(tables, self.port, saved)
        except RuntimeError as error:
            if directory is None:
                raise
            raise ValueError(
                f'{directory}: the replay memory cannot be read ({error}). Remove the '
                'folder, and it is filled anew.'
            ) from error
        self.address = f'{socket.gethostname()}:{self.port}'
        self.local_address = f'localhost:{self.port}'
        self._variables = variables
        self._client = reverb.Client(self.local_address)
        self._container = reverb_variable_container.ReverbVariableContainer(self.local_address)

    def publish(self, updates: int, done: bool = False) -> None:
        """Puts the present weights into their table."""
        self._variables['updates'].assign(updates)
        self._variables['done'].assign(done)
        self._container.push(self._variables)

    def transitions(self) -> tuple[int, int]:
        """Transitions that are there, and how many ever came."""
        info = self._client.server_info(ANSWER_SECONDS)[TRANSITIONS]
        return info.current_size, info.rate_limiter_info.insert_stats.completed

    def checkpoint(self) -> None:
        """Writes the tables into the folder, in place of what was there."""
        self._client.checkpoint()

    def stop(self) -> None:
        """Ends the service."""
        self._server.stop()


def _free_port(port: int) -> int:
    """`port` or, for 0, a free one."""
    # gRPC would share a port that another server has, and each would get a part of the actors.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise OSError(f'Port {port} cannot be served from: {error.strerror}.') from error
        return probe.getsockname()[1]


class ReplayReader:
    """Samples what is in a server, with the interface of `replay.FrameReplay`.

    Args:
      server: the server.
      rules: the learner's.
      waiting: called about once a second while the server has nothing to give.
    """

    def __init__(self, server: ReplayServer, rules: Rules, waiting: Callable = lambda: None):
        self._address = server.local_address
        self._rules = rules
        self._waiting = waiting
        self._batch_size = None

    def sample(self, batch_size: int, key: int = 0) -> replay.Transitions:
        """Draws a minibatch, and waits for it as long as it takes.

        Args:
          batch_size: how many transitions; the same each time.
          key: without meaning; the server draws.
        """
        del key
        if batch_size != self._batch_size:
            self._dataset = self._minibatches(batch_size)
            self._batch_size = batch_size
            self._iterator = iter(self._dataset)
        while (batch := next(self._iterator, None)) is None:
            # The time that the server lets a sampler wait is over; that ends an iterator.
            self._waiting()
            self._iterator = iter(self._dataset)
        arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)
        return replay.Transitions(
            *arrays, weight=np.ones(batch_size, np.float32), index=np.zeros(batch_size, np.int64)
        )

    def _minibatches(self, batch_size):
        def transitions(sample):
            data = sample.data
            frames = tf.transpose(data['frames'], [0, 2, 3, 1])
            return (
                frames[..., : self._rules.history],
                data['action'],
                data['reward'],
                data['discount'],
                frames[..., -self._rules.history :],
            )

        dataset = reverb.TrajectoryDataset.from_table_signature(
            self._address,
            TRANSITIONS,
            max_in_flight_samples_per_worker=2 * batch_size,
            num_workers_per_iterator=1,
            rate_limiter_timeout_ms=1000,
        )
        return dataset.batch(batch_size, drop_remainder=True).map(transitions).prefetch(1)


class TransitionWriter:
    """Writes what some games do to a server; takes the place of a `FrameReplay` in an actor.

    Every frame is sent and stored once: a transition refers to `history` + `n_step` frames, those
    of its two observations and between. An episode has frames of zeros around it, `history` - 1
    before, which the first observations show, and `n_step` - 1 behind, where the discount is 0 and
    what is shown does not count. They compress to a few bytes.

    Args:
      client: of the server.
      num_streams: games that are played at once.
      rules: the learner's.
    """

    def __init__(self, client: reverb.Client, num_streams: int, rules: Rules):
        self._streams = [_Stream(client, rules) for _ in range(num_streams)]

    def append(
        self,
        frames: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        discounts: np.ndarray,
        first: np.ndarray,
    ) -> None:
        """Appends the newest frame of every stream and the step that led to it.

        Arguments are those of `FrameReplay.append`. Does not wait; see `wait`.
        """
        for stream, frame, *step, begins in zip(
            self._streams, frames, actions, rewards, discounts, first, strict=True
        ):
            if begins or not stream.begun:
                stream.begin(np.asarray(frame, np.uint8))
            else:
                stream.step(np.asarray(frame, np.uint8), *step)

    def wait(self, seconds: float) -> bool:
        """Waits until the server has taken all but a few transitions of each stream.

        Returns:
          Whether it has; else `seconds` are over: it makes actors wait, or is gone.
        """
        deadline = time.monotonic() + seconds
        return all(stream.wait(max(deadline - time.monotonic(), 0)) for stream in self._streams)

    def flush(self, seconds: float) -> bool:
        """As `wait`, but for every transition."""
        deadline = time.monotonic() + seconds
        return all(stream.wait(max(deadline - time.monotonic(), 0), 0) for stream in self._streams)


class _Stream:
    """One game: its frames, one after another, and the last steps."""

    def __init__(self, client, rules):
        self._rules = rules
        self._span = rules.history + rules.n_step
        self._writer = client.trajectory_writer(num_keep_alive_refs=self._span)
        for column in ('frame', 'action', 'reward', 'discount'):
            # A frame a chunk: a transition is sent at once, and with it no frame of its neighbours.
            self._writer.configure((column,), num_keep_alive_refs=self._span, max_chunk_length=1)
        self._steps = collections.deque(maxlen=rules.n_step)
        self.begun = False

    def begin(self, frame):
        """The first frame of an episode."""
        zeros = np.zeros_like(frame)
        n_step, padding = self._rules.n_step, 0
        if len(self._steps) == n_step:
            self._steps.popleft()  # The transition that begins with it is there.
        # The last episode's last transitions count if it came to its end, not if it was cut off.
        while self._steps and self._sum()[1] == 0:
            while padding < n_step - len(self._steps):
                self._append(zeros)
                padding += 1
            self._insert()
            self._steps.popleft()
        self._steps.clear()
        for _ in range(self._rules.history - 1):
            self._append(zeros)
        self._append(frame)
        self.begun = True

    def step(self, frame, action, reward, discount):
        """A step and the frame it led to."""
        self._steps.append((action, reward, discount))
        self._append(frame)
        if len(self._steps) == self._rules.n_step:
            self._insert()

    def _sum(self):
        """Reward and discount of the steps, as `replay.Transitions` has them."""
        total, alive = np.float32(0), np.float32(1)
        for k, (_, reward, discount) in enumerate(self._steps):
            total += np.float32(self._rules.discount**k) * alive * np.float32(reward)
            alive *= np.float32(discount)
        return total, np.float32(self._rules.discount ** (self._rules.n_step - 1)) * alive

    def _append(self, frame):
        action, (reward, discount) = self._steps[0][0] if self._steps else 0, self._sum()
        self._writer.append(
            {'frame': frame, 'action': np.int32(action), 'reward': reward, 'discount': discount}
        )

    def _insert(self):
        history = self._writer.history
        self._writer.create_item(
            TRANSITIONS,
            1.0,
            {
                'frames': history['frame'][-self._span :],
                **{name: history[name][-1] for name in ('action', 'reward', 'discount')},
            },
        )

    def wait(self, seconds, in_flight=_IN_FLIGHT):
        try:
            self._writer.flush(in_flight, int(1000 * seconds))
        except reverb.DeadlineExceededError:
            return False
        return True
