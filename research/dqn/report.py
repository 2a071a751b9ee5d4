"""What a DQN run's report shows beside the common parts (Mnih et al. 2015)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks, history, page, report
from official.core.page import Section
from research.dqn import (
    evaluation,
    figure_3,
    games,
    learning_curves,
    pictures,
    recording,
    stages,
    video,
)


class DqnReport:
    """The DQN sections of a report.

    The agent plays with the epsilon of evaluation and is recorded; the recording stays in the run
    folder as `recording.npz`, the film as `play.gif`.

    - A picture that cannot be made is named in its place; the others are there.
    - Extended Data Figure 1 has a human's play beside the agent's. Here it is that of a recording,
      such as another agent's `recording.npz`; without one, of the random player.

    Args:
      agent_steps: steps that are recorded; the paper has 2 hours, 108 000 steps.
      other_recording: path of a recording of another player of the same game.
      film_agent_steps: steps in the film, from the first episode's beginning.
      epsilon: of the agent's play.
      agent_steps_per_epoch: unit of the horizontal axis of Figure 2; None counts agent steps. The
        paper has epochs of 250 000.

    Raises:
      ValueError: a number is out of range.
      FileNotFoundError: there is no such recording.
    """

    def __init__(
        self,
        agent_steps: int = 2000,
        other_recording: str | None = None,
        film_agent_steps: int = 900,
        epsilon: float = 0.05,
        agent_steps_per_epoch: int | None = None,
    ):
        checks.positive('DqnReport', agent_steps=agent_steps, film_agent_steps=film_agent_steps)
        if agent_steps_per_epoch is not None:
            checks.positive('DqnReport', agent_steps_per_epoch=agent_steps_per_epoch)
        checks.within('DqnReport', 0, 1, epsilon=epsilon)
        if other_recording is not None:
            path = os.path.expanduser(other_recording)
            if not os.path.isfile(path):  # Before hours are spent.
                raise FileNotFoundError(
                    f'DqnReport.other_recording: the recording {path} does not exist.'
                )
        self.agent_steps = agent_steps
        self.other_recording = other_recording
        self.film_agent_steps = film_agent_steps
        self.epsilon = epsilon
        self.agent_steps_per_epoch = agent_steps_per_epoch

    def __call__(self, *, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[Section]:
        """The sections.

        Args:
          model: a Q-network with `hidden`.
          data: the `experiment.Game`.
          key: int32 [1, 2], its first number seeds the games.
        """
        seed = int(key[0, 0])
        values = tf.function(model)
        own = recording.record(data.make(seed), self._agent(values, seed), self.agent_steps)
        q_values = in_parts(values, own.observations)
        hidden = in_parts(tf.function(model.hidden), own.observations)
        sections = [
            _section('The agent plays', lambda: self._film(own, data)),
            _section('Learning (Figure 2)', lambda: self._curves(data)),
            _section(
                'Stages of the training (Supplementary Video 2)', lambda: stages.html(data.run_dir)
            ),
            _section(
                'Last hidden layer (Figure 4)',
                lambda: pictures.embedding(hidden, q_values.max(axis=1), own.screens, seed),
            ),
            _section(
                'Two players (Extended Data Figure 1)',
                lambda: self._two_players(model, data, hidden, own, seed),
            ),
            _section(
                'Values along an episode (Extended Data Figure 2)',
                lambda: self._values(q_values, own, data),
            ),
        ]
        if data.name in games.table():
            sections.append(
                _section('Against a human tester (Figure 3)', lambda: self._figure_3(data))
            )
        return [section for section in sections if section.html]

    def _figure_3(self, data) -> str:
        result = report.read_result(os.path.join(data.run_dir, 'result.json'))
        return figure_3.figure_3({data.name: (result['score'], result['score_std'])})

    def _agent(self, values, seed):
        random = np.random.Generator(np.random.Philox(key=[seed, 2]))

        def act(step):
            if random.random() < self.epsilon:
                return random.integers(values(step.observation).shape[1], size=1)
            return np.argmax(values(step.observation), axis=1)

        return act

    def _film(self, own, data) -> str:
        recording.save(own, os.path.join(data.run_dir, 'recording.npz'))
        steps = own.first_episode
        steps = slice(0, min(steps.stop, self.film_agent_steps))
        path = os.path.join(data.run_dir, 'play.gif')
        speed = video.speed(data.frame_skip)
        video.write_gif(own.screens[steps], path, speed)
        slower = evaluation.FRAMES_PER_SECOND / data.frame_skip / speed
        score = own.rewards[own.first_episode].sum()
        return video.html(
            path,
            f'{data.name} played by the agent',
            f'Agent steps 1 to {steps.stop} of an episode of {own.first_episode.stop} that scores '
            f'{score:g}, '
            + (
                'at the speed of the game'
                if slower == 1
                else f'{slower:g} times slower than the game'
            )
            + f' (epsilon {self.epsilon:g}).',
        )

    def _curves(self, data) -> str:
        rows = [row for row in history.read(data.run_dir) if 'score' in row]
        if not rows:
            return page.paragraph('The run was not evaluated on its way.')
        result = report.read_result(os.path.join(data.run_dir, 'result.json'))
        row = games.table().get(data.name)
        return learning_curves.figure(
            rows,
            random_score=result.get('random_10hz_score'),
            paper_score=row.dqn if row else None,
            agent_steps_per_epoch=self.agent_steps_per_epoch,
        )

    def _two_players(self, model, data, hidden, own, seed) -> str:
        if self.other_recording:
            other = recording.load(os.path.expanduser(self.other_recording), data.observation_shape)
            name = os.path.basename(self.other_recording)
        else:
            random = np.random.Generator(np.random.Philox(key=[seed, 3]))
            other = recording.record(
                data.make(seed + 1),
                lambda step: random.integers(len(data.action_names), size=1),
                self.agent_steps // 2,
            )
            name = 'random player'
        return pictures.two_players(
            hidden,
            in_parts(tf.function(model.hidden), other.observations),
            own.screens,
            other.screens,
            seed,
            name,
        )

    def _values(self, q_values, own, data) -> str:
        steps = own.first_episode
        # A curve of some thousand steps says no more.
        steps = slice(0, min(steps.stop, self.film_agent_steps))
        return pictures.values_along(
            q_values[steps], own.rewards[steps], own.screens[steps], data.action_names
        )


def _section(title: str, make: Callable[[], str]) -> Section:
    """A section, or one that names what could not be drawn: no picture is worth a training."""
    try:
        return Section(title, make())
    except Exception as error:
        said = f'This picture could not be made: {type(error).__name__}: {error}'
        print(f'{title}: {said}', file=sys.stderr, flush=True)
        return Section(title, page.paragraph(said))


def in_parts(function: Callable, observations: np.ndarray, size: int = 100) -> np.ndarray:
    """`function` of all observations, a part at a time: float32 [N, ...]."""
    return np.concatenate(
        [
            function(observations[start : start + size]).numpy()
            for start in range(0, len(observations), size)
        ]
    )
