"""Float64 NumPy transcription of the Ladder network, for golden tests.

Rasmus et al., Semi-Supervised Learning with Ladder Networks (2015), sections 3.2-3.4, equations
(1)-(7). Written from the paper alone and sharing no code with research/ladder. Where Algorithm 1
and the equations differ, the equations hold:

* z_hat is normalised with the *clean* mean and standard deviation (Algorithm 1 prints the
  corrupted ones);
* u^(l) = N_B(V^(l+1) z_hat^(l+1)), and u^(L) = N_B(h_tilde^(L)), the corrupted softmax output;
* the denoising cost runs over l = 0..L, layer 0 being the input, which is not normalised.

Conventions. Lists are indexed by the paper's layer number, so W[0], V[0] and beta[0] are None.
Examples are rows: dense weights W[l] are [n_(l-1), n_l] and V[l] are [n_l, n_(l-1)], the transposes
of the paper's. Images and kernels are as in numpy_maps.py. `params` is a dict:

    W, V, beta   lists of L + 1 arrays or None (beta is None where the activation is linear)
    gamma        array of the top layer's width, or None (scale only before the softmax)
    g            list of L + 1 dicts of the denoiser's arrays, one column a unit (dense) or channel
                 (spatial): 'a' [k, m], 'b' [m], 'c' [k, m], rows in the paper's order

V and g may be None below the lowest layer that has a cost (the Gamma model): the decoder stops
above the first g that is None.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tests.research.ladder.numpy_maps import Layer, decode_map, encode_map, fully_connected

EPSILON = 1e-10  # added to the variance, inside the root

Array = np.ndarray
Arrays = list  # of Array or None, indexed by layer number


# Denoising functions, neuron-wise: z (corrupted lateral) and u [..., m], parameters p as above.


def sigmoid(x: Array) -> Array:
    # 1 / (1 + exp(-x)) without overflow for x << 0.
    return np.exp(-np.logaddexp(0.0, -x))


def g(z: Array, u: Array, p: dict) -> Array:
    """Equations (1), (3): a xi + b sigmoid(c xi) with xi = [1, z, u, z u]; 9 parameters a unit."""
    a, b, c = p['a'], p['b'], p['c']
    linear = a[0] + a[1] * z + a[2] * u + a[3] * z * u
    inside = c[0] + c[1] * z + c[2] * u + c[3] * z * u
    return linear + b * sigmoid(inside)


def g2(z: Array, u: Array, p: dict) -> Array:
    """Equation (4): as g without the augmented term, xi' = [1, z, u]; 7 parameters a unit."""
    a, b, c = p['a'], p['b'], p['c']
    return a[0] + a[1] * z + a[2] * u + b * sigmoid(c[0] + c[1] * z + c[2] * u)


def g3(z: Array, u: Array, p: dict) -> Array:
    """Equation (5): a xi, linear but with z u; 4 parameters a unit."""
    a = p['a']
    return a[0] + a[1] * z + a[2] * u + a[3] * z * u


def g4(z: Array, u: Array, p: dict) -> Array:
    """Equation (6): u shifts the mean alone; 9 parameters a unit."""
    a1, a2, a3, a4, a5, a6, a7, a8, a9 = p['a']
    return a1 * u + a2 * sigmoid(a3 * u + a4) + a5 * z + a6 * sigmoid(a7 * z + a8) + a9


def g5(z: Array, u: Array, p: dict) -> Array:
    """Equation (7): Gaussian z given u, (z - mu(u)) v(u) + mu(u); 10 parameters a unit."""
    a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = p['a']
    mu = a1 * sigmoid(a2 * u + a3) + a4 * u + a5
    v = a6 * sigmoid(a7 * u + a8) + a9 * u + a10
    return (z - mu) * v + mu


# Start values, one row a parameter (not in the paper; the authors' runs).
STARTS = {
    g: {'a': [0.0, 1.0, 0.0, 0.0], 'b': 1.0, 'c': [0.0, 1.0, 0.0, 0.0]},
    g2: {'a': [0.0, 1.0, 0.0], 'b': 1.0, 'c': [0.0, 1.0, 0.0]},
    g3: {'a': [0.0, 1.0, 0.0, 0.0]},
    g4: {'a': [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]},
    g5: {'a': [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]},
}


def denoiser_start(denoiser: Callable, units: int) -> dict:
    """Start values of a denoiser's arrays for `units` units (or channels)."""
    starts = {name: np.array(value) for name, value in STARTS[denoiser].items()}
    return {name: np.repeat(value[..., None], units, -1) for name, value in starts.items()}


# The two encoders.


def batch_statistics(x: Array) -> tuple:
    """Mean and (biased) variance of each unit over the batch (channel: and space)."""
    axes = tuple(range(x.ndim - 1))
    return x.mean(axes), x.var(axes)


def batch_norm(x: Array, eps: float = EPSILON) -> Array:
    """N_B of section 3.2."""
    mean, variance = batch_statistics(x)
    return (x - mean) / np.sqrt(variance + eps)


def activate(layer: Layer, x: Array) -> Array:
    if layer.activation == 'relu':
        return np.maximum(x, 0.0)
    if layer.activation == 'leaky_relu':
        return np.where(x > 0.0, x, layer.slope * x)
    if layer.activation == 'softmax':
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)
    if layer.activation == 'linear':
        return x
    raise ValueError(f'unknown activation {layer.activation!r}.')


@dataclasses.dataclass
class Path:
    """One pass of the encoder; every list has L + 1 elements, pre, mean and std None at 0.

    pre: z_pre; z: normalised, with the noise where there is noise; h: after the activation; mean,
    variance: of pre; std: sqrt(variance + eps), what pre was divided by.
    """

    pre: Arrays
    z: Arrays
    h: Arrays
    mean: Arrays
    variance: Arrays
    std: Arrays


def encode(
    layers: Sequence,
    params: dict,
    x: Array,
    noise: Sequence | None = None,
    statistics: tuple | None = None,
    eps: float = EPSILON,
) -> Path:
    """Clean (noise None) or corrupted encoder, section 3.2.

    noise: L + 1 arrays of the shapes of z^(l), already scaled by their standard deviation.
    statistics: (means, variances), lists by layer, to use in place of the batch's own.
    """
    x = np.asarray(x, np.float64)
    z0 = x if noise is None else x + noise[0]
    path = Path([None], [z0], [z0], [None], [None], [None])
    top = len(layers) - 1
    for l in range(1, top + 1):
        pre = encode_map(layers[l], params['W'][l], path.h[l - 1])
        if statistics is None:
            mean, variance = batch_statistics(pre)
        else:
            mean, variance = statistics[0][l], statistics[1][l]
        std = np.sqrt(variance + eps)
        z = (pre - mean) / std
        if noise is not None:
            z = z + noise[l]
        activity = z
        if params['beta'][l] is not None:
            activity = activity + params['beta'][l]
        if l == top and params['gamma'] is not None:
            activity = params['gamma'] * activity
        path.pre.append(pre)
        path.z.append(z)
        path.h.append(activate(layers[l], activity))
        path.mean.append(mean)
        path.variance.append(variance)
        path.std.append(std)
    return path


def predict(
    params: dict,
    x: Array,
    means: Sequence,
    variances: Sequence,
    layers: Sequence | None = None,
    eps: float = EPSILON,
) -> Array:
    """Class probabilities [n, classes] at test time: clean path, given statistics.

    means, variances: lists by layer, element 0 unused.
    """
    layers = layers or fully_connected(len(params['W']) - 1)
    return encode(layers, params, x, statistics=(means, variances), eps=eps).h[-1]


# Decoder and cost.


@dataclasses.dataclass
class Result:
    """Everything Algorithm 1 computes. Lists are by layer, 0..L; None below the decoder's end.

    labelled: the corrupted pass of the labelled half, with its `probabilities`; corrupted, clean:
    the passes of the unlabelled half, from which u, z_hat, z_hat_bn and the denoising costs come.
    denoising_costs: C_d^(l) of equation (2) without lambda; weighted_costs: with it.
    """

    labelled: Path
    corrupted: Path
    clean: Path
    u: Arrays
    z_hat: Arrays
    z_hat_bn: Arrays
    probabilities: Array
    classification_cost: float
    denoising_costs: Arrays
    weighted_costs: Arrays
    total: float


def classification_cost(probabilities: Array, y: Array) -> float:
    """C_c of section 3.2: the average negative log probability of the classes y [n] (integers)."""
    return float(-np.mean(np.log(probabilities[np.arange(len(y)), y])))


def denoising_cost(z: Array, z_hat_bn: Array) -> float:
    """C_d^(l) of equation (2): squared error over the width m_l (all of h x w x c), batch mean."""
    width = np.prod(z.shape[1:])
    return float(np.sum((z - z_hat_bn) ** 2) / (len(z) * width))


def ladder(
    params: dict,
    x_labelled: Array,
    y: Array,
    x_unlabelled: Array,
    noise_labelled: Sequence,
    noise_unlabelled: Sequence,
    lambdas: Sequence,
    denoiser: Callable = g,
    layers: Sequence | None = None,
    eps: float = EPSILON,
) -> Result:
    """Outputs and cost of the Ladder network for one batch, the two halves normalised apart.

    params: see the head of this file. y: integer classes [n]. noise_*: L + 1 arrays of the shapes
    of z^(l), used as they are. lambdas: L + 1 numbers. layers: None is a fully connected network.
    """
    layers = layers or fully_connected(len(params['W']) - 1)
    top = len(layers) - 1
    if len(lambdas) != top + 1:
        raise ValueError(f'lambdas has {len(lambdas)} elements, not {top + 1}.')
    labelled = encode(layers, params, x_labelled, noise_labelled, eps=eps)
    corrupted = encode(layers, params, x_unlabelled, noise_unlabelled, eps=eps)
    clean = encode(layers, params, x_unlabelled, eps=eps)

    u, z_hat, z_hat_bn, costs, weighted = ([None] * (top + 1) for _ in range(5))
    for l in range(top, -1, -1):
        if params['g'][l] is None:
            if any(lambdas[: l + 1]):
                raise ValueError(f'lambdas[:{l + 1}] are not all 0, but layer {l} has no denoiser.')
            break
        if l == top:
            u[l] = batch_norm(corrupted.h[top], eps)
        else:
            below = corrupted.z[l].shape
            u[l] = batch_norm(
                decode_map(layers[l + 1], params['V'][l + 1], z_hat[l + 1], below), eps
            )
        z_hat[l] = denoiser(corrupted.z[l], u[l], params['g'][l])
        z_hat_bn[l] = z_hat[l] if l == 0 else (z_hat[l] - clean.mean[l]) / clean.std[l]
        costs[l] = denoising_cost(clean.z[l], z_hat_bn[l])
        weighted[l] = lambdas[l] * costs[l]

    probabilities = labelled.h[top]
    supervised = classification_cost(probabilities, y)
    total = supervised + sum(cost for cost in weighted if cost is not None)
    return Result(
        labelled=labelled,
        corrupted=corrupted,
        clean=clean,
        u=u,
        z_hat=z_hat,
        z_hat_bn=z_hat_bn,
        probabilities=probabilities,
        classification_cost=supervised,
        denoising_costs=costs,
        weighted_costs=weighted,
        total=float(total),
    )


# For tests.


def random_parameters(widths: Sequence, denoiser: Callable, rng: np.random.Generator) -> dict:
    """Parameters of a fully connected network with widths [n_0, ..., n_L], none at a special value.

    Weights N(0, 1) / sqrt(fan in); the rest is the start value (0 for beta, 1 for gamma) plus
    N(0, 0.3^2), so that no term of any equation vanishes.
    """
    top = len(widths) - 1

    def dense(fan_in, fan_out):
        return rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in)

    def near(start):
        return start + 0.3 * rng.normal(size=start.shape)

    return {
        'W': [None] + [dense(widths[l - 1], widths[l]) for l in range(1, top + 1)],
        'V': [None] + [dense(widths[l], widths[l - 1]) for l in range(1, top + 1)],
        'beta': [None] + [near(np.zeros(widths[l])) for l in range(1, top + 1)],
        'gamma': near(np.ones(widths[top])),
        'g': [
            {name: near(start) for name, start in denoiser_start(denoiser, width).items()}
            for width in widths
        ],
    }


def numerical_gradients(cost_fn: Callable, params, h: float = 1e-6):
    """Central differences (cost(p + h) - cost(p - h)) / 2h of every number of `params`.

    params: an array, or dicts and lists of arrays and None, nested; cost_fn takes such a thing and
    returns a float. Returns the gradients in the same structure. The error is h^2 / 6 times the
    third derivative plus about 1e-16 cost / h of rounding: about 1e-7 at cost 1000 and the default
    h, where both are alike. Where a ReLU's kink lies within the step it is of order one.
    """
    params = _as_float64(copy.deepcopy(params))

    def visit(node):
        if node is None:
            return None
        if isinstance(node, dict):
            return {name: visit(value) for name, value in node.items()}
        if isinstance(node, (list, tuple)):
            return [visit(value) for value in node]
        gradient = np.zeros_like(node)
        for index in np.ndindex(node.shape):
            value = node[index]
            node[index] = value + h
            above = cost_fn(params)
            node[index] = value - h
            below = cost_fn(params)
            node[index] = value
            gradient[index] = (above - below) / (2.0 * h)
        return gradient

    return visit(params)


def _as_float64(node):
    if node is None:
        return None
    if isinstance(node, dict):
        return {name: _as_float64(value) for name, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_as_float64(value) for value in node]
    return np.array(node, np.float64)
