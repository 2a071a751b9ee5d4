"""One training update of the fully connected Ladder network, written plainly in PyTorch.

The peer in benchmarks/ladder.py: 784-1000-500-250-250-250-10, batch 100 labelled + 100 unlabelled,
Adam with rate 0.002, noise 0.3, denoiser g, lambda 1000, 10, 0.1 x5 (Rasmus et al., 2015, Table 1,
100 labels). PyTorch is not of the locked stack: run it in an environment of its own with torch and
numpy. Nothing else of the project is needed.

    python benchmarks/ladder_torch.py --updates=40 --blocks=3
    python benchmarks/ladder_torch.py --fused           with torch's fused Adam

Prints one JSON object: 'update_ms', the mean update of each block, milliseconds; and 'libraries'.
tests/benchmarks/ladder_torch_test.py compares its costs and gradients with the reference.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (784, 1000, 500, 250, 250, 250, 10)
LAMBDAS = (1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1)
BATCH = 100
NOISE_STD = 0.3
LEARNING_RATE = 0.002
EPSILON = 1e-10
AVERAGE_MOMENTUM = 0.01


def batch_norm(x: torch.Tensor) -> torch.Tensor:
    return functional.batch_norm(x, None, None, training=True, eps=EPSILON)


class Denoiser(nn.Module):
    """Equation (1): a xi + b sigmoid(c xi), xi = [1, z, u, z u], for each unit."""

    def __init__(self, units: int):
        super().__init__()
        start = torch.zeros(4, units)
        start[1] = 1.0
        self.a = nn.Parameter(start.clone())
        self.b = nn.Parameter(torch.ones(units))
        self.c = nn.Parameter(start.clone())

    def forward(self, z: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        a, c = self.a, self.c
        zu = z * u
        inside = c[0] + c[1] * z + c[2] * u + c[3] * zu
        return a[0] + a[1] * z + a[2] * u + a[3] * zu + self.b * torch.sigmoid(inside)


class Ladder(nn.Module):
    """Sections 3.2 and 3.3, with running averages of the clean statistics for test time."""

    def __init__(self, widths=WIDTHS):
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.encoder = nn.ModuleList(nn.Linear(m, n, bias=False) for m, n in pairs)
        self.decoder = nn.ModuleList(nn.Linear(n, m, bias=False) for m, n in pairs)
        self.beta = nn.ParameterList(torch.zeros(n) for n in widths[1:])
        self.gamma = nn.Parameter(torch.ones(widths[-1]))
        self.denoisers = nn.ModuleList(Denoiser(n) for n in widths)
        for linear in [*self.encoder, *self.decoder]:
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        for l, n in enumerate(widths[1:]):
            self.register_buffer(f'mean_{l}', torch.zeros(n))
            self.register_buffer(f'variance_{l}', torch.ones(n))

    def activation(self, l: int, z: torch.Tensor) -> torch.Tensor:
        """h of layer l + 1; logits at the top."""
        if l == len(self.encoder) - 1:
            return self.gamma * (z + self.beta[l])
        return functional.relu(z + self.beta[l])

    def corrupted(self, x: torch.Tensor, labelled: int, noise: list) -> tuple:
        """Logits of both halves and z_tilde of each layer, the halves normalised apart."""
        h = x + noise[0]
        z = [h]
        for l, linear in enumerate(self.encoder):
            pre = linear(h)
            normalised = [batch_norm(pre[:labelled]), batch_norm(pre[labelled:])]
            z.append(torch.cat(normalised) + noise[l + 1])
            h = self.activation(l, z[-1])
        return h, z

    def clean(self, x: torch.Tensor) -> tuple:
        """z, mean and standard deviation of each layer."""
        h, z, means, stds = x, [x], [None], [None]
        for l, linear in enumerate(self.encoder):
            pre = linear(h)
            variance, mean = torch.var_mean(pre, dim=0, correction=0)
            std = torch.sqrt(variance + EPSILON)
            z.append((pre - mean) / std)
            means.append(mean)
            stds.append(std)
            with torch.no_grad():
                getattr(self, f'mean_{l}').lerp_(mean, AVERAGE_MOMENTUM)
                getattr(self, f'variance_{l}').lerp_(variance, AVERAGE_MOMENTUM)
            if l < len(self.encoder) - 1:
                h = self.activation(l, z[-1])
        return z, means, stds

    def costs(self, x_labelled, y, x_unlabelled, lambdas=LAMBDAS, noise=None) -> tuple:
        """Classification cost and the weighted denoising costs of the layers 0..L.

        noise: one tensor a layer, rows of the labelled half first; None draws it.
        """
        labelled = len(x_labelled)
        x = torch.cat([x_labelled, x_unlabelled])
        if noise is None:
            widths = [x.shape[1]] + [linear.out_features for linear in self.encoder]
            noise = [NOISE_STD * torch.randn(len(x), n) for n in widths]
        logits, z_tilde = self.corrupted(x, labelled, noise)
        z, means, stds = self.clean(x_unlabelled)

        classification = functional.cross_entropy(logits[:labelled], y)
        denoising = [None] * len(z)
        u = batch_norm(torch.softmax(logits[labelled:], dim=1))
        for l in reversed(range(len(z))):
            z_hat = self.denoisers[l](z_tilde[l][labelled:], u)
            if l > 0:
                u = batch_norm(self.decoder[l - 1](z_hat))
                z_hat_bn = (z_hat - means[l]) / stds[l]
            else:
                z_hat_bn = z_hat
            denoising[l] = lambdas[l] * functional.mse_loss(z_hat_bn, z[l])
        return classification, denoising


def update(model: Ladder, optimizer: torch.optim.Optimizer, batch: tuple) -> float:
    optimizer.zero_grad()
    classification, denoising = model.costs(*batch)
    loss = classification + sum(denoising)
    loss.backward()
    optimizer.step()
    return loss.item()


def update_ms(updates: int, blocks: int, fused: bool) -> list[float]:
    """Times updates on batches of random pixels that are ready in memory.

    Args:
      updates: in one block.
      blocks: how many are timed, after one to warm up.
      fused: torch's fused Adam in place of its default.

    Returns:
      The mean update of each block, milliseconds.
    """
    torch.manual_seed(0)
    model = Ladder()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=fused or None)
    images = torch.rand(10, 2, BATCH, WIDTHS[0])
    labels = torch.arange(BATCH) % WIDTHS[-1]
    milliseconds = []
    for _ in range(1 + blocks):
        start = time.perf_counter()
        for step in range(updates):
            x_labelled, x_unlabelled = images[step % len(images)]
            update(model, optimizer, (x_labelled, labels, x_unlabelled))
        milliseconds.append(1000 * (time.perf_counter() - start) / updates)
    return milliseconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--updates', type=int, default=40, help='in a block')
    parser.add_argument('--blocks', type=int, default=3, help='timed, after one to warm up')
    parser.add_argument('--fused', action='store_true', help="torch's fused Adam")
    parser.add_argument('--threads', type=int, help="by default torch's own choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    measured = update_ms(arguments.updates, arguments.blocks, arguments.fused)
    print(json.dumps({'update_ms': measured, 'libraries': {'torch': torch.__version__}}))


if __name__ == '__main__':
    main()
