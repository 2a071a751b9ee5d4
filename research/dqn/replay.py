"""The replay memory D of Mnih et al. 2015 (Methods, Algorithm 1): every frame is stored once."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from official.core import checks
from research.dqn import priorities, storage


class Transitions(NamedTuple):
    """A minibatch of (phi_j, a_j, r_j, phi_j+1), or of n-step transitions.

    Attributes:
      observation: uint8 [batch, height, width, history], oldest frame first.
      action: int32 [batch].
      reward: float32 [batch], sum of discount^k r_(j+k) over the n steps.
      discount: float32 [batch], 0 where the episode ended on the way, else discount^(n - 1): what
        discount * max_a Q(next observation, a) is multiplied by in the target.
      next_observation: as observation.
      weight: float32 [batch], importance weights; ones without prioritization.
      index: int64 [batch], number of each transition among all that were ever appended, for
        `FrameReplay.update_priorities`.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    next_observation: np.ndarray
    weight: np.ndarray
    index: np.ndarray


class FrameReplay:
    """The most recent frames of one or several games, from which transitions are sampled.

    A frame of 84 x 84 takes 7 056 bytes plus 13 of action, reward, discount and flag; stacks are
    put together when they are sampled, frames from before an episode's beginning as zeros.

    - The oldest `history` - 1 frames only complete the stacks of younger ones.
    - The end of an episode's life is no end of its stack: the game goes on there (see
      `environment.GameEnvironment`).

    Args:
      capacity_frames: frames kept, over all streams.
      frame_shape: height and width.
      history: frames in an observation, the paper's m.
      num_streams: games that are played at once.
      n_step: steps of a transition (Sutton 1988); 1 in the paper.
      discount: gamma, for `n_step` above 1.
      newest_only: sample the newest transitions in place of random ones: "without replay" of
        Extended Data Table 3. The paper does not say what an update learns from then; here it is
        the newest minibatch.
      prioritization: `priorities.Prioritization`, or None for uniform sampling as in the paper.
      seed: sampling is a function of it, the contents and `key`.
      directory: folder for the frames, which a restarted process finds again; None: memory only.
      slack_frames: how many frames can be appended between two commits; needed with a directory.

    Raises:
      ValueError: an argument is out of range, the memory does not fit, or the folder has another.
      OSError: it does not fit onto the disk.
    """

    def __init__(
        self,
        capacity_frames: int = 1_000_000,
        frame_shape: tuple[int, int] = (84, 84),
        history: int = 4,
        num_streams: int = 1,
        n_step: int = 1,
        discount: float = 0.99,
        newest_only: bool = False,
        prioritization: priorities.Prioritization | None = None,
        seed: int = 0,
        directory: str | None = None,
        slack_frames: int = 0,
    ):
        checks.positive(
            'FrameReplay',
            capacity_frames=capacity_frames,
            history=history,
            num_streams=num_streams,
            n_step=n_step,
        )
        checks.within('FrameReplay', 0, 1, discount=discount)
        if len(frame_shape) != 2 or min(frame_shape) < 1:
            raise ValueError(
                f'FrameReplay.frame_shape = {tuple(frame_shape)} must be a height and a width.'
            )
        if not isinstance(prioritization, (priorities.Prioritization, type(None))):
            raise ValueError(
                f'FrameReplay.prioritization = {prioritization!r} must be a Prioritization or None.'
            )
        if directory and slack_frames < num_streams:
            raise ValueError(
                f'FrameReplay.slack_frames = {slack_frames} leaves no room to append '
                f'to {directory} before the first commit.'
            )
        slots = capacity_frames // num_streams
        if slots < history + n_step:
            raise ValueError(
                f'FrameReplay.capacity_frames = {capacity_frames} is too small for {num_streams} '
                f'streams, a history of {history} and {n_step} steps.'
            )
        self.history = history
        self.num_streams = num_streams
        self.n_step = n_step
        self.discount = discount
        self.newest_only = newest_only
        self.seed = seed
        self._shape = tuple(frame_shape)
        self._ring = storage.Ring(
            slots, -(-slack_frames // num_streams), num_streams, self._shape, directory
        )
        self._zeros = np.zeros(self._shape, np.uint8)
        self.prioritization = prioritization
        if prioritization is not None:
            self._tree = priorities.SumTree(len(self._ring.steps) * num_streams)
            self._max_priority = 1.0

    def __len__(self) -> int:
        """Frames that are kept now."""
        return (self._ring.count - self._ring.oldest) * self.num_streams

    @property
    def nbytes(self) -> int:
        """Bytes of a full memory, its slack included."""
        return self._ring.nbytes

    # Writing.

    def append(
        self,
        frames: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        discounts: np.ndarray,
        first: np.ndarray,
    ) -> None:
        """Appends the newest frame of every stream and the step that led to it.

        Args:
          frames: uint8 [num_streams, height, width].
          actions: int [num_streams], taken before these frames.
          rewards: float [num_streams], of these actions.
          discounts: float [num_streams], 0 if the action ended an episode (or a life), else 1.
          first: bool [num_streams]: the frame begins an episode; then no action led to it.

        Raises:
          ValueError: the frames have another shape or dtype.
        """
        ring = self._ring
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.shape != (self.num_streams, *self._shape):
            raise ValueError(
                f'Frames {frames.dtype} {list(frames.shape)} are not uint8 '
                f'{[self.num_streams, *self._shape]}.'
            )
        if not ring.count:
            first = np.ones(self.num_streams, bool)
        before = self._range()
        ring.append(frames, actions, rewards, discounts, first)
        if self.prioritization is not None:
            self._prioritize_newest(before)

    def _prioritize_newest(self, before: tuple[int, int]) -> None:
        streams = np.arange(self.num_streams)
        low, high = self._range()
        for gone in range(before[0], low):
            self._tree.set(self._flat(gone, streams), np.zeros(self.num_streams))
        if high >= low:
            valid = self._steps(np.full(self.num_streams, high), streams)[2]
            self._tree.set(self._flat(high, streams), np.where(valid, self._max_priority, 0.0))

    # Sampling.

    def _range(self) -> tuple[int, int]:
        """The first and the last slot that a transition can begin at."""
        oldest = self._ring.oldest
        return oldest + (self.history - 1 if oldest else 0), self._ring.count - 1 - self.n_step

    def _flat(self, number, stream) -> np.ndarray:
        """Leaf of the transition in the tree of priorities."""
        return self._ring.place(number) * self.num_streams + stream

    def sample(self, batch_size: int, key: int) -> Transitions:
        """Draws a minibatch, uniformly and with replacement.

        Args:
          batch_size: how many transitions.
          key: number of the update; the same contents and key give the same minibatch.

        Raises:
          ValueError: the memory has no transition yet.
        """
        low, high = self._range()
        if high < low:
            raise ValueError(f'A replay memory of {len(self)} frames has no transition yet.')
        random = np.random.Generator(np.random.Philox(key=[self.seed, key]))
        weight = np.ones(batch_size, np.float32)
        if self.newest_only:
            state, stream = self._newest(batch_size, low, high)
        elif self.prioritization is not None:
            state, stream, weight = self._preferred(batch_size, random, key)
        else:
            state, stream = self._uniform(batch_size, random, low, high)
        action, (reward, discount), _ = self._steps(state, stream)
        return Transitions(
            self._stacks(state, stream),
            action,
            reward,
            discount,
            self._stacks(state + self.n_step, stream),
            weight,
            state * self.num_streams + stream,
        )

    def _uniform(self, batch_size, random, low, high):
        chosen = np.empty((2, 0), np.int64)
        tries = 0
        while chosen.shape[1] < batch_size:
            drawn = np.stack(
                [
                    random.integers(low, high + 1, batch_size),
                    random.integers(0, self.num_streams, batch_size),
                ]
            )
            valid = self._steps(*drawn)[2]
            chosen = np.concatenate([chosen, drawn[:, valid]], axis=1)
            tries += 1
            if tries == 1000:
                raise ValueError(
                    f'No transition among {len(self)} frames: episodes are shorter '
                    f'than {self.n_step + 1} frames.'
                )
        return chosen[:, :batch_size]

    def _newest(self, batch_size, low, high):
        slots = -(-batch_size // self.num_streams)
        while True:
            numbers = np.arange(high, max(low, high - slots + 1) - 1, -1)
            state = np.repeat(numbers, self.num_streams)
            stream = np.tile(np.arange(self.num_streams), len(numbers))
            valid = self._steps(state, stream)[2]
            if valid.sum() >= batch_size or high - slots + 1 <= low:
                break
            slots *= 2
        # Fewer than a minibatch are repeated.
        picked = np.resize(np.flatnonzero(valid), batch_size)
        return state[picked], stream[picked]

    def _preferred(self, batch_size, random, key):
        # One draw from each of batch_size equal ranges (Schaul et al. 2016, Appendix B.2.1).
        total = self._tree.total
        mass = (np.arange(batch_size) + random.random(batch_size)) * (total / batch_size)
        flat = self._tree.find(mass)
        probability = self._tree.values[flat] / total
        weight = self.prioritization.weights(probability, len(self), key)
        place, stream = np.divmod(flat, self.num_streams)
        newest = self._ring.count - 1
        # The absolute number that is now at a place.
        physical = len(self._ring.steps)
        return newest - (self._ring.place(newest) - place) % physical, stream, weight

    def _steps(self, state, stream):
        """action, (reward, discount) and validity of the transitions that begin at `state`."""
        window = state[:, None] + np.arange(1, self.n_step + 1)
        steps = self._ring.steps[self._ring.place(window), stream[:, None]]
        alive = np.ones(len(state), np.float32)
        reward = np.zeros(len(state), np.float32)
        valid = np.ones(len(state), bool)
        for k in range(self.n_step):
            step = steps[:, k]
            # Past an episode's end its successor's steps count for nothing; past a cut, where the
            # episode would have gone on, there is no target.
            valid &= ~(step['first'] & (alive > 0))
            reward += np.float32(self.discount**k) * alive * step['reward']
            alive *= step['discount']
        return (
            steps[:, 0]['action'],
            (reward, np.float32(self.discount ** (self.n_step - 1)) * alive),
            valid,
        )

    def _stacks(self, state, stream) -> np.ndarray:
        """Observations at `state`: uint8 [batch, height, width, history]."""
        ring, history = self._ring, self.history
        number = state[:, None] + np.arange(1 - history, 1)
        place = ring.place(number)
        begins = ring.steps['first'][place, stream[:, None]]
        # A frame is shown if no later one of the stack begins an episode.
        later = np.cumsum(begins[:, ::-1], axis=1)[:, ::-1] - begins
        shown = later == 0
        stacks = np.empty((len(state), *self._shape, history), np.uint8)
        for row in range(len(state)):
            frames = [
                ring.frames[place[row, k], stream[row]] if shown[row, k] else self._zeros
                for k in range(history)
            ]
            if history == 1:
                stacks[row, ..., 0] = frames[0]
            else:
                cv2.merge(frames, dst=stacks[row])  # Ten times as fast as numpy.stack.
        return stacks

    def update_priorities(self, index: np.ndarray, td_error: np.ndarray) -> None:
        """Sets the priorities of transitions by their TD errors; see `Transitions.index`.

        A transition that was overwritten since it was drawn is passed over, and so is one whose
        first frames were: the one that is in its place keeps its own priority.

        Raises:
          ValueError: a TD error is not finite.
        """
        if self.prioritization is None:
            return
        if not np.all(np.isfinite(td_error)):
            raise ValueError('TD errors of a replay memory must be finite.')
        priority = self.prioritization.priority(td_error)
        number, stream = np.divmod(index, self.num_streams)
        kept = number >= self._range()[0]
        if kept.any():
            self._tree.set(self._flat(number, stream)[kept], priority[kept])
        self._max_priority = max(self._max_priority, float(priority.max()))

    # Checkpoints.

    @property
    def is_new(self) -> bool:
        """Whether there is nothing to restore: the folder had no memory."""
        return self._ring.is_new

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds of the memory; the frames are in the folder."""
        state = {
            'count': np.array(self._ring.count),
            'fingerprint': np.array(self._ring.fingerprint()),
        }
        if self.prioritization is not None:
            state |= {
                'priorities': self._tree.values.copy(),
                'max_priority': np.array(self._max_priority),
            }
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes back to the moment of `state`.

        Raises:
          storage.DamagedReplay: a frame is not what was written, or the folder has the memory of
            another run.
        """
        fingerprint = state.get('fingerprint')  # Checkpoints of old have none.
        self._ring.restore(int(state['count']), None if fingerprint is None else int(fingerprint))
        if self.prioritization is not None:
            self._tree.set_all(state['priorities'])
            self._max_priority = float(state['max_priority'])

    def flush(self) -> None:
        """Brings the frames to the disk; to be called before a checkpoint is written."""
        self._ring.flush()

    @property
    def is_commit_due(self) -> bool:
        """Whether the frames of the next step would not fit into the slack."""
        return self._ring.directory is not None and self._ring.slack <= 1

    def commit(self) -> None:
        """Frees the slack; to be called when a checkpoint is whole."""
        self._ring.commit()

    def remove(self) -> None:
        """Removes the frames from the disk."""
        self._ring.remove()
