"""DQN in PyTorch: its arithmetic and complaints, and its updates against formulas in NumPy.

PyTorch is not of the locked stack. What needs it runs in a process of the Python that
ARBORETUM_TORCH_PYTHON names (or of this one, should it have torch); the training needs
stable-baselines3 there too.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import contest, dqn_torch

SCRIPT = pathlib.Path(dqn_torch.__file__)


@functools.cache
def torch_python(module):
    """A Python that has the module; the test is skipped without."""
    python = os.environ.get(contest.TORCH_VARIABLE) or sys.executable
    if python == sys.executable:
        found = importlib.util.find_spec(module)
    else:
        found = not subprocess.run(
            [python, '-I', '-c', f'import {module}'], capture_output=True
        ).returncode
    return python if found else None


def require(module):
    python = torch_python(module)
    if not python:
        pytest.skip(f'no {module} here, and {contest.TORCH_VARIABLE} names no Python with it')
    return python


# Arithmetic.


def test_weights_of_the_network():
    # 84 -> 20 -> 9 -> 7 pixels wide; 7 x 7 x 64 = 3 136.
    layers = dqn_torch.layer_weights(actions=4)
    assert layers == [
        (4 * 8 * 8 * 32, 400),
        (32 * 4 * 4 * 64, 81),
        (64 * 3 * 3 * 64, 49),
        (3136 * 512, 1),
        (512 * 4, 1),
    ]
    biases = 32 + 64 + 64 + 512 + 4
    assert sum(weights for weights, _ in layers) + biases == 1_686_180


def test_flops_of_an_update():
    # Products of an image, forward:
    #   3 276 800 + 2 654 208 + 1 806 336 + 1 605 632 + 2 048 = 9 345 024
    # of the network, of the target network, for the gradients of the weights:  28 035 072
    # for those of the inputs, but for the images: 9 345 024 - 3 276 800 =       6 068 224
    assert dqn_torch.update_flops(actions=4, batch=1) == 2 * 34_103_296
    assert dqn_torch.update_flops(actions=4) == 2_182_610_944


@pytest.mark.parametrize(
    'envs, train_freq, gradient_steps, agent_steps',
    [(1, 4, 1, 4), (2, 2, 1, 4), (3, 4, 3, 12), (4, 1, 1, 4), (8, 1, 2, 8)],
)
def test_one_update_every_four_agent_steps(envs, train_freq, gradient_steps, agent_steps):
    found = dqn_torch.rollout(envs)
    assert found == {
        'train_freq': train_freq,
        'gradient_steps': gradient_steps,
        'agent_steps': agent_steps,
    }
    assert found['train_freq'] * envs == agent_steps == 4 * found['gradient_steps']


def test_game_id():
    known = ['PongNoFrameskip-v4', 'SpaceInvadersNoFrameskip-v4', 'CartPole-v1']
    assert dqn_torch.game_id('space_invaders', known) == 'SpaceInvadersNoFrameskip-v4'
    with pytest.raises(SystemExit, match='--game=pnog.*it has PongNoFrameskip-v4'):
        dqn_torch.game_id('pnog', known)


class Buffer:
    """A replay memory of 7 places, of which 3 are taken."""

    def __init__(self):
        self.pos, self.buffer_size, self.full = 3, 7, False
        self.observations, self.actions, self.rewards, self.dones = (
            np.r_[first + np.arange(3), np.zeros(4, int)] for first in (1, 11, 21, 31)
        )


def test_fill_repeats_what_is_there():
    buffer = Buffer()
    dqn_torch.fill(buffer)
    assert buffer.full and buffer.pos == 3
    np.testing.assert_array_equal(buffer.observations, [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(buffer.dones, [31, 32, 33, 31, 32, 33, 31])
    before = buffer.actions.copy()
    buffer.pos = 1
    dqn_torch.fill(buffer)
    np.testing.assert_array_equal(buffer.actions, before)


class Nested:
    def outer(self):
        return self.inner() + 1

    def inner(self):
        return 1


def test_stopwatch_counts_nothing_twice(monkeypatch):
    # Each look at the clock is at a second of its own: outer 1, inner 2 to 3, outer 4.
    clock = iter(range(1, 100))
    monkeypatch.setattr(dqn_torch.time, 'perf_counter', lambda: next(clock))
    nested, watch = Nested(), dqn_torch.Stopwatch()
    watch.wrap(nested, 'outer', 'out')
    watch.wrap(nested, 'inner', 'in')
    assert nested.outer() == 2
    assert watch.seconds == {'out': 2.0, 'in': 1.0}
    assert nested.inner() == 1
    assert watch.seconds == {'out': 2.0, 'in': 2.0}


# Arguments.


@pytest.mark.parametrize('arguments, complaint', [
    ([], '--mode'),
    (['--mode=play'], "'play'"),
    (['--mode=update', '--dtype=float16'], "'float16'"),
    (['--mode=update', '--updates=0'], "'0' is no positive whole number"),
    (['--mode=update', '--threads=two'], "'two' is no positive whole number"),
    (['--mode=train', '--game=pong'], '--mode=train needs --game and --agent_steps'),
    (['--mode=train', '--agent_steps=400'], '--mode=train needs --game and --agent_steps'),
    (['--mode=train', '--game=pong', '--agent_steps=402'], '--agent_steps=402 is no multiple of 4'),
    (['--mode=train', '--game=pong', '--agent_steps=404', '--envs=8'],
     '--agent_steps=404 is no multiple of 8'),
    (['--mode=train', '--game=pong', '--agent_steps=400', '--warm_up_agent_steps=8'],
     '--warm_up_agent_steps=8 is less than 16'),
])  # fmt: skip
def test_bad_arguments(monkeypatch, capsys, arguments, complaint):
    monkeypatch.setattr(sys, 'argv', ['dqn_torch.py', *arguments])
    with pytest.raises(SystemExit) as caught:
        dqn_torch.main()
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec('torch') is not None, reason='torch is here')
def test_without_torch(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['dqn_torch.py', '--mode=update'])
    with pytest.raises(SystemExit, match='This Python has no torch'):
        dqn_torch.main()


# Updates.


class Reference:
    """The network, its loss, and centred RMSProp, float64."""

    def __init__(self, weights):
        self.weights = weights

    def values(self, images):
        """Of images [n, 4, 84, 84] the values [n, actions]; keeps what `gradients` needs."""
        x, self.inputs, self.outputs = images / 255, [], []
        for layer, stride in enumerate((4, 2, 1, None, None)):
            w, b = self.weights[2 * layer], self.weights[2 * layer + 1]
            if stride is None:
                x = x.reshape(len(x), -1)
                self.inputs.append(x)
                x = x @ w.T + b
            else:
                windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
                self.inputs.append((x, windows[:, :, ::stride, ::stride]))
                x = np.einsum('nchwij,fcij->nfhw', self.inputs[-1][1], w, optimize=True)
                x += b[:, None, None]
            if layer < 4:
                x = np.maximum(x, 0)
            self.outputs.append(x)
        return x

    def gradients(self, slope):
        """Of the loss with respect to all weights, from that with respect to the values."""
        found = []
        for layer, stride in reversed(list(enumerate((4, 2, 1, None, None)))):
            w = self.weights[2 * layer]
            slope = slope.reshape(self.outputs[layer].shape)
            if layer < 4:
                slope = slope * (self.outputs[layer] > 0)
            if stride is None:
                found[:0] = [slope.T @ self.inputs[layer], slope.sum(0)]
                slope = slope @ w
                continue
            x, windows = self.inputs[layer]
            found[:0] = [
                np.einsum('nfhw,nchwij->fcij', slope, windows, optimize=True),
                slope.sum((0, 2, 3)),
            ]
            below, high, wide = np.zeros(x.shape), *slope.shape[2:]
            for i in range(w.shape[2]):
                for j in range(w.shape[3]):
                    below[:, :, i : i + stride * high : stride, j : j + stride * wide : stride] += (
                        np.einsum('nfhw,fc->nchw', slope, w[:, :, i, j], optimize=True)
                    )
            slope = below
        return found


def reference_updates(start, target, batches):
    """Losses of the updates, and the weights after them."""
    online, target = Reference([w.copy() for w in start]), Reference(target)
    mean, square = ([np.zeros(w.shape) for w in start] for _ in range(2))
    losses = []
    for images, actions, rewards, next_images, ends in batches:
        rows = np.arange(len(actions))
        goals = rewards + 0.99 * (1 - ends) * target.values(next_images).max(1)
        errors = online.values(images)[rows, actions] - goals
        inside = np.abs(errors) <= 1
        losses.append(np.where(inside, errors**2 / 2, np.abs(errors) - 0.5).sum())
        slope = np.zeros(online.outputs[-1].shape)
        slope[rows, actions] = np.clip(errors, -1, 1)
        for i, gradient in enumerate(online.gradients(slope)):
            mean[i] = 0.95 * mean[i] + 0.05 * gradient
            square[i] = 0.95 * square[i] + 0.05 * gradient**2
            online.weights[i] -= 2.5e-4 * gradient / (np.sqrt(square[i] - mean[i] ** 2) + 0.1)
    return losses, online.weights


# Run by the other Python: folder of dqn_torch.py, file of arrays to read, file to write.
PROGRAM = """
import copy
import functools
import sys
import numpy as np
import torch
sys.path.insert(0, sys.argv[1])
import dqn_torch

given = {name: torch.tensor(value) for name, value in np.load(sys.argv[2]).items()}
torch.set_default_dtype(torch.float64)
results = {}
for layout in (torch.contiguous_format, torch.channels_last):
    nets = {}
    for name in ('start', 'target'):
        net = dqn_torch.network(actions=4)
        with torch.no_grad():
            for i, parameter in enumerate(net.parameters()):
                parameter.copy_(given[f'{name} {i}'])
        nets[name] = net.to(memory_format=layout)
    online = nets['start']
    optimizer = dqn_torch.optimizer_of(online)
    loss_of = functools.partial(
        dqn_torch.td_loss, online, nets['target'], dtype=torch.float64, layout=layout)
    names = ('images', 'actions', 'rewards', 'next_images', 'ends')
    batches = list(zip(*(given[name] for name in names)))
    name = str(layout).partition('.')[2]
    halves = [copy.deepcopy(net).float() for net in nets.values()]
    batch = [x.float() if x.is_floating_point() else x for x in batches[0]]
    half = dqn_torch.td_loss(*halves, batch, torch.bfloat16, layout)
    assert half.dtype == torch.float32
    results[f'{name} half'] = half.detach().numpy()
    results[f'{name} losses'] = [
        dqn_torch.update(loss_of, optimizer, batch) for batch in batches]
    for i, parameter in enumerate(online.parameters()):
        results[f'{name} {i}'] = parameter.detach().numpy()
results['parameters'] = sum(parameter.numel() for parameter in online.parameters())
np.savez(sys.argv[3], **results)
"""
SHAPES = ((32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136), (4, 512))


def test_updates_are_the_formulas(tmp_path):
    python = require('torch')
    rng = np.random.default_rng(0)

    def weights():
        for shape in SHAPES:
            yield rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
            yield 0.1 * rng.normal(size=shape[0])

    start, target = list(weights()), list(weights())
    updates, n = 2, 4
    images, next_images = rng.integers(256, size=(2, updates, n, 4, 84, 84)).astype(np.uint8)
    actions = rng.integers(4, size=(updates, n))
    # Small and large errors of both signs, and an end.
    rewards, ends = np.array([[1.0, -1.0, 0.0, 5.0]] * 2), np.array([[0.0, 1.0, 0.0, 0.0]] * 2)
    arrays = {
        'images': images,
        'actions': actions,
        'rewards': rewards,
        'next_images': next_images,
        'ends': ends,
    }
    arrays |= {f'start {i}': array for i, array in enumerate(start)}
    arrays |= {f'target {i}': array for i, array in enumerate(target)}
    np.savez(tmp_path / 'given.npz', **arrays)
    files = [str(SCRIPT.parent), str(tmp_path / 'given.npz'), str(tmp_path / 'results.npz')]
    done = subprocess.run([python, '-I', '-c', PROGRAM, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = dict(np.load(tmp_path / 'results.npz'))
    assert results['parameters'] == 1_686_180
    losses, after = reference_updates(
        start, target, list(zip(images, actions, rewards, next_images, ends, strict=True))
    )
    for layout in ('contiguous_format', 'channels_last'):
        np.testing.assert_allclose(results[f'{layout} losses'], losses, rtol=1e-9)
        assert results[f'{layout} half'] == pytest.approx(losses[0], rel=0.05)
        for i, (expected, before) in enumerate(zip(after, start, strict=True)):
            step, expected = results[f'{layout} {i}'] - before, expected - before
            assert np.linalg.norm(step - expected) < 1e-9 * np.linalg.norm(expected), i


@pytest.mark.parametrize('options', [[], ['--dtype=bfloat16', '--layout=channels_last']])
def test_update_mode(options):
    result = contest.run_worker(
        [
            require('torch'),
            '-I',
            str(SCRIPT),
            '--mode=update',
            '--updates=2',
            '--blocks=2',
            '--threads=1',
            *options,
        ]
    )
    assert len(result['update_ms']) == 2 and min(result['update_ms']) > 0
    assert result['threads'] == 1
    assert 'torch' in result['libraries']


def test_train_mode():
    command = [
        require('stable_baselines3'),
        '-I',
        str(SCRIPT),
        '--mode=train',
        '--game=pong',
        '--agent_steps=16',
        '--warm_up_agent_steps=32',
        '--envs=2',
        '--replay_agent_steps=1000',
        '--threads=1',
        '--profile',
    ]
    result = contest.run_worker(command)
    assert result['updates'] == 4
    assert result['agent_steps_per_s'] == pytest.approx(16 / result['seconds'])
    assert result['settings']['parameters'] == 1_686_180 + 2 * 513  # Pong has six actions.
    assert result['memory']['replay_mb'] == pytest.approx(28.2, abs=0.1)
    shares = result['shares']
    assert sorted(shares) == [
        'acting',
        'emulator and preprocessing',
        'other',
        'sampling',
        'storing',
        'update',
    ]
    assert min(shares.values()) >= 0 and sum(shares.values()) == pytest.approx(1)
