"""Images and training steps of S3GAN (Lucic et al. 2019) on BigGAN, written plainly in PyTorch.

The peer in benchmarks/s3gan.py. PyTorch is not of the locked stack: run it in an environment of its
own with torch and numpy. Nothing else of the project is needed.

    python benchmarks/s3gan_torch.py forward small [--layout=contiguous] [--spectral=library]
    python benchmarks/s3gan_torch.py step full [--dtype=bfloat16] [--compile]
    python benchmarks/s3gan_torch.py peak           convolutions alone

`forward` is the generator by its moving statistics, as for samples. `step` is what the paper trains
with: two updates of the discriminator, each on new images of both kinds and with the rotations of
every 16th real one, in one call; one of the generator; Adam of both; the average of the generator's
weights. `--spectral=own` makes a power iteration with every call, as this project's networks do, and
keeps it where a network learns; torch's own, `library`, makes none where it would not be kept.

Prints one JSON object: 'ms', the mean image batch or step of each block, milliseconds; 'first_s',
of the first of all, which has the compilation if there is one; 'parameters', 'memory' and
'libraries'. For `peak`: 'gflop_per_s' by the type of the numbers.
tests/benchmarks/s3gan_torch_test.py compares images, losses and steps with this project's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pathlib
import time
from typing import NamedTuple

with contextlib.suppress(ModuleNotFoundError):  # What needs no torch is tested without it.
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.nn.utils import parametrizations
    from torch.nn.utils import parametrize

ROTATION_STRIDE = 16
ALPHA, BETA = 0.2, 0.5
AVERAGE_DECAY = 0.9999
LEARNING_RATES = 5e-5, 2e-4  # Of the generator and of the discriminator.
EMBEDDING, CHUNK, SEED_SIZE = 128, 20, 4
EPSILON = 1e-12
BATCHES = 4  # Of random images.
MODES = ('forward', 'step', 'peak')
DTYPES = ('float32', 'bfloat16')
LAYOUTS = ('channels_last', 'contiguous')
SPECTRAL = ('own', 'library')
# Channels, height and width, and images of the convolutions that the peak is measured with.
PEAKS = ((192, 64, 8), (384, 32, 8), (768, 16, 8))


class Config(NamedTuple):
    """What networks are built of.

    Attributes:
      image_size: height and width.
      channels: of an image.
      ch: the channel multiplier.
      classes: labels.
      batch: images of an update.
      generator: widths in units of ch before the first block and after each (Table 6).
      discriminator: widths in units of ch after each block (Table 7).
      attention: blocks of both after which the non-local block comes, 0: none.
    """

    image_size: int
    channels: int
    ch: int
    classes: int
    batch: int
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    attention: tuple[int, int]

    @property
    def turned(self) -> int:
        """Rotated images of an update: three of every 16th."""
        return 3 * math.ceil(self.batch / ROTATION_STRIDE)

    @property
    def z_dim(self) -> int:
        return CHUNK * len(self.generator)


CONFIGS = {
    'small': Config(32, 1, 8, 10, 64, (4, 4, 4, 4), (2, 2, 2, 2), (0, 0)),
    'full': Config(128, 3, 96, 1000, 4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), (4, 1)),
}


# Arithmetic.


class Products(NamedTuple):
    """Multiplications for an image.

    Attributes:
      with_weights: with weights, of convolutions and dense layers.
      lowest: those of them whose input is that of the network.
      without: of images with images, in the attention.
    """

    with_weights: int = 0
    lowest: int = 0
    without: int = 0

    def __add__(self, other: Products) -> Products:
        return Products(*(one + two for one, two in zip(self, other)))


def _resampled(inputs: int, outputs: int, small: int, fused: bool) -> tuple[int, int]:
    """Products of a 3 x 3 and of a 1 x 1 convolution beside a resampling.

    Args:
      inputs, outputs: channels.
      small: the lower of the two heights.
      fused: with 4 x 4 weights and stride 2, and 1 x 1 weights where the image is small; else both
        where it is large.
    """
    pairs = inputs * outputs * small**2
    return ((16 if fused else 36) * pairs, (1 if fused else 4) * pairs)


def _attention(channels: int, size: int) -> Products:
    pixels = size**2
    return Products(pixels * channels**2 * 5 // 4, 0, pixels * pixels // 4 * channels * 5 // 8)


def generator_products(config: Config, fused: bool = False) -> Products:
    """Of an image; labels, which are looked up, are left out."""
    widths, size = [config.ch * width for width in config.generator], SEED_SIZE
    lowest = CHUNK * widths[0] * size**2
    total = Products(lowest, lowest)
    for number, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
        conditions = 2 * (inputs + outputs) * (CHUNK + EMBEDDING)
        resampled = sum(_resampled(inputs, outputs, size, fused))
        size *= 2
        total += Products(conditions + resampled + 9 * outputs**2 * size**2)
        if number == config.attention[0]:
            total += _attention(outputs, size)
    return total + Products(9 * widths[-1] * config.channels * size**2)


def discriminator_products(config: Config, fused: bool = False) -> Products:
    """Of an image; the heads, which come after the sum over the pixels, are left out."""
    widths, size = [config.ch * width for width in config.discriminator], config.image_size
    total, inputs = Products(), config.channels
    for number, outputs in enumerate(widths, 1):
        first = 9 * inputs * outputs * size**2
        if number < len(widths):
            size //= 2
            second = _resampled(outputs, outputs, size, fused)[0]
            shortcut = _resampled(inputs, outputs, size, fused)[1]
        else:
            second, shortcut = 9 * outputs**2 * size**2, 0
        total += Products(first + second + shortcut, (number == 1) * (first + shortcut))
        if number == config.attention[1]:
            total += _attention(outputs, size)
        inputs = outputs
    return total


def flops(mode: str, config: Config, fused: bool = False) -> int:
    """Floating-point operations of the products of a forward pass of a batch, or of a step.

    A product with weights is as much again for the gradient of its weights and for that of its
    input, one without weights twice as much for both. Images made for the discriminator have no
    gradient, nor have the images and noise that come in, nor the discriminator's weights in the
    update of the generator.
    """
    made, seen = generator_products(config, fused), discriminator_products(config, fused)
    forward = made.with_weights + made.without
    if mode == 'forward':
        return 2 * config.batch * forward
    learning = [3 * (net.with_weights + net.without) - net.lowest for net in (made, seen)]
    passing = 2 * seen.with_weights + 3 * seen.without
    shown = config.batch + config.turned
    discriminator = config.batch * forward + (config.batch + shown) * learning[1]
    return 2 * (2 * discriminator + config.batch * learning[0] + shown * passing)


# Networks. Their modules have the names of Tables 10 and 11.

if 'torch' in globals():

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
        return parametrize.register_parametrization(
            module, 'weight', SpectralNorm(module.weight, dim))

    class BatchNorm(nn.Module):
        """Of the batch's statistics in training; `moving`: these move the averages."""

        def __init__(self, channels: int):
            super().__init__()
            self.moving = True
            self.register_buffer('moving_mean', torch.zeros(channels))
            self.register_buffer('moving_variance', torch.ones(channels))

        def normalize(self, x, gain=None, shift=None):
            averages = self.moving_mean, self.moving_variance
            if self.training and not self.moving:
                averages = None, None
            return functional.batch_norm(
                x, *averages, gain, shift, training=self.training, momentum=0.1, eps=1e-5)

    class FinalNorm(BatchNorm):
        def __init__(self, channels: int):
            super().__init__(channels)
            self.gamma = nn.Parameter(torch.ones(channels))
            self.beta = nn.Parameter(torch.zeros(channels))

        def forward(self, x):
            return self.normalize(x, self.gamma, self.beta)

    class ConditionalNorm(BatchNorm):
        def __init__(self, channels: int, inputs: int, kind: str):
            super().__init__(channels)
            self.condition = nn.ModuleDict({
                name: spectral(nn.Linear(inputs, channels, bias=False), kind)
                for name in ('gamma', 'beta')})

        def forward(self, x, condition):
            gain, shift = (self.condition[name](condition)[:, :, None, None]
                           for name in ('gamma', 'beta'))
            return self.normalize(x) * (1 + gain) + shift

    class GeneratorBlock(nn.Module):
        """Table 9: doubles height and width."""

        def __init__(self, inputs: int, outputs: int, condition: int, kind: str):
            super().__init__()
            self.bn1 = ConditionalNorm(inputs, condition, kind)
            self.up_conv1 = spectral(nn.Conv2d(inputs, outputs, 3, padding=1), kind)
            self.bn2 = ConditionalNorm(outputs, condition, kind)
            self.same_conv2 = spectral(nn.Conv2d(outputs, outputs, 3, padding=1), kind)
            self.up_conv_shortcut = spectral(nn.Conv2d(inputs, outputs, 1), kind)

        def forward(self, x, condition):
            y = functional.relu(self.bn1(x, condition))
            y = self.up_conv1(functional.interpolate(y, scale_factor=2))
            y = self.same_conv2(functional.relu(self.bn2(y, condition)))
            return y + self.up_conv_shortcut(functional.interpolate(x, scale_factor=2))

    class DiscriminatorBlock(nn.Module):
        """Table 8 as Table 10 lists it: halves height and width, or the last, without shortcut."""

        def __init__(self, inputs: int, outputs: int, down: bool, kind: str):
            super().__init__()
            self.down = down
            self.same_conv1 = spectral(nn.Conv2d(inputs, outputs, 3, padding=1), kind)
            second = spectral(nn.Conv2d(outputs, outputs, 3, padding=1), kind)
            if down:
                self.down_conv2 = second
                self.down_conv_shortcut = spectral(nn.Conv2d(inputs, outputs, 1), kind)
            else:
                self.same_conv2 = second

        def forward(self, x):
            y = functional.relu(self.same_conv1(functional.relu(x)))
            if not self.down:
                return self.same_conv2(y)
            return functional.avg_pool2d(self.down_conv2(y), 2) + functional.avg_pool2d(
                self.down_conv_shortcut(x), 2)

    class NonLocalBlock(nn.Module):
        def __init__(self, channels: int, kind: str):
            super().__init__()
            for name, inputs, outputs in (
                    ('theta', channels, channels // 8), ('phi', channels, channels // 8),
                    ('g', channels, channels // 2), ('attn_g', channels // 2, channels)):
                self.add_module(
                    f'conv2d_{name}', spectral(nn.Conv2d(inputs, outputs, 1, bias=False), kind))
            self.sigma = nn.Parameter(torch.zeros([]))

        def forward(self, x):
            theta = self.conv2d_theta(x).flatten(2)
            phi, g = (functional.max_pool2d(conv(x), 2).flatten(2)
                      for conv in (self.conv2d_phi, self.conv2d_g))
            weights = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)
            attended = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
            return x + self.sigma * self.conv2d_attn_g(attended)

    class Generator(nn.Module):
        def __init__(self, config: Config, kind: str = 'own'):
            super().__init__()
            widths = [config.ch * width for width in config.generator]
            self.blocks, self.attention = len(widths) - 1, config.attention[0]
            self.embed_y = nn.Embedding(config.classes, EMBEDDING)
            self.fc_noise = spectral(nn.Linear(CHUNK, widths[0] * SEED_SIZE**2), kind)
            for number, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
                self.add_module(
                    f'B{number}', GeneratorBlock(inputs, outputs, CHUNK + EMBEDDING, kind))
            if self.attention:
                self.non_local_block = NonLocalBlock(widths[self.attention], kind)
            self.final_norm = FinalNorm(widths[-1])
            self.final_conv = spectral(nn.Conv2d(widths[-1], config.channels, 3, padding=1), kind)

        def forward(self, z, y):
            """z [n, z_dim] and labels [n] to images [n, channels, size, size] in [0, 1]."""
            first, *chunks = z.split(CHUNK, dim=1)
            embedded = self.embed_y(y)
            x = self.fc_noise(first).unflatten(1, (SEED_SIZE, SEED_SIZE, -1)).permute(0, 3, 1, 2)
            for number, chunk in enumerate(chunks, 1):
                x = getattr(self, f'B{number}')(x, torch.cat([chunk, embedded], 1))
                if number == self.attention:
                    x = self.non_local_block(x)
            x = self.final_conv(functional.relu(self.final_norm(x)))
            return (torch.tanh(x.float()) + 1) / 2

    class Discriminator(nn.Module):
        def __init__(self, config: Config, kind: str = 'own'):
            super().__init__()
            widths = [config.ch * width for width in config.discriminator]
            self.blocks, self.attention = len(widths), config.attention[1]
            for number, (inputs, outputs) in enumerate(
                    zip([config.channels, *widths], widths), 1):
                self.add_module(f'B{number}', DiscriminatorBlock(
                    inputs, outputs, number < len(widths), kind))
            if self.attention:
                self.non_local_block = NonLocalBlock(widths[self.attention - 1], kind)
            self.final_fc = spectral(nn.Linear(widths[-1], 1), kind)
            self.discriminator_projection = spectral(
                nn.Embedding(config.classes, widths[-1]), kind, dim=1)
            self.discriminator_rotation = nn.ModuleDict(
                {'score_classify': spectral(nn.Linear(widths[-1], 4), kind)})

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
