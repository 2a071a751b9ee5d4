"""One training update of the fully connected Ladder network, written plainly in PyTorch.

The peer of benchmarks/ladder.py: 784-1000-500-250-250-250-10, batch 100 labelled + 100 unlabelled,
Adam with rate 0.002, noise 0.3, denoiser g, lambda 1000, 10, 0.1 x5 (Rasmus et al., 2015, Table 1,
100 labels). PyTorch is not of the locked stack: run it in an environment of its own with torch and
numpy.

    python benchmarks/ladder_torch.py 10 50           10 updates to warm up, 50 timed
    python benchmarks/ladder_torch.py 10 50 --fused   with torch's fused Adam
    python benchmarks/ladder_torch.py --check         costs and gradients against the reference

Prints one JSON object: "update_ms" (one number an update, milliseconds), "median_ms", "loss" of the
last update, "torch", "threads", "fused".
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (784, 1000, 500, 250, 250, 250, 10)
LAMBDAS = (1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1)
BATCH = 100
NOISE_STD = 0.3
LEARNING_RATE = 0.002
THREADS = 2
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
        pairs = list(zip(widths, widths[1:]))
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


def measure(warm_up: int, timed: int, fused: bool) -> dict:
    """Times `timed` updates on batches of random pixels, prepared beforehand."""
    torch.manual_seed(0)
    model = Ladder()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=fused or None)
    images = torch.rand(10, 2, BATCH, WIDTHS[0])
    labels = torch.arange(BATCH) % WIDTHS[-1]
    milliseconds = []
    for step in range(warm_up + timed):
        x_labelled, x_unlabelled = images[step % len(images)]
        start = time.perf_counter()
        loss = update(model, optimizer, (x_labelled, labels, x_unlabelled))
        milliseconds.append(1000 * (time.perf_counter() - start))
    milliseconds = milliseconds[warm_up:]
    return {
        'update_ms': milliseconds,
        'median_ms': statistics.median(milliseconds),
        'loss': loss,
        'torch': torch.__version__,
        'threads': torch.get_num_threads(),
        'fused': fused,
    }


def check() -> dict:
    """Largest relative difference of costs and gradients to the NumPy reference, on 7-6-5-4."""
    import numpy as np

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    from tests.research.ladder import numpy_reference as reference

    widths, lambdas = (7, 6, 5, 4), (1000.0, 10.0, 0.1, 0.1)
    rng = np.random.default_rng(0)
    params = reference.random_parameters(widths, reference.g, rng)
    x_labelled, x_unlabelled = rng.uniform(size=(8, 7)), rng.uniform(size=(6, 7))
    y = np.arange(8) % 4
    noise = [[NOISE_STD * rng.normal(size=(n, w)) for w in widths] for n in (8, 6)]
    batch = (x_labelled, y, x_unlabelled, *noise, lambdas)
    expected = reference.ladder(params, *batch)
    expected_gradients = reference.numerical_gradients(
        lambda p: reference.ladder(p, *batch).total, params, h=1e-6
    )

    torch.set_default_dtype(torch.float64)
    model = Ladder(widths)
    pairs = [(model.gamma, params['gamma'], expected_gradients['gamma'])]
    for l in range(1, len(widths)):
        for parameter, name in [
            (model.encoder[l - 1].weight, 'W'),
            (model.decoder[l - 1].weight, 'V'),
            (model.beta[l - 1], 'beta'),
        ]:
            pairs.append((parameter, params[name][l].T, expected_gradients[name][l].T))
    for l, denoiser in enumerate(model.denoisers):
        for name, parameter in denoiser.named_parameters():
            pairs.append((parameter, params['g'][l][name], expected_gradients['g'][l][name]))
    assert len(pairs) == len(list(model.parameters()))
    with torch.no_grad():
        for parameter, value, _ in pairs:
            parameter.copy_(torch.tensor(value))
    halves = [torch.tensor(np.concatenate(pair)) for pair in zip(*noise)]
    tensors = (torch.tensor(v) for v in (x_labelled, y, x_unlabelled))
    classification, denoising = model.costs(*tensors, lambdas, halves)
    (classification + sum(denoising)).backward()

    got = np.array([classification.item(), *(cost.item() for cost in denoising)])
    wanted = np.array([expected.classification_cost, *expected.weighted_costs])
    cost_error = np.max(np.abs(got - wanted) / np.abs(wanted))
    gradient_error = max(
        np.linalg.norm(parameter.grad.numpy() - gradient) / np.linalg.norm(gradient)
        for parameter, _, gradient in pairs
    )
    if cost_error > 1e-9 or gradient_error > 1e-4:
        raise SystemExit(f'costs differ by {cost_error:.1e}, gradients by {gradient_error:.1e}.')
    return {'cost_error': cost_error, 'gradient_error': gradient_error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('warm_up', type=int, nargs='?', default=10, help='updates before timing')
    parser.add_argument('timed', type=int, nargs='?', default=50, help='updates timed')
    parser.add_argument('--fused', action='store_true', help="torch's fused Adam")
    parser.add_argument('--check', action='store_true', help='compare with the NumPy reference')
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    if arguments.check:
        print(json.dumps(check()))
    else:
        print(json.dumps(measure(arguments.warm_up, arguments.timed, arguments.fused)))


if __name__ == '__main__':
    main()
