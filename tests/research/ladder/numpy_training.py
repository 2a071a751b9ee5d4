"""Training steps of the whole Ladder network in float64 NumPy, for golden tests.

Rasmus et al. (2015), section 4: Adam, rate 0.002 "for the first part of learning, followed by an
annealing phase during which the learning rate was linearly decreased to zero". The costs are those
of numpy_reference.py, their gradient is taken by differences. Shares no code with research/ladder
or official/modeling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tests.research.ladder import numpy_reference as reference


def learning_rate(
    update: int,
    updates_per_epoch: int = 600,
    initial: float = 0.002,
    epochs: float = 150,
    constant_epochs: float = 100,
) -> float:
    """Rate of update number `update`, counted from 0: the first update is 0 and has `initial`.

    Constant for updates [0, constant), then a straight line from `initial` at update `constant` to
    0 at update `end`, the first one after the last epoch; so the last real update (end - 1) has
    initial / (end - constant), and 0 thereafter.
    """
    constant = constant_epochs * updates_per_epoch
    end = epochs * updates_per_epoch
    if update < constant:
        return initial
    if update >= end:
        return 0.0
    return initial * (end - update) / (end - constant)


def adam(
    theta: np.ndarray,
    gradients: list,
    rates: list,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    epsilon_hat: bool = False,
) -> list:
    """Parameters after each of len(gradients) steps of Adam (Kingma and Ba, 2015), from m = v = 0.

    Algorithm 1 (epsilon_hat False), for t = 1, 2, ...:
        m_t = beta1 m_(t-1) + (1 - beta1) g_t         m^ = m_t / (1 - beta1^t)
        v_t = beta2 v_(t-1) + (1 - beta2) g_t^2       v^ = v_t / (1 - beta2^t)
        theta_t = theta_(t-1) - rate m^ / (sqrt(v^) + eps)
    Section 2's faster order (epsilon_hat True), as Keras and TensorFlow have it:
        theta_t = theta_(t-1) - rate sqrt(1 - beta2^t) / (1 - beta1^t) m_t / (sqrt(v_t) + eps)
    which is Algorithm 1 with eps / sqrt(1 - beta2^t) in place of eps: at t = 1 an epsilon about 32
    times as large. The two differ visibly only where |g| is not large against eps.
    """
    theta = np.array(theta, np.float64)
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    steps = []
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        if epsilon_hat:
            step_size = rate * np.sqrt(1 - beta2**t) / (1 - beta1**t)
            theta = theta - step_size * m / (np.sqrt(v) + eps)
        else:
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
            theta = theta - rate * m_hat / (np.sqrt(v_hat) + eps)
        steps.append(theta)
    return steps


@dataclasses.dataclass
class Step:
    """What one update leaves behind.

    params: as in numpy_reference.py, after the update; means, variances: running averages of the
    clean statistics, lists by layer (0 unused); result: the costs before the update.
    """

    params: dict
    means: list
    variances: list
    result: reference.Result


def training_steps(
    params: dict,
    batches: Sequence,
    noises: Sequence,
    lambdas: Sequence,
    rates: Sequence,
    denoiser: Callable,
    layers: Sequence,
    momentum: float = 0.99,
) -> list:
    """Updates by Algorithm 1, equation (2) and Adam, one `Step` each; running averages from (0, 1).

    batches: (x_labelled, y, x_unlabelled) of each step; noises: (noise_labelled, noise_unlabelled)
    of each; rates: learning rate of each. The averages a <- momentum a + (1 - momentum) new are of
    the clean pass of the unlabelled half; without any denoising cost of the labelled half, the one
    part of the data that such a network sees.
    """
    start, gradients, steps = params, [], []
    averages = [(0.0, 1.0)] * len(layers)
    for batch, noise in zip(batches, noises, strict=True):
        cost = lambda p: reference.ladder(p, *batch, *noise, lambdas, denoiser, layers)
        result = cost(params)
        clean = result.clean if any(lambdas) else reference.encode(layers, params, batch[0])
        averages = [(0.0, 1.0)] + [
            tuple(
                momentum * old + (1 - momentum) * new for old, new in zip(pair, news, strict=True)
            )
            for pair, *news in list(zip(averages, clean.mean, clean.variance, strict=True))[1:]
        ]
        gradients.append(reference.numerical_gradients(lambda p: cost(p).total, params))
        # Adam from the start: its moments are made of all gradients so far.
        params = _map(
            lambda theta, *g: adam(theta, g, rates[: len(g)], epsilon_hat=True)[-1],
            start,
            *gradients,
        )
        means, variances = map(list, zip(*averages, strict=True))
        steps.append(Step(params, means, variances, result))
    return steps


def _map(function: Callable, *trees):
    """`function` of the arrays at each place of nested dicts and lists; None stays None."""
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, dict):
        return {name: _map(function, *(tree[name] for tree in trees)) for name in first}
    if isinstance(first, (list, tuple)):
        return [_map(function, *parts) for parts in zip(*trees, strict=True)]
    return function(*trees)
