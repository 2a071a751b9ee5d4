"""Films of the agent at some moments of its training (Mnih et al. 2015, Supplementary Video 2)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import numpy as np

from official.core import run_folder
from research.dqn import environment as dqn_environment
from research.dqn import recording, video

_FOLDER = 'stages'


def film(
    run_dir: str,
    at: int,
    agent_step: int,
    env: dqn_environment.GameEnvironment,
    act: Callable,
    values: Callable,
    agent_steps: int = 450,
) -> None:
    """Plays and writes `stages/<at>.gif` and, with what it shows, `stages/<at>.json`.

    Args:
      run_dir: the run folder.
      at: agent step at which the film was asked for.
      agent_step: agent step of the weights.
      env: of one game.
      act: takes a time step, gives actions int [1].
      values: the Q-network.
      agent_steps: most steps of the film, which ends with its first episode.

    Raises:
      OSError: a file cannot be written.
    """
    own = recording.record(env, act, agent_steps)
    steps = own.first_episode
    highest = np.concatenate(
        [
            np.max(values(own.observations[start : min(start + 100, steps.stop)]), axis=1)
            for start in range(0, steps.stop, 100)
        ]
    )
    folder = os.path.join(run_dir, _FOLDER)
    os.makedirs(folder, exist_ok=True)
    video.write_gif(
        own.screens[steps], os.path.join(folder, f'{at}.gif'), video.speed(env.frame_skip)
    )
    # Last: a film counts when it is described.
    run_folder.write_text(
        os.path.join(folder, f'{at}.json'),
        json.dumps(
            {
                'agent_step': agent_step,
                'agent_steps': len(highest),
                'score': float(own.rewards[steps].sum()),
                'is_whole': bool(own.last[steps.stop - 1]),
                'mean_value': float(highest.mean()),
                'highest_value': float(highest.max()),
            }
        )
        + '\n',
    )


def is_filmed(run_dir: str, at: int) -> bool:
    """Returns True if the film of an agent step is there."""
    return os.path.exists(os.path.join(run_dir, _FOLDER, f'{at}.json'))


def html(run_dir: str) -> str:
    """The films of a run side by side, '' if there are none."""
    folder = os.path.join(run_dir, _FOLDER)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    moments = sorted(int(name[:-5]) for name in names if name.endswith('.json'))
    films = []
    for at in moments:
        shown = run_folder.read_json(os.path.join(folder, f'{at}.json'))
        whole = 'an episode' if shown['is_whole'] else f'the first {shown["agent_steps"]} steps'
        films.append(
            video.html(
                os.path.join(folder, f'{at}.gif'),
                f'the agent after {shown["agent_step"]} agent steps',
                f'After {shown["agent_step"]} agent steps: {whole}, score {shown["score"]:g}, V on '
                f'average {shown["mean_value"]:.2f}, at most {shown["highest_value"]:.2f}.',
            )
        )
    return f'<div class="small figures">{"".join(films)}</div>' if films else ''
