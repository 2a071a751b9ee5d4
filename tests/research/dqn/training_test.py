"""What a DQN run promises: resume, failures, devices, XLA, export."""

import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from official.core import checkpoints
from research.dqn import catch, environment, priorities, replay, storage
from tests import conformance
from tests.research.dqn import tiny

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class Killed(Exception):
    """The process that dies."""


def train_until(experiment, agent_step):
    """Trains, and stops without a word once `agent_step` is reached."""
    training = experiment._training
    learn = training._learn

    def learn_or_die(work, *batch):
        if training._step >= agent_step:
            raise Killed
        learn(work, *batch)

    training._learn = learn_or_die
    with pytest.raises(Killed):
        experiment.train()


def weights(experiment):
    return conformance.weights(experiment._training)


def history(run_dir):
    return [
        {name: value for name, value in row.items() if 'second' not in name}
        for row in conformance.read_history(str(run_dir))
    ]


@pytest.fixture(name='short', scope='module')
def short_fixture(tmp_path_factory):
    """A run of 200 agent steps, and which compilers its functions asked for."""
    asked, function = [], tf.function

    def spied(*args, jit_compile=None, **kwargs):
        asked.append(jit_compile)
        return function(*args, jit_compile=jit_compile, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf, 'function', spied)
        run = tiny.make(tmp_path_factory.mktemp('short') / 'run', train_agent_steps=200)
        run.train()
    return run, asked


def copy_of(short, tmp_path):
    """A folder like that of the short run, for tests that write into it."""
    return pathlib.Path(shutil.copytree(short[0].run_dir, tmp_path / 'copy'))


VARIANTS = {
    'as the paper': {'num_games': 1},
    'overlapped': {'overlap': True},
    'prioritized, three steps': {
        'overlap': True,
        'replay': functools.partial(
            replay.FrameReplay,
            capacity_frames=300,
            n_step=3,
            prioritization=priorities.Prioritization(annealing_updates=100),
        ),
    },
    'without replay': {
        'replay': functools.partial(replay.FrameReplay, capacity_frames=300, newest_only=True)
    },
}


@pytest.mark.parametrize('variant, stop_at', zip(VARIANTS, (330, 401, 390, 590), strict=True))
def test_resume_is_identical(tmp_path, variant, stop_at):
    make = functools.partial(tiny.make, **VARIANTS[variant])
    whole = make(tmp_path / 'whole')
    whole.train()
    train_until(make(tmp_path / 'killed'), stop_at)
    resumed = make(tmp_path / 'killed')
    resumed.train()
    assert resumed._training.agent_step >= 600
    conformance.assert_same_bits(weights(resumed), weights(whole))
    assert history(tmp_path / 'killed') == history(tmp_path / 'whole')
    assert int(whole.agent.train_step_counter) == (whole._training.agent_step - 100) // 4


LONG = {'overlap': True, 'train_agent_steps': 2000, 'evaluate_every_agent_steps': 600}
_RUN = """
import sys
import tensorflow as tf
tf.config.experimental.enable_op_determinism()
tf.keras.utils.set_random_seed(3)
from tests.research.dqn import tiny, training_test
tiny.make(sys.argv[1], **training_test.LONG).train()
"""


def start(run_dir, log):
    return subprocess.Popen(
        [sys.executable, '-c', _RUN, str(run_dir)],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': ROOT},
    )


def test_killed_and_interrupted_processes_go_on_identically(tmp_path):
    """The undisturbed run and the end of the other one are in this process."""
    killed, whole = tmp_path / 'killed', tiny.make(tmp_path / 'whole', **LONG)
    with open(tmp_path / 'log', 'w+') as log:
        for number in (signal.SIGKILL, signal.SIGTERM):
            process = start(killed, log)
            before = len(saved(killed))
            while process.poll() is None and len(saved(killed)) <= before:
                time.sleep(0.05)
            process.send_signal(number)
            assert process.wait() in (-number, 128 + number)
        log.seek(0)
        assert 'Stopped by SIGTERM at step' in log.read()
    resumed = tiny.make(killed, **LONG)
    for run in (resumed, whole):
        run.train()
        assert run._training.agent_step >= 2000
    assert history(killed) == history(tmp_path / 'whole')
    conformance.assert_same_bits(*map(weights, (whole, resumed)))


def saved(run_dir):
    """Rows of the history so far: one a checkpoint."""
    path = run_dir / 'history.jsonl'
    return path.read_text().splitlines() if path.exists() else []


class Fragile(catch.Catch):
    """Catch that fails once, in a frame of the whole process."""

    frames_left = 0

    def act(self, action):
        Fragile.frames_left -= 1
        if Fragile.frames_left == 0:
            raise OSError('the cable came off')
        return super().act(action)


def test_a_game_that_fails_loses_its_episode_alone(tmp_path):
    Fragile.frames_left = 0
    run = tiny.make(tmp_path, game=Fragile, overlap=True)
    learn = run._training._learn

    def learn_and_break(work, *batch):
        learn(work, *batch)
        if 250 <= run._training._step < 252:
            Fragile.frames_left = 50

    run._training._learn = learn_and_break
    with pytest.raises(environment.GameFailed) as error:
        run.train()
    step = run._training._checkpoints.steps()[-1]
    assert 250 < step < 300
    assert f'All before agent step {step} is in' in str(error.value)
    updates = int(run.agent.train_step_counter)
    again = tiny.make(tmp_path, game=Fragile, overlap=True)
    again.train()
    assert again._training.agent_step >= 600
    assert int(again.agent.train_step_counter) > updates > 0
    # The frames from before are there, and no transition leads from a broken episode to a new one.
    begins = again._training._replay._ring.steps['first'].all(axis=1)
    assert begins.any()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    run = tiny.make(tmp_path)
    learn, training = run._training._learn, run._training

    def poison(work, *batch):
        if training._step > 300:
            bias = run.model.trainable_variables[-1]
            bias.assign(tf.fill(bias.shape, np.nan))
        learn(work, *batch)

    training._learn = poison
    with pytest.raises(
        FloatingPointError,
        match=r'The loss of update \d+, agent step 30\d, is not '
        r'finite; the last good checkpoint is .*0000020',
    ):
        run.train()


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path):
    run = tiny.make(tmp_path, evaluate_every_agent_steps=None)
    learn, training = run._training._learn, run._training

    def poison(work, *batch):
        learn(work, *batch)
        if training._step >= 400:  # Behind the last update before the checkpoint: no loss sees it.
            kernel = run.model.trainable_variables[0]
            kernel.assign(tf.fill(kernel.shape, np.nan))

    training._learn = poison
    with pytest.raises(
        FloatingPointError,
        match=r'A weight is not finite at agent step 40\d; the '
        r'last good checkpoint is .*/00000[23]\d\d',
    ):
        run.train()
    assert all(step < 400 for step in run._training._checkpoints.steps())
    again = tiny.make(tmp_path, evaluate_every_agent_steps=None)
    again._training.restore(best=False)
    assert all(np.isfinite(variable).all() for variable in again.model.variables)


def test_two_devices_make_the_same_updates(short, tmp_path):
    one = short[0]
    two = tiny.make(tmp_path, train_agent_steps=200, strategy=conformance.two_devices())
    assert two.strategy.num_replicas_in_sync == 2
    two.train()
    for a, b in zip(one.model.variables, two.model.variables, strict=True):
        np.testing.assert_allclose(a, b.values[0], rtol=1e-3, atol=1e-5)
    rows = [history(run.run_dir)[0]['loss'] for run in (one, two)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-4)


def test_xla_makes_the_same_updates(short, tmp_path, monkeypatch):
    plain, asked = short
    assert asked and True not in asked
    function, asked = tf.function, []
    monkeypatch.setattr(
        tf,
        'function',
        lambda *args, jit_compile=None, **kwargs: (
            asked.append(jit_compile),
            function(*args, jit_compile=jit_compile, **kwargs),
        )[1],
    )
    compiled = tiny.make(tmp_path, train_agent_steps=200, jit_compile=True)
    compiled.train()
    assert True in asked
    for a, b in zip(plain.model.variables, compiled.model.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_bad_checkpoints(short, tmp_path):
    folder = copy_of(short, tmp_path)
    run = tiny.make(folder, train_agent_steps=200)
    path = run._training._checkpoints.path(run._training._checkpoints.steps()[-1])
    with open(os.path.join(path, 'weights.data-00000-of-00001'), 'r+b') as f:
        f.seek(100)
        f.write(b'damage')
    with pytest.raises(checkpoints.CheckpointError, match='SHA-256'):
        tiny.make(folder, train_agent_steps=400).train()
    with pytest.raises(checkpoints.CheckpointError, match='SHA-256'):
        run.evaluate()


def test_a_damaged_replay_memory_is_named(short, tmp_path):
    folder = copy_of(short, tmp_path)
    with open(folder / 'replay' / 'frames.bin', 'r+b') as file:
        file.seek(20 * 20 * 2 * 30)
        file.write(b'damage')
    with pytest.raises(storage.DamagedReplay, match='slot 30 of the replay memory is damaged'):
        tiny.make(folder, train_agent_steps=400).train()


def test_the_replay_memory_of_another_seed_is_refused(short, tmp_path):
    folder = copy_of(short, tmp_path)
    run = tiny.make(tmp_path / 'other', seed=4, train_agent_steps=200)
    run.train()
    one, other = map(weights, (short[0], run))
    assert any(np.any(one[name] != other[name]) for name in one if 'q_network' in name)
    shutil.rmtree(folder / 'replay')
    shutil.copytree(tmp_path / 'other' / 'replay', folder / 'replay')
    with pytest.raises(storage.DamagedReplay, match='of another run'):
        tiny.make(folder, seed=3, train_agent_steps=400).train()


def test_behaviour_follows_epsilon_behind_a_uniform_warm_up(tmp_path):
    """With epsilon 0 behind it, every action is the best one; before, all come alike."""
    run = tiny.make(
        tmp_path,
        epsilon=lambda step: 0.0,
        replay_start_agent_steps=300,
        train_agent_steps=600,
        replay=functools.partial(replay.FrameReplay, capacity_frames=2000),
    )
    training, seen = run._training, []
    learn = training._learn

    def watch(work, *batch):
        learn(work, *batch)
        seen.append((training._step, training._exploration.value))

    training._learn = watch
    run.train()
    assert {epsilon for step, epsilon in seen if step < 300} == {1.0}
    assert {epsilon for step, epsilon in seen if step > 304} == {0.0}
    steps = training._replay._ring.steps[: training._replay._ring.count]
    actions = steps['action'][1:150][~steps['first'][1:150]]
    counts = np.bincount(actions, minlength=3)
    # Chi-square of 2 degrees of freedom, about 300 actions.
    assert np.sum((counts - len(actions) / 3) ** 2) / (len(actions) / 3) < 2 + 5 * np.sqrt(4)


def test_the_frames_are_removed_when_they_are_of_no_use_any_more(tmp_path):
    tiny.make(tmp_path, train_agent_steps=200, keep_replay=False).train()
    assert not (tmp_path / 'replay').exists()
    tiny.make(tmp_path, train_agent_steps=200, keep_replay=False).train()  # Nothing is left to do.


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match='has no checkpoint: train first'):
        tiny.make(tmp_path).evaluate()


def test_several_workers_are_sent_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.distribute, 'MultiWorkerMirroredStrategy', tf.distribute.Strategy)
    with pytest.raises(ValueError, match='there are ReverbLearner and ReverbActor'):
        tiny.make(tmp_path)


def test_bad_arguments(tmp_path):
    for name, value, wrong in (
        ('minibatch_size', 0, 'must be a whole number of at least 1'),
        ('train_agent_steps', 1e3, '= 1000.0 must be a whole number'),
        ('replay_start_agent_steps', -5, 'must be a whole number of at least 0'),
        ('evaluate_every_agent_steps', 0, 'must be a whole number of at least 1'),
        ('num_held_out_states', 0, 'must be a whole number of at least 1'),
        ('epsilon', 0.1, 'must be a function of the agent step'),
    ):
        with pytest.raises(ValueError, match=f'DqnExperiment.{name} .*{wrong}'):
            tiny.make(tmp_path, **{name: value})
    with pytest.raises(ValueError, match='A random player at 0 Hz: it does not divide the 60'):
        tiny.make(tmp_path, random_hertz=(0,))
    with pytest.raises(
        ValueError,
        match='evaluate_every_agent_steps = 300 is not a multiple of save_every_agent_steps = 200',
    ):
        tiny.make(tmp_path, evaluate_every_agent_steps=300)


_CLIENT = """
import json, sys
import numpy as np, tensorflow as tf
sys.path.insert(0, sys.argv[3])
policy = tf.saved_model.load(sys.argv[1]).signatures
from research.dqn import catch, environment, evaluation
env = environment.GameEnvironment(catch.Catch, num_games=2, frame_size=20, history=2,
                                  max_noop_frames=8, seed=11, life_loss_is_terminal=False)
screens = np.zeros((2, 2, 2, 40, 40, 3), np.uint8)

def act(step):
    stacks = policy['predict'](frames=tf.constant(step.observation))
    for index, first in enumerate(step.is_first()):
        if first:
            screens[index] = 0
    screens[:, :-1] = screens[:, 1:]
    screens[:, -1] = env.screens
    raw = policy['screens'](screens=tf.constant(screens))
    assert np.array_equal(raw['q_values'], stacks['q_values'])
    names = [env.action_names[a] for a in stacks['action'].numpy()]
    assert names == [name.decode() for name in stacks['action_name'].numpy()]
    return raw['action'].numpy()

json.dump(evaluation.play(env, act, episodes=4).scores, open(sys.argv[2], 'w'))
"""


def test_an_exported_policy_plays_as_the_agent_does(short, tmp_path):
    run = tiny.make(copy_of(short, tmp_path), train_agent_steps=200)
    path = run.export()
    subprocess.run(
        [sys.executable, '-c', _CLIENT, path, str(tmp_path / 'scores.json'), ROOT],
        check=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'},
    )
    scores = json.loads((tmp_path / 'scores.json').read_text())
    from research.dqn import evaluation

    protocol = evaluation.Evaluation(episodes=4, num_games=2, epsilon=0.0, max_episode_frames=None)
    assert scores == run.play(protocol, 11).scores
    frames = np.random.default_rng(0).integers(256, size=(3, 20, 20, 2)).astype(np.uint8)
    answers = conformance.check_export(path, {'predict': {'frames': frames}}, tmp_path)['predict']
    np.testing.assert_allclose(answers['q_values'], run.model(frames), atol=1e-5)
    assert np.ptp(answers['q_values'], axis=0).max() > 1e-3  # They depend on the frames.


def test_the_result_has_score_and_random_players(tmp_path):
    run = tiny.make(tmp_path, train_agent_steps=400)
    run.train()
    result = run.evaluate()
    assert result['episodes'] == 3 and 0 <= result['score'] <= 10
    assert result['game'] == 'catch' and result['seed'] == 3
    assert 0 <= result['random_10hz_score'] < 5 and 0 <= result['random_60hz_score'] < 5
    assert 'reference' not in result  # Catch is no game of the paper.
    with open(tmp_path / 'result.json') as file:
        assert json.load(file) == result
    rows = history(tmp_path)
    assert [row['step'] // 200 for row in rows] == [1, 2]
    best = max(rows, key=lambda row: row['score'])
    assert result['step'] == best['step']  # Of equal scores max has the first, as training does.
