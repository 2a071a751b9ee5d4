"""One update of this project's DQN, and its training end to end.

What benchmarks/dqn.py runs, a process at a time; by hand:

    ./garden python benchmarks/dqn_tensorflow.py --mode=update [--dtype=bfloat16]
    ./garden python benchmarks/dqn_tensorflow.py --mode=train --game=pong --agent_steps=4000
        [--games=8] [--overlap] [--dtype=bfloat16]

Everything is the product's: network, agent, optimizer, replay memory in files, emulators and loop
as the gin files wire them; one update every 4 agent steps, epsilon 0.1, a replay memory of 100 000
frames, which is filled beforehand. Prints one JSON object. `update`: 'update_ms', the mean update
of each block, milliseconds. `train`: 'agent_steps_per_s' and 'seconds' of the timed steps,
'updates', 'shares' of these seconds, 'checkpoint_s' of one checkpoint outside them, 'memory'.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time

import numpy as np
import tensorflow as tf

from benchmarks import contest
from official.core import history
from official.modeling import optimizers
from research.dqn import atari, environment, experiment, network, policy, replay

BATCH = 32
REPLAY_FRAMES = 100_000
WARM_UP_AGENT_STEPS = 480
DTYPES = ('float32', 'bfloat16')


def make(
    run_dir: str,
    game: str,
    agent_steps: int,
    games: int = 1,
    overlap: bool = False,
    dtype: str = 'float32',
) -> experiment.DqnExperiment:
    """The experiment of a training that warms up and then takes `agent_steps` agent steps."""
    return experiment.DqnExperiment(
        run_dir,
        environment=functools.partial(
            environment.GameEnvironment, functools.partial(atari.AtariGame, game)
        ),
        q_network=network.NatureQNetwork,
        optimizer=optimizers.CentredRMSProp,
        replay=functools.partial(replay.FrameReplay, capacity_frames=REPLAY_FRAMES),
        epsilon=policy.LinearEpsilon(0.1, 0.1),
        num_games=games,
        overlap=overlap,
        bfloat16=dtype == 'bfloat16',
        replay_start_agent_steps=80,
        train_agent_steps=WARM_UP_AGENT_STEPS + agent_steps,
        save_every_agent_steps=WARM_UP_AGENT_STEPS + agent_steps,
        evaluate_every_agent_steps=None,
        num_held_out_states=1,
    )


def update_ms(dtype: str, updates: int, blocks: int) -> list[float]:
    """The mean update of each block on random minibatches that are ready in memory."""
    with tempfile.TemporaryDirectory() as folder:
        made = make(folder, 'pong', 8, dtype=dtype)
    random = np.random.default_rng(0)
    number = made.model.num_actions
    batches = [
        replay.Transitions(
            random.integers(256, size=(BATCH, 84, 84, 4), dtype=np.uint8),
            random.integers(number, size=BATCH, dtype=np.int32),
            random.integers(-1, 2, BATCH).astype(np.float32),
            (random.random(BATCH) > 0.01).astype(np.float32),
            random.integers(256, size=(BATCH, 84, 84, 4), dtype=np.uint8),
            np.ones(BATCH, np.float32),
            None,
        )
        for _ in range(10)
    ]
    learner = made._training._learner
    milliseconds = []
    for _ in range(1 + blocks):
        start = time.perf_counter()
        for step in range(updates):
            learner(batches[step % len(batches)])
        milliseconds.append(1000 * (time.perf_counter() - start) / updates)
    return milliseconds[1:]


def train(game: str, agent_steps: int, games: int, overlap: bool, dtype: str) -> dict:
    """Times the training of a game; see the module."""
    with tempfile.TemporaryDirectory() as folder:
        made = make(folder, game, agent_steps, games, overlap, dtype)
        training = made._training
        make_replay, learn = training._make_replay, training._learn
        marks = []

        def full_replay(**arguments):
            memory = make_replay(**arguments)
            frames = np.random.default_rng(0).integers(
                256, size=(64, games, 84, 84), dtype=np.uint8
            )
            zeros = np.zeros(games)
            for slot in range(REPLAY_FRAMES // games):
                memory.append(frames[slot % 64], zeros, zeros, zeros + 1, zeros > slot % 800)
                if memory.is_commit_due:
                    memory.commit()
            memory.commit()
            return memory

        def marked_learn(work, *batch):
            learn(work, *batch)
            if not marks and training._step >= WARM_UP_AGENT_STEPS:
                work.update(dict.fromkeys(work, 0.0))
                training._collector.take_seconds()
                marks.append(
                    (time.perf_counter(), training._step, int(made.agent.train_step_counter))
                )

        training._make_replay, training._learn = full_replay, marked_learn
        end = training._end_interval
        result = {}

        def timed_end(rows, progress, values, evaluate):
            start, first, updates = marks[0]
            seconds = time.perf_counter() - start
            shares = {
                name.removeprefix('seconds_'): value / seconds
                for name, value in values.items()
                if name.startswith('seconds_')
            }
            result.update(
                seconds=seconds,
                agent_steps_per_s=(training._step - first) / seconds,
                updates=int(made.agent.train_step_counter) - updates,
                shares=shares,
                memory=contest.memory_mb(),
            )
            begin = time.perf_counter()
            end(rows, progress, values, evaluate)
            result['checkpoint_s'] = time.perf_counter() - begin

        training._end_interval = timed_end
        made.train()
        assert history.read(folder)
        result['memory'] |= {'replay_mb': training._replay.nbytes / 1e6}
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mode', choices=('update', 'train'), required=True)
    parser.add_argument('--dtype', choices=DTYPES, default=DTYPES[0])
    parser.add_argument('--updates', type=contest.positive, default=40, help='in a block')
    parser.add_argument('--blocks', type=contest.positive, default=3, help='timed')
    parser.add_argument('--game', default='pong')
    parser.add_argument('--agent_steps', type=contest.positive, default=4000, help='to time')
    parser.add_argument('--games', type=contest.positive, default=1, help='played at once')
    parser.add_argument('--overlap', action='store_true', help='emulators play during updates')
    arguments = parser.parse_args()
    tf.config.experimental.enable_op_determinism()  # As every run of the project.
    tf.keras.utils.set_random_seed(0)
    if arguments.mode == 'update':
        result = {'update_ms': update_ms(arguments.dtype, arguments.updates, arguments.blocks)}
    else:
        result = train(
            arguments.game,
            arguments.agent_steps,
            arguments.games,
            arguments.overlap,
            arguments.dtype,
        )
    print(json.dumps(result | {'libraries': {'tensorflow': tf.__version__}}))


if __name__ == '__main__':
    main()
