"""A driver of tf-agents that plays in the background while the agent learns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import numpy as np
from tf_agents.drivers import driver
from tf_agents.trajectories import policy_step, trajectory

from research.dqn import policy as dqn_policy


class Collector(driver.Driver):
    """Plays one step of every game; what happened goes to the observers.

    `begin` chooses the actions and lets a thread play them; `finish` waits for it. An update
    between the two overlaps with the emulators, and since it neither acts nor appends to the replay
    memory, what it computes does not depend on who was faster.

    Args:
      env: a batched `PyEnvironment`, such as `GameEnvironment`.
      policy: a `TFPolicy`.
      observers: called with a `Trajectory` after every step, such as tf-agents' metrics.
      transition_observers: called with (time step, action step, next time step).
    """

    def __init__(
        self,
        env: Any,
        policy: Any,
        observers: Sequence[Callable] = (),
        transition_observers: Sequence[Callable] = (),
    ):
        super().__init__(env, policy, observers, transition_observers)
        self._act = None
        self._pool = futures.ThreadPoolExecutor(1, thread_name_prefix='games')
        self._pending = None
        # Wall-clock seconds since the last `take_seconds`; playing overlaps with other work.
        self._seconds = {'acting': 0.0, 'emulator': 0.0, 'waiting': 0.0}

    def begin(self, time_step: Any, policy_state: Any) -> None:
        """Chooses actions and has them played in the background."""
        start = time.perf_counter()
        if self._act is None:
            self._act, _ = dqn_policy.acting(self.policy, time_step)
        action, policy_state = self._act(time_step, np.asarray(policy_state))
        self._seconds['acting'] += time.perf_counter() - start
        self._pending = (
            time_step,
            policy_step.PolicyStep(action, policy_state),
            self._pool.submit(self._play, action),
        )

    def _play(self, action):
        start = time.perf_counter()
        time_step = self.env.step(action)
        self._seconds['emulator'] += time.perf_counter() - start
        return time_step

    def finish(self) -> tuple:
        """Waits for the games and tells the observers.

        Returns:
          The next time step, and the policy state.

        Raises:
          environment.GameFailed: a game raised.
        """
        time_step, action_step, future = self._pending
        self._pending = None
        start = time.perf_counter()
        next_time_step = future.result()
        self._seconds['waiting'] += time.perf_counter() - start
        for observer in self.transition_observers:
            observer((time_step, action_step, next_time_step))
        if self.observers:
            step = trajectory.from_transition(
                time_step, action_step._replace(state=()), next_time_step
            )
            for observer in self.observers:
                observer(step)
        return next_time_step, action_step.state

    def run(self, time_step: Any, policy_state: Any = ()) -> tuple:
        """One step of every game; see `finish`."""
        self.begin(time_step, policy_state)
        return self.finish()

    def take_seconds(self) -> dict[str, float]:
        """Seconds spent 'acting', in the 'emulator' and 'waiting' for it since the last call."""
        taken = dict(self._seconds)
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return taken

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown()


def replay_observer(replay: Any, clip_rewards: bool = True) -> Callable:
    """A transition observer that appends to a `FrameReplay`.

    Args:
      replay: of as many streams as there are games.
      clip_rewards: positive rewards become 1 and negative ones -1 (Mnih et al. 2015, "Training
        details").
    """

    def observe(transition):
        _, action_step, step = transition
        reward = np.sign(step.reward) if clip_rewards else step.reward
        replay.append(
            step.observation[..., -1], action_step.action, reward, step.discount, step.is_first()
        )

    return observe
