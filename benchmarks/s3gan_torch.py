"""Images and training steps of S3GAN (Lucic et al. 2019) on BigGAN, written plainly in PyTorch.

The peer in benchmarks/s3gan.py. PyTorch is not of the locked stack: run it in an environment of its
own with torch and numpy. Nothing else of the project is needed.

    python benchmarks/s3gan_torch.py forward small [--layout=contiguous] [--spectral=library]
    python benchmarks/s3gan_torch.py step full [--dtype=bfloat16] [--compile]

`forward` is the generator by its moving statistics, as for samples. `step` is what the paper trains
with: two updates of the discriminator, each on new images of both kinds and with the rotations of
every 16th real one, in one call; one of the generator; Adam of both; the average of the generator's
weights. `--spectral=own` makes a power iteration with every call, as this project's networks do,
and keeps it where a network learns; torch's own, `library`, makes none where it would not be kept.

Prints one JSON object: 'ms', the mean image batch or step of each block, milliseconds; 'first_s',
of the first of all, which has the compilation if there is one; 'parameters', 'memory' and
'libraries'.
tests/benchmarks/s3gan_torch_test.py compares images, losses and steps with this project's.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

ROTATION_STRIDE = 16
ALPHA, BETA = 0.2, 0.5
AVERAGE_DECAY = 0.9999
LEARNING_RATES = 5e-5, 2e-4  # Of the generator and of the discriminator.
EMBEDDING, CHUNK, SEED_SIZE = 128, 20, 4
EPSILON = 1e-12
BATCHES = 4  # Of random images.
MODES = ('forward', 'step')
DTYPES = ('float32', 'bfloat16')
LAYOUTS = ('channels_last', 'contiguous')
SPECTRAL = ('own', 'library')


class Config(NamedTuple):
    """What networks are built of: see benchmarks/s3gan.py, where it is the same."""

    image_size: int
    channels: int
    ch: int
    classes: int
    batch: int
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    attention: tuple[int, int]


CONFIGS = {
    'small': Config(32, 1, 8, 10, 64, (4, 4, 4, 4), (2, 2, 2, 2), (0, 0)),
    'full': Config(128, 3, 96, 1000, 4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), (4, 1)),
}


# Networks. Their modules have the names of Tables 10 and 11.


class SpectralNorm(nn.Module):
    """W / sigma, by one power iteration from the u that is kept (Miyato et al. 2018, Alg. 1).

    In training the new u is kept.

    Args:
      weight: to be normalized.
      dim: its axis of outputs.
    """

    def __init__(self, weight: torch.Tensor, dim: int):
        super().__init__()
        self.dim = dim
        self.register_buffer('u', functional.normalize(torch.randn(weight.shape[dim]), dim=0))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        matrix = weight.movedim(self.dim, 0)
        if matrix.dim() == 4 and matrix.is_contiguous(memory_format=torch.channels_last):
            matrix = matrix.movedim(1, 3)  # So that nothing is copied.
        matrix = matrix.flatten(1)
        with torch.autocast('cpu', enabled=False):
            with torch.no_grad():
                v = functional.normalize(matrix.T @ self.u, dim=0, eps=EPSILON)
                u = functional.normalize(matrix @ v, dim=0, eps=EPSILON)
                if self.training:
                    self.u.copy_(u)
            return weight / torch.dot(u, matrix @ v)


def spectral(module: nn.Module, kind: str, dim: int = 0) -> nn.Module:
    """Normalizes the weights of a module; `kind` is one of SPECTRAL."""
    if kind == 'library':
        return parametrizations.spectral_norm(module, eps=EPSILON, dim=dim)
    return parametrize.register_parametrization(module, 'weight', SpectralNorm(module.weight, dim))


def conv(inputs: int, outputs: int, size: int, kind: str, bias: bool = True) -> nn.Module:
    return spectral(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias), kind)


class BatchNorm(nn.Module):
    """By the batch's statistics in training; `moving`: these move the averages."""

    def __init__(self, channels: int):
        super().__init__()
        self.moving = True
        self.register_buffer('moving_mean', torch.zeros(channels))
        self.register_buffer('moving_variance', torch.ones(channels))

    def forward(self, x, gain=None, shift=None):
        averages = self.moving_mean, self.moving_variance
        if self.training and not self.moving:
            averages = None, None
        return functional.batch_norm(
            x, *averages, gain, shift, training=self.training, momentum=0.1, eps=1e-5
        )


class FinalNorm(BatchNorm):
    def __init__(self, channels: int):
        super().__init__(channels)
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return super().forward(x, self.gamma, self.beta)


class ConditionalNorm(BatchNorm):
    def __init__(self, channels: int, inputs: int, kind: str):
        super().__init__(channels)
        self.condition = nn.ModuleDict(
            {
                name: spectral(nn.Linear(inputs, channels, bias=False), kind)
                for name in ('gamma', 'beta')
            }
        )

    def forward(self, x, condition):
        gain, shift = (part(condition)[:, :, None, None] for part in self.condition.values())
        return super().forward(x) * (1 + gain) + shift


class GeneratorBlock(nn.Module):
    """Table 9: doubles height and width."""

    def __init__(self, inputs: int, outputs: int, condition: int, kind: str):
        super().__init__()
        self.bn1 = ConditionalNorm(inputs, condition, kind)
        self.up_conv1 = conv(inputs, outputs, 3, kind)
        self.bn2 = ConditionalNorm(outputs, condition, kind)
        self.same_conv2 = conv(outputs, outputs, 3, kind)
        self.up_conv_shortcut = conv(inputs, outputs, 1, kind)

    def forward(self, x, condition):
        y = functional.relu(self.bn1(x, condition))
        y = self.up_conv1(functional.interpolate(y, scale_factor=2))
        y = self.same_conv2(functional.relu(self.bn2(y, condition)))
        return y + self.up_conv_shortcut(functional.interpolate(x, scale_factor=2))


class DiscriminatorBlock(nn.Module):
    """Table 8 as Table 10 lists it: halves height and width, or the last, which does not.

    The shortcut is there where the number of channels changes.
    """

    def __init__(self, inputs: int, outputs: int, down: bool, kind: str):
        super().__init__()
        self.down = down
        self.same_conv1 = conv(inputs, outputs, 3, kind)
        second = conv(outputs, outputs, 3, kind)
        if down:
            self.down_conv2 = second
        else:
            self.same_conv2 = second
        self.shortcut = inputs != outputs
        if self.shortcut:
            self.down_conv_shortcut = conv(inputs, outputs, 1, kind)

    def forward(self, x):
        y = functional.relu(self.same_conv1(functional.relu(x)))
        if not self.down:
            return self.same_conv2(y)
        y = functional.avg_pool2d(self.down_conv2(y), 2)
        return y + functional.avg_pool2d(self.down_conv_shortcut(x), 2) if self.shortcut else y


class NonLocalBlock(nn.Module):
    def __init__(self, channels: int, kind: str):
        super().__init__()
        for name, inputs, outputs in (
            ('theta', channels, channels // 8),
            ('phi', channels, channels // 8),
            ('g', channels, channels // 2),
            ('attn_g', channels // 2, channels),
        ):
            self.add_module(f'conv2d_{name}', conv(inputs, outputs, 1, kind, bias=False))
        self.sigma = nn.Parameter(torch.zeros([]))

    def forward(self, x):
        theta = self.conv2d_theta(x).flatten(2)
        phi, g = (
            functional.max_pool2d(part(x), 2).flatten(2)
            for part in (self.conv2d_phi, self.conv2d_g)
        )
        weights = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)
        attended = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.sigma * self.conv2d_attn_g(attended)


class Generator(nn.Module):
    def __init__(self, config: Config, kind: str, layout: torch.memory_format):
        super().__init__()
        widths = [config.ch * width for width in config.generator]
        self.layout, self.attention = layout, config.attention[0]
        self.embed_y = nn.Embedding(config.classes, EMBEDDING)
        self.fc_noise = spectral(nn.Linear(CHUNK, widths[0] * SEED_SIZE**2), kind)
        for number, sizes in enumerate(itertools.pairwise(widths), 1):
            self.add_module(f'B{number}', GeneratorBlock(*sizes, CHUNK + EMBEDDING, kind))
        if self.attention:
            self.non_local_block = NonLocalBlock(widths[self.attention], kind)
        self.final_norm = FinalNorm(widths[-1])
        self.final_conv = conv(widths[-1], config.channels, 3, kind)

    def forward(self, z, y):
        """z [n, z_dim] and labels [n] to images [n, channels, size, size] in [0, 1]."""
        first, *chunks = z.split(CHUNK, dim=1)
        embedded = self.embed_y(y)
        x = self.fc_noise(first).unflatten(1, (SEED_SIZE, SEED_SIZE, -1)).permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=self.layout)
        for number, chunk in enumerate(chunks, 1):
            x = getattr(self, f'B{number}')(x, torch.cat([chunk, embedded], 1))
            if number == self.attention:
                x = self.non_local_block(x)
        x = self.final_conv(functional.relu(self.final_norm(x)))
        return (torch.tanh(x.float()) + 1) / 2


class Discriminator(nn.Module):
    def __init__(self, config: Config, kind: str):
        super().__init__()
        widths = [config.ch * width for width in config.discriminator]
        self.blocks, self.attention = len(widths), config.attention[1]
        for number, sizes in enumerate(itertools.pairwise([config.channels, *widths]), 1):
            down = number < len(widths)
            self.add_module(f'B{number}', DiscriminatorBlock(*sizes, down, kind))
        if self.attention:
            self.non_local_block = NonLocalBlock(widths[self.attention - 1], kind)
        self.final_fc = spectral(nn.Linear(widths[-1], 1), kind)
        self.discriminator_projection = spectral(
            nn.Embedding(config.classes, widths[-1]), kind, dim=1
        )
        self.discriminator_rotation = nn.ModuleDict(
            {'score_classify': spectral(nn.Linear(widths[-1], 4), kind)}
        )

    def features(self, x):
        """Images [n, channels, size, size] to [n, features]."""
        for number in range(1, self.blocks + 1):
            x = getattr(self, f'B{number}')(x)
            if number == self.attention:
                x = self.non_local_block(x)
        return functional.relu(x).float().sum((2, 3))

    def logits(self, features, y):
        """D(x, y), [n], of features and labels."""
        projected = (self.discriminator_projection(y) * features).sum(1)
        return self.final_fc(features)[:, 0].float() + projected

    def rotations(self, features):
        return self.discriminator_rotation['score_classify'](features).float()


# Training.


def set_mode(net: nn.Module, training: bool, moving: bool) -> None:
    """How a network is called.

    Args:
      net: of the above.
      training: whether to normalize by the statistics of the batch.
      moving: whether averages of these and the vectors u move.
    """
    net.train(training)
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.moving = moving
        elif isinstance(module, parametrize.ParametrizationList):
            module.train(moving)


class Training:
    """Both networks and their optimizers.

    Args:
      config: of the networks.
      kind: one of SPECTRAL.
      dtype: one of DTYPES; bfloat16 is torch's autocast.
      layout: one of LAYOUTS, of images and weights.
      compiled: the networks and the losses with torch.compile.
    """

    def __init__(
        self,
        config: Config,
        kind: str = 'own',
        dtype: str = 'float32',
        layout: str = 'channels_last',
        compiled: bool = False,
    ):
        self.config, self.half = config, dtype == 'bfloat16'
        self.layout = (torch.channels_last, torch.contiguous_format)[LAYOUTS.index(layout)]
        self.generator = Generator(config, kind, self.layout).to(memory_format=self.layout)
        self.discriminator = Discriminator(config, kind).to(memory_format=self.layout)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), rate, betas=(0.0, 0.999), fused=True)
            for net, rate in zip((self.generator, self.discriminator), LEARNING_RATES, strict=True)
        ]
        self.averages = [weights.detach().clone() for weights in self.generator.parameters()]
        if compiled:
            for name in ('make', 'discriminator_loss', 'generator_loss'):
                setattr(self, name, torch.compile(getattr(self, name)))

    def autocast(self):
        return torch.autocast('cpu', torch.bfloat16, enabled=self.half)

    def make(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Images."""
        with self.autocast():
            return self.generator(z, y)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """z and labels of a batch."""
        number = self.config.batch
        z = torch.randn(number, CHUNK * len(self.config.generator))
        return z, torch.randint(self.config.classes, [number])

    def features(self, *images: torch.Tensor) -> torch.Tensor:
        """Of several tensors of images and of the rotations of every 16th of the first."""
        turned = [
            torch.rot90(images[0][::ROTATION_STRIDE], quarter, (2, 3)) for quarter in (1, 2, 3)
        ]
        return self.discriminator.features(
            torch.cat([*images, *turned]).contiguous(memory_format=self.layout)
        )

    def rotation_loss(self, upright: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        """Eq. (1) of features."""
        upright = upright[::ROTATION_STRIDE]
        logits = self.discriminator.rotations(torch.cat([upright, turned]))
        quarters = torch.arange(4).repeat_interleave(len(upright))
        return functional.cross_entropy(logits, quarters)

    def discriminator_loss(self, real, labels, fake, y) -> torch.Tensor:
        """L_D with Eq. (4), of real and generated images and their labels."""
        number = len(real)
        with self.autocast():
            features = self.features(real, fake)
            logits = self.discriminator.logits(features[: 2 * number], torch.cat([labels, y]))
            turning = self.rotation_loss(features[:number], features[2 * number :])
        hinge = (
            functional.relu(1 - logits[:number]).mean()
            + functional.relu(1 + logits[number:]).mean()
        )
        return hinge + BETA * turning

    def generator_loss(self, z, y) -> torch.Tensor:
        """L_G with Eq. (5), of noise and labels."""
        with self.autocast():
            features = self.features(self.generator(z, y))
            logits = self.discriminator.logits(features[: len(y)], y)
            turning = self.rotation_loss(features[: len(y)], features[len(y) :])
        return ALPHA * turning - logits.mean()

    def step(self, images: torch.Tensor, labels: torch.Tensor, draws=None) -> list[float]:
        """Two updates of the discriminator, each on every other image, and one of the generator.

        Args:
          images: uint8 [2 batches, channels, size, size].
          labels: int64 [2 batches].
          draws: three pairs of z and labels; None draws them.

        Returns:
          The three losses.
        """
        draws = draws or [self.draw() for _ in range(3)]
        images = images.to(torch.float32, memory_format=self.layout) / 255
        losses = []
        self.discriminator.requires_grad_(True)
        set_mode(self.generator, training=True, moving=False)
        set_mode(self.discriminator, training=True, moving=True)
        for number, (z, y) in enumerate(draws[:2]):
            with torch.no_grad():
                fake = self.make(z, y)
            losses.append(
                self._update(
                    self.optimizers[1],
                    self.discriminator_loss(images[number::2], labels[number::2], fake, y),
                )
            )
        # No gradients of weights that are not updated.
        self.discriminator.requires_grad_(False)
        set_mode(self.generator, training=True, moving=True)
        set_mode(self.discriminator, training=False, moving=False)
        losses.append(self._update(self.optimizers[0], self.generator_loss(*draws[2])))
        with torch.no_grad():
            torch._foreach_lerp_(
                self.averages, list(self.generator.parameters()), 1 - AVERAGE_DECAY
            )
        return losses

    def _update(self, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()


# Measurement.


def task(training: Training, mode: str) -> Callable[[int], float]:
    """What is timed: it is given a number and returns one that has to be finite."""
    config = training.config
    if mode == 'forward':
        set_mode(training.generator, training=False, moving=False)
        z, y = training.draw()
        make = torch.inference_mode()(training.make)
        return lambda number: make(z, y)[0, 0, 0, 0].item()
    shape = 2 * config.batch, config.image_size, config.image_size, config.channels
    images = [
        torch.randint(256, shape, dtype=torch.uint8).permute(0, 3, 1, 2) for _ in range(BATCHES)
    ]
    labels = torch.randint(config.classes, shape[:1])
    return lambda number: sum(training.step(images[number % BATCHES], labels))


def timed(run: Callable, repetitions: int, blocks: int) -> dict:
    """'ms', the mean of each block after one to warm up, and 'first_s' of the first of all."""
    begin = time.perf_counter()
    run(0)
    first_s = time.perf_counter() - begin
    milliseconds = []
    for _ in range(1 + blocks):
        begin = time.perf_counter()
        for number in range(repetitions):
            value = run(number)
        milliseconds.append(1000 * (time.perf_counter() - begin) / repetitions)
    if not math.isfinite(value):
        raise SystemExit(f'The result is {value}: these times do not count.')
    return {'ms': milliseconds[1:], 'first_s': first_s}


def peak_mb() -> float | None:
    """The most this process ever held, MB of 10^6 bytes, where Linux says so."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path('/proc/self/status').read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('mode', choices=MODES)
    parser.add_argument('config', choices=list(CONFIGS))
    parser.add_argument('--batch', type=int, help="by default the configuration's")
    parser.add_argument('--dtype', choices=DTYPES, default='float32', help='bfloat16 is autocast')
    parser.add_argument('--layout', choices=LAYOUTS, default=LAYOUTS[0])
    parser.add_argument('--spectral', choices=SPECTRAL, default=SPECTRAL[0])
    parser.add_argument('--compile', action='store_true', help='with torch.compile')
    parser.add_argument('--repetitions', type=int, default=10, help='in a block')
    parser.add_argument('--blocks', type=int, default=3, help='timed, after one to warm up')
    parser.add_argument('--threads', type=int, help="by default torch's own choice")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    # As TensorFlow does: numbers that die out must not slow it down.
    torch.set_flush_denormal(True)
    config = CONFIGS[arguments.config]
    training = Training(
        config._replace(batch=arguments.batch or config.batch),
        arguments.spectral,
        arguments.dtype,
        arguments.layout,
        arguments.compile,
    )
    result = timed(task(training, arguments.mode), arguments.repetitions, arguments.blocks)
    networks = [training.generator, training.discriminator][: 1 + (arguments.mode == 'step')]
    print(
        json.dumps(
            result
            | {
                'parameters': sum(
                    weights.numel() for net in networks for weights in net.parameters()
                ),
                'memory': {'peak_mb': peak_mb()},
                'libraries': {'torch': torch.__version__},
            }
        )
    )


if __name__ == '__main__':
    main()
