"""Residual blocks once more, in float64 and pixel after pixel."""

import numpy as np

EPSILON = 1e-3


def draw(layer, seed=0):
    """All weights anew, so that nothing is left at 0 or 1, where a fault would not show."""
    rng = np.random.default_rng(seed)
    for v in layer.variables:
        v.assign(
            rng.uniform(0.5, 1.5, v.shape)
            if len(v.shape) == 1
            else rng.normal(size=v.shape) / np.sqrt(np.prod(v.shape[:3]))
        )
    return layer


def conv(x, kernel, stride):
    """(size - 1) / 2 zeros on every side, pixel after pixel."""
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
    y = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            part = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, i, j] = np.einsum('nhwc,hwcd->nd', part, kernel)
    return y


def conv_norm(x, layer, training):
    """Convolution and batch norm of a layer in float64, without the ReLU."""
    values = {v.name.rsplit('/', 1)[1][:-2]: v.numpy().astype(np.float64) for v in layer.variables}
    y = conv(x, values['kernel'], layer.strides)
    if 'scale' in values:
        return y * values['scale'] + values['shift']
    mean, variance = values['moving_mean'], values['moving_variance']
    if training:
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
    return (y - mean) / np.sqrt(variance + EPSILON) * values['gamma'] + values['beta']


def block(x, layers, training):
    shortcut = x if layers.shortcut is None else conv_norm(x, layers.shortcut, training)
    for layer in layers.convs[:-1]:
        x = np.maximum(conv_norm(x, layer, training), 0)
    return np.maximum(conv_norm(x, layers.convs[-1], training) + shortcut, 0)
