"""One update of DQN written plainly in PyTorch, and stable-baselines3's DQN as it comes.

The peers in the benchmarks of research/dqn (Mnih et al. 2015). None of them is of the locked stack:
run it in an environment of its own with torch, and for --mode=train with stable-baselines3,
gymnasium, ale-py and opencv-python-headless. Nothing else of the project is needed.

    python benchmarks/dqn_torch.py --mode=update [--dtype=bfloat16] [--compile]
    python benchmarks/dqn_torch.py --mode=train --game=pong --agent_steps=2000 [--envs=8]
        [--profile]     where the time goes; its own time does not count

`update` measures 32 transitions from memory through both networks, back, and the optimizer; the
copy of the target network is left out. `train` measures acting, the emulator, the replay memory and
one update every 4 agent steps; the memory is full, as it is in all but the beginning of a training.

Prints one JSON object. With 'threads', 'memory' and 'libraries' it has for `update` 'update_ms',
the mean update of each block, milliseconds, 'first_s' and 'layout'; for `train`
'agent_steps_per_s', 'seconds', 'updates', 'settings' and, with --profile, 'shares' of the seconds.
tests/benchmarks/dqn_torch_test.py compares updates with the formulas.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import functools
import json
import math
import os
import time
from collections.abc import Callable
from typing import Any

with contextlib.suppress(ModuleNotFoundError):  # What needs no torch is tested without it.
    import torch
    from torch import nn
    from torch.nn import functional

BATCH = 32
DISCOUNT = 0.99
LEARNING_RATE = 2.5e-4
DECAY = 0.95
# The paper's 0.01 is inside the root; torch adds epsilon to the root.
EPSILON = 0.1
AGENT_STEPS_PER_UPDATE = 4
IMAGE = (4, 84, 84)
CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # Filters, size, stride.
HIDDEN = 512
DTYPES = ('float32', 'bfloat16')
LAYOUTS = ('contiguous', 'channels_last')


# Arithmetic.


def layer_weights(actions: int) -> list[tuple[int, int]]:
    """Of each layer of the network how many weights it has, and how often an image meets each."""
    channels, size, _ = IMAGE
    layers = []
    for filters, kernel, stride in CONVOLUTIONS:
        size = (size - kernel) // stride + 1
        layers.append((channels * kernel**2 * filters, size**2))
        channels = filters
    return [*layers, (channels * size**2 * HIDDEN, 1), (HIDDEN * actions, 1)]


def update_flops(actions: int, batch: int = BATCH) -> int:
    """Floating-point operations of the products of one update; the rest is left out.

    Each weight is a multiplication and an addition where an image meets it: in the target network,
    in the network, for the gradient of the weights, and for that of the inputs, which the images
    do not need.
    """
    products = [weights * places for weights, places in layer_weights(actions)]
    return 2 * batch * (4 * sum(products) - products[0])


# One update.


def network(actions: int) -> nn.Sequential:
    """The paper's network, of images [n, 4, 84, 84] divided by 255, to values [n, actions]."""
    layers, channels = [], IMAGE[0]
    for filters, kernel, stride in CONVOLUTIONS:
        layers += [nn.Conv2d(channels, filters, kernel, stride), nn.ReLU()]
        channels = filters
    flat = layer_weights(actions)[-2][0] // HIDDEN
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(flat, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, actions)
    )


def optimizer_of(online: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(
        online.parameters(), LEARNING_RATE, alpha=DECAY, eps=EPSILON, centered=True
    )


def td_loss(
    online: nn.Module,
    target: nn.Module,
    batch: tuple,
    dtype: torch.dtype,
    layout: torch.memory_format,
) -> torch.Tensor:
    """The Huber loss of the TD errors, summed, so that the gradient is the paper's clipped error.

    Args:
      online, target: networks as of `network`.
      batch: images [n, 4, 84, 84], uint8; actions [n], int64; rewards [n]; the images after them;
        and [n], 1 where they end an episode, else 0.
      dtype: of the images in the network; with bfloat16 the products are too.
      layout: of the images.
    """
    images, actions, rewards, next_images, ends = batch

    def values(net, pixels):
        return net(pixels.to(dtype, memory_format=layout) / 255)

    with torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16):
        with torch.no_grad():
            next_values = values(target, next_images).amax(1)
        chosen = values(online, images).gather(1, actions[:, None])[:, 0]
    goals = rewards + DISCOUNT * (1 - ends) * next_values.to(rewards.dtype)
    return functional.huber_loss(chosen.to(goals.dtype), goals, reduction='sum', delta=1.0)


def update(loss_of: Callable, optimizer: torch.optim.Optimizer, batch: tuple) -> float:
    optimizer.zero_grad()
    loss = loss_of(batch)
    loss.backward()
    optimizer.step()
    return loss.item()


def update_ms(
    updates: int, blocks: int, dtype: str, layout: str, compiled: bool, actions: int
) -> dict:
    """Times updates on random batches that are ready in memory.

    Args:
      updates: in one block.
      blocks: how many are timed, after one to warm up.
      dtype: 'float32' or 'bfloat16', which is torch's autocast.
      layout: one of LAYOUTS, of images and weights.
      compiled: the loss and the optimizer with torch.compile.
      actions: of the game.

    Returns:
      'update_ms', the mean update of each block; and 'first_s', of the first update of all, which
      has the compilation if there is one.
    """
    torch.manual_seed(0)
    memory_format = (torch.contiguous_format, torch.channels_last)[LAYOUTS.index(layout)]
    online, target = (network(actions).to(memory_format=memory_format) for _ in range(2))
    target.load_state_dict(online.state_dict())
    optimizer = optimizer_of(online)
    loss_of = functools.partial(
        td_loss, online, target, dtype=getattr(torch, dtype), layout=memory_format
    )
    if compiled:
        loss_of, optimizer.step = torch.compile(loss_of), torch.compile(optimizer.step)
    pixels = torch.randint(256, (10, 2, BATCH, *IMAGE), dtype=torch.uint8)
    batches = [
        (
            images,
            torch.randint(actions, [BATCH]),
            torch.randint(-1, 2, [BATCH]).float(),
            next_images,
            (torch.rand(BATCH) < 0.01).float(),
        )
        for images, next_images in pixels
    ]
    begin = time.perf_counter()
    update(loss_of, optimizer, batches[0])
    first_s = time.perf_counter() - begin
    milliseconds = []
    for _ in range(1 + blocks):
        begin = time.perf_counter()
        for step in range(updates):
            loss = update(loss_of, optimizer, batches[step % len(batches)])
        milliseconds.append(1000 * (time.perf_counter() - begin) / updates)
    if not math.isfinite(loss):
        raise SystemExit(f'The loss is {loss}: these times do not count.')
    return {'update_ms': milliseconds[1:], 'first_s': first_s}


# A training.


class Stopwatch:
    """Seconds in wrapped methods, each without those of the wrapped ones that it calls."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._inside = [0.0]

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Counts the calls of `owner.method` as `name`."""
        original = getattr(owner, method)

        @functools.wraps(original)
        def timed(*args, **kwargs):
            self._inside.append(0.0)
            begin = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                taken = time.perf_counter() - begin
                own = taken - self._inside.pop()
                self.seconds[name] = self.seconds.get(name, 0.0) + own
                self._inside[-1] += taken

        setattr(owner, method, timed)


def rollout(envs: int) -> dict[str, int]:
    """What stable-baselines3 is to do for one update every 4 agent steps.

    Returns:
      'train_freq', which it counts in steps of all games together; 'gradient_steps', the updates
      after them; and 'agent_steps', those of all games in between.
    """
    agent_steps = math.lcm(AGENT_STEPS_PER_UPDATE, envs)
    return {
        'train_freq': agent_steps // envs,
        'agent_steps': agent_steps,
        'gradient_steps': agent_steps // AGENT_STEPS_PER_UPDATE,
    }


def game_id(game: str, known: list[str]) -> str:
    """The gymnasium name of a game as ale-py calls it: 'space_invaders'.

    Raises:
      SystemExit: there is none; with the near matches.
    """
    name = game.title().replace('_', '') + 'NoFrameskip-v4'
    if name not in known:
        near = ', '.join(difflib.get_close_matches(name, known)) or 'no name like it'
        raise SystemExit(f'--game={game}: gymnasium has no {name}; it has {near}.')
    return name


def fill(buffer: Any) -> None:
    """Repeats what a replay memory of stable-baselines3 has until it is full."""
    given, size = buffer.pos, buffer.buffer_size
    missing = () if buffer.full else range(given, size, given)
    for rows in (buffer.observations, buffer.actions, buffer.rewards, buffer.dones):
        for start in missing:
            stop = min(start + given, size)
            rows[start:stop] = rows[: stop - start]
    buffer.full = True


def train(
    game: str,
    agent_steps: int,
    warm_up: int,
    envs: int,
    vector: str,
    replay_agent_steps: int,
    profile: bool,
) -> dict:
    """Times stable-baselines3's DQN on its own preprocessing of a game.

    Its CnnPolicy is the paper's network. What is set is what the paper has, where it bears on the
    speed; its Adam, its mean of the Huber loss and its clipped norm of the gradient stay. It acts
    at random every tenth time, so that acting is measured as it is in most of a training.

    Args:
      game, envs: as ale-py calls it, and how many are played at once.
      agent_steps, warm_up: to time, and before that, agent steps of all games together.
      vector: 'dummy' for games in this process, 'subprocesses' for one each.
      replay_agent_steps: of the replay memory.
      profile: whether to say where the time goes.
    """
    import ale_py
    import cv2
    import gymnasium
    import stable_baselines3 as sb3
    from stable_baselines3.common import env_util, vec_env

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    apart = vector == 'subprocesses'
    games = env_util.make_atari_env(
        game_id(game, list(gymnasium.registry)),
        envs,
        seed=0,
        vec_env_cls=vec_env.SubprocVecEnv if apart else vec_env.DummyVecEnv,
        # Other processes would not know the games that are registered here.
        vec_env_kwargs={'start_method': 'fork'} if apart else None,
    )
    games = vec_env.VecFrameStack(games, IMAGE[0])
    every = rollout(envs)
    settings = {
        'learning_rate': LEARNING_RATE,
        'buffer_size': replay_agent_steps,
        'learning_starts': 2 * every['agent_steps'],
        'batch_size': BATCH,
        'gamma': DISCOUNT,
        'train_freq': every['train_freq'],
        'gradient_steps': every['gradient_steps'],
        # Half the memory, and what it asks for: the end of the time is taken for a loss.
        'optimize_memory_usage': True,
        'replay_buffer_kwargs': {'handle_timeout_termination': False},
        'target_update_interval': 10_000,
        'exploration_initial_eps': 0.1,
        'exploration_final_eps': 0.1,
    }
    model = sb3.DQN('CnnPolicy', games, seed=0, device='cpu', **settings)
    buffer, watch = model.replay_buffer, Stopwatch()
    if profile:
        watch.wrap(model.env, 'step', 'emulator and preprocessing')
        watch.wrap(model, 'predict', 'acting')
        watch.wrap(model, '_store_transition', 'storing')
        watch.wrap(buffer, 'sample', 'sampling')
        watch.wrap(model, 'train', 'update')
    marks = []

    def mark(*_) -> bool:
        if model.num_timesteps == warm_up:
            fill(buffer)
            watch.seconds.clear()
        if model.num_timesteps in (warm_up, warm_up + agent_steps):
            marks.append((time.perf_counter(), model._n_updates, dict(watch.seconds)))
        return True

    # The clock stands between a step and what follows it, so that updates before the first agent
    # step of the time make up for those after the last.
    model.learn(warm_up + agent_steps, callback=mark)
    taken = marks[1][0] - marks[0][0]
    result = {
        'agent_steps_per_s': agent_steps / taken,
        'seconds': taken,
        'updates': marks[1][1] - marks[0][1],
        'memory': memory_mb() | {'replay_mb': buffer.observations.nbytes / 1e6},
        'settings': {
            'game': game,
            'envs': envs,
            'vector': vector,
            'warm_up_agent_steps': warm_up,
            'optimizer': type(model.policy.optimizer).__name__,
            'parameters': sum(weights.numel() for weights in model.q_net.parameters()),
            **settings,
        },
        'libraries': {
            'stable_baselines3': sb3.__version__,
            'gymnasium': gymnasium.__version__,
            'ale_py': ale_py.__version__,
            'cv2': cv2.__version__,
        },
    }
    if profile:
        shares = {name: spent / taken for name, spent in marks[1][2].items()}
        result['shares'] = shares | {'other': 1 - sum(shares.values())}
    games.close()
    return result


def memory_mb() -> dict[str, float]:
    """What this process holds and the most it ever held, MB of 10^6 bytes, where Linux says so."""
    try:
        with open('/proc/self/status', encoding='utf8') as file:
            rows = dict(line.split(':', 1) for line in file)
    except OSError:
        return {}
    return {
        name: int(rows[row].split()[0]) * 1024 / 1e6
        for name, row in (('now_mb', 'VmRSS'), ('peak_mb', 'VmHWM'))
        if row in rows
    }


def positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no positive whole number')
    return int(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mode', choices=('update', 'train'), required=True)
    parser.add_argument('--threads', type=positive, help='by default as many as processors')
    one = parser.add_argument_group('--mode=update')
    one.add_argument('--dtype', choices=DTYPES, default=DTYPES[0], help='bfloat16 is autocast')
    one.add_argument('--layout', choices=LAYOUTS, default=LAYOUTS[1], help='of images and weights')
    one.add_argument('--compile', action='store_true', help='with torch.compile')
    one.add_argument('--actions', type=positive, default=6, help='of the game')
    one.add_argument('--updates', type=positive, default=40, help='in a block')
    one.add_argument('--blocks', type=positive, default=3, help='timed, after one to warm up')
    whole = parser.add_argument_group('--mode=train; agent steps are of all games together')
    whole.add_argument('--game', help='as ale-py calls it, such as pong')
    whole.add_argument('--agent_steps', type=positive, help='to time')
    whole.add_argument('--warm_up_agent_steps', type=positive, default=480, help='before them')
    whole.add_argument('--envs', type=positive, default=1, help='games at once')
    whole.add_argument('--vector', choices=('dummy', 'subprocesses'), default='dummy')
    whole.add_argument('--replay_agent_steps', type=positive, default=100_000)
    whole.add_argument('--profile', action='store_true', help='where the time goes')
    arguments = parser.parse_args()
    if arguments.mode == 'train':
        if not arguments.game or not arguments.agent_steps:
            parser.error('--mode=train needs --game and --agent_steps')
        every = rollout(arguments.envs)['agent_steps']
        for name in ('agent_steps', 'warm_up_agent_steps'):
            given = getattr(arguments, name)
            if given % every:
                parser.error(
                    f'--{name}={given} is no multiple of {every}, the agent steps of '
                    f'{arguments.envs} games between updates'
                )
            if given < 4 * every:
                parser.error(f'--{name}={given} is less than {4 * every}')
    return arguments


def main() -> None:
    arguments = parse()
    if 'torch' not in globals():
        raise SystemExit('This Python has no torch.')
    torch.set_num_threads(arguments.threads or len(os.sched_getaffinity(0)))
    # As TensorFlow does: numbers that die out must not slow it down.
    torch.set_flush_denormal(True)
    if arguments.mode == 'update':
        result = update_ms(
            arguments.updates,
            arguments.blocks,
            arguments.dtype,
            arguments.layout,
            arguments.compile,
            arguments.actions,
        )
        result |= {'layout': arguments.layout, 'memory': memory_mb(), 'libraries': {}}
    else:
        result = train(
            arguments.game,
            arguments.agent_steps,
            arguments.warm_up_agent_steps,
            arguments.envs,
            arguments.vector,
            arguments.replay_agent_steps,
            arguments.profile,
        )
    result['threads'] = torch.get_num_threads()
    result['libraries'] |= {'torch': torch.__version__}
    print(json.dumps(result))


if __name__ == '__main__':
    main()
