"""A learner and its actors: as processes through the launcher, and in one process."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from official.core import history
from official.modeling import optimizers
from research.dqn import (
    agent,
    catch,
    environment,
    evaluation,
    network,
)

pytest.importorskip(
    'reverb',
    reason='dm-reverb exists for TensorFlow 2.15 on Python 3.11 only',
    exc_type=ImportError,
)

from research.dqn import reverb_actor, reverb_learner, reverb_replay

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def launch(folder, role, seed=0, **parameters):
    """A process of `role`; what it prints is in <folder>.log."""
    name = {'learner': 'ReverbLearner', 'actor': 'ReverbActor'}[role]
    with open(f'{folder}.log', 'a', encoding='utf-8') as log:
        return subprocess.Popen(
            [
                sys.executable,
                '-m',
                'official.launch',
                '--mode=train',
                f'--seed={seed}',
                f'--gin_file=gin_configs/dqn/catch_reverb_{role}.gin',
                f'--model_dir={folder}',
                *(f'--gin_param={name}.{key}={value!r}' for key, value in parameters.items()),
            ],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )


def log_of(folder):
    with open(f'{folder}.log', encoding='utf-8') as log:
        return log.read()


def wait_for_row(folder, number, process):
    """Waits until a run has so many rows in its history."""
    while len(history.read(str(folder)) if folder.exists() else ()) < number:
        assert process.poll() is None, log_of(folder)
        time.sleep(0.1)


def test_catch_is_learnt_by_processes_that_come_and_go(tmp_path):
    port = reverb_replay._free_port(0)
    learner, one, other = (tmp_path / name for name in ('learner', 'one', 'other'))
    learn = functools.partial(
        launch,
        learner,
        'learner',
        port=port,
        train_updates=2500,
        save_every_updates=500,
        evaluate_every_updates=2500,
        linger_seconds=5,
    )
    act = functools.partial(launch, role='actor', server=f'localhost:{port}', connect_seconds=60)
    processes = [learn(), act(one, seed=1), act(other, seed=2)]
    try:
        wait_for_row(learner, 1, processes[0])
        processes[2].kill()  # Nobody is hurt.
        wait_for_row(learner, 2, processes[0])
        processes[0].kill()
        assert processes[0].wait() == -signal.SIGKILL
        before = history.read(str(learner))
        processes[0] = learn()
        assert processes[0].wait(180) == 0, log_of(learner)
        assert processes[1].wait(60) == 0, log_of(one)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    rows = history.read(str(learner))
    assert [row['step'] for row in rows] == [500, 1000, 1500, 2000, 2500]
    assert rows[0] == before[0]  # The checkpoint comes after its row: of the second, who knows.
    # The memory came back, perhaps that of a checkpoint whose weights were yet to be written, and
    # so did the pace: four transitions an update, of which actors or learner may be a little ahead.
    for row in rows:
        assert -300 < row['transitions'] - 1000 - 4 * row['step'] < 4 * 500 + 300
    # Random play has 1.7, the optimum is 10. Processes are never twice alike: of five runs the
    # lowest score was 5.3 after 1200 updates, 9.3 after 1800 and 9.4 after 2400.
    assert rows[-1]['score'] > 6
    assert 'The learner is done;' in log_of(one)
    played = history.read(str(one))[-1]
    assert played['updates'] == 2500 and played['epsilon'] < 1


def test_bad_input_ends_in_one_sentence(tmp_path):
    rules = reverb_replay.Rules(2, 1, 0.9, True)
    server = reverb_replay.ReplayServer(
        (8, 8),
        reverb_replay.broadcast([], rules),
        rules,
        capacity_transitions=10,
        min_transitions=1,
        samples_per_insert=1.0,
        error_buffer_samples=10,
    )
    sentences = {
        'host': 'error: The host of no.such.host.invalid:8210 is not known',
        'address': "error: 'localhost' is no address; one is 'host:port', as the learner prints",
        'silent': 'error: No replay server answers at localhost:1; start the learner first',
        'layout': f'error: The learner at localhost:{server.port} has frames of (8, 8) pixels, '
        'this actor has (20, 20).',
        'port': f'error: Port {server.port} cannot be served from: Address already in use.',
    }
    processes = {
        'host': launch(tmp_path / 'host', 'actor', server='no.such.host.invalid:8210'),
        'address': launch(tmp_path / 'address', 'actor', server='localhost'),
        'silent': launch(tmp_path / 'silent', 'actor', server='localhost:1', connect_seconds=2),
        'layout': launch(tmp_path / 'layout', 'actor', server=server.local_address),
        'port': launch(tmp_path / 'port', 'learner', port=server.port),
    }
    for name, process in processes.items():
        assert process.wait(120) == 1, log_of(tmp_path / name)
        assert sentences[name] in log_of(tmp_path / name)
        assert 'Traceback' not in log_of(tmp_path / name)
    server.stop()


ENVIRONMENT = functools.partial(
    environment.GameEnvironment, catch.Catch, frame_size=20, history=2, max_noop_frames=8
)
NETWORK = functools.partial(network.NatureQNetwork, convolutions=((8, 4, 2),), hidden_units=16)


def make_learner(run_dir, **overrides):
    run_dir.mkdir(exist_ok=True)
    arguments = dict(
        seed=3,
        environment=ENVIRONMENT,
        q_network=NETWORK,
        optimizer=lambda: optimizers.FusedAdam(1e-3, epsilon=1e-3),
        agent=functools.partial(agent.DqnAgent, target_update_period_updates=30),
        capacity_transitions=2000,
        replay_start_transitions=100,
        lead_updates=10,
        n_step=3,
        minibatch_size=8,
        train_updates=60,
        publish_every_updates=10,
        save_every_updates=20,
        evaluate_every_updates=20,
        linger_seconds=2,
        periodic_evaluation=evaluation.Evaluation(episodes=2, num_games=2),
        final_evaluation=evaluation.Evaluation(episodes=3, num_games=2),
        num_held_out_states=5,
    )
    return reverb_learner.ReverbLearner(str(run_dir), **{**arguments, **overrides})


def make_actor(run_dir, port, **overrides):
    run_dir.mkdir(exist_ok=True)
    return reverb_actor.ReverbActor(
        str(run_dir),
        seed=5,
        environment=ENVIRONMENT,
        q_network=NETWORK,
        server=f'localhost:{port}',
        num_games=2,
        pull_every_agent_steps=50,
        log_every_agent_steps=100,
        **overrides,
    )


def train_together(learner, actor):
    thread = threading.Thread(target=actor.train, daemon=True)
    thread.start()
    learner.train()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize('save_replay', [True, False])
def test_a_learner_goes_on_from_its_last_checkpoint(tmp_path, save_replay):
    ports = []
    for train_updates in (60, 120):
        # Another port each time: the connections of one process are shared.
        ports.append(reverb_replay._free_port(0))
        learner = make_learner(
            tmp_path / 'learner',
            train_updates=train_updates,
            save_replay=save_replay,
            port=ports[-1],
        )
        train_together(learner, make_actor(tmp_path / str(ports[-1]), ports[-1]))
        assert learner.step == train_updates
    rows = history.read(str(tmp_path / 'learner'))
    assert [row['step'] for row in rows] == [20, 40, 60, 80, 100, 120]
    assert (rows[3]['transitions'] > rows[2]['transitions']) == save_replay
    assert learner._previous_port() == ports[-1]

    result = learner.evaluate()
    best = max(rows, key=lambda row: row['score'])
    assert result['step'] == best['step'] and result['episodes'] == 3
    assert json.loads((tmp_path / 'learner' / 'result.json').read_text()) == result
    if save_replay:
        assert os.path.exists(os.path.join(learner.export(), 'saved_model.pb'))
    learner.train()  # It has nothing left to do, and asks for no actor.


def test_an_actor_only_acts(tmp_path):
    actor = make_actor(tmp_path, 1)
    for method in (actor.evaluate, actor.export, actor.report):
        with pytest.raises(
            ValueError, match="that is the learner's; run an actor with --mode=train"
        ):
            method()


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match='ReverbLearner.minibatch_size = 0 must be a whole number'):
        make_learner(tmp_path, minibatch_size=0)
    with pytest.raises(
        ValueError, match='evaluate_every_updates = 30 is not a multiple of save_every_updates = 20'
    ):
        make_learner(tmp_path, evaluate_every_updates=30)
    with pytest.raises(
        ValueError, match='ReverbLearner.evaluate_every_updates = 0 must be a whole'
    ):
        make_learner(tmp_path, evaluate_every_updates=0)
    with pytest.raises(ValueError, match=r'ReverbLearner.port = 99999 is outside \[0, 65535\]'):
        make_learner(tmp_path, port=99999)
    with pytest.raises(FileNotFoundError, match='has no checkpoint: train first'):
        make_learner(tmp_path).evaluate()
