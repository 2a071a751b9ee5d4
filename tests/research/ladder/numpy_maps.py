"""The mappings between layers in explicit NumPy loops: dense, convolution, pooling, their reverses.

Rasmus et al. (2015), sections 3.2-3.4 and Table 4. Part of numpy_reference.py; shares no code with
research/ladder. Images are [batch, height, width, channels]; kernels are [height, width, channels
in, channels out], for V in the direction of the decoder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MIRROR = {'valid': 'full', 'full': 'valid', 'same': 'same'}

Array = np.ndarray


class Layer(NamedTuple):
    """What a layer does, apart from its parameters.

    kind: 'dense', 'conv', 'maxpool' (2x2, stride 2) or 'globalmean'; activation: 'relu',
    'leaky_relu', 'linear' or 'softmax'; padding: 'valid', 'full' or 'same', of a convolution;
    slope: of the leaky ReLU's negative side.
    """

    kind: str = 'dense'
    activation: str = 'relu'
    padding: str = 'valid'
    slope: float = 0.1


def fully_connected(depth: int) -> list:
    """The L = `depth` dense layers of section 3.2: ReLU, softmax on top. Element 0 is None."""
    return [None] + [Layer()] * (depth - 1) + [Layer(activation='softmax')]


def conv2d(x: Array, kernel: Array, padding: str) -> Array:
    """Cross-correlation (the kernel is not flipped), stride 1, zeros outside.

    x [n, h, w, c], kernel [kh, kw, c, d]. Output height: h - kh + 1 ('valid'), h + kh - 1
    ('full'), h ('same', odd kernels only, so that both sides are padded alike).
    """
    kh, kw = kernel.shape[:2]
    if padding == 'same' and (kh % 2 == 0 or kw % 2 == 0):
        raise ValueError(f"padding 'same' is defined here for odd kernels, not {kh}x{kw}.")
    rows = {'valid': 0, 'full': kh - 1, 'same': (kh - 1) // 2}[padding]
    columns = {'valid': 0, 'full': kw - 1, 'same': (kw - 1) // 2}[padding]
    x = np.pad(x, [(0, 0), (rows, rows), (columns, columns), (0, 0)])
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    output = np.zeros((x.shape[0], height, width, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            for p in range(kh):
                for q in range(kw):
                    output[:, i, j] += x[:, i + p, j + q] @ kernel[p, q]
    return output


def transposed_kernel(kernel: Array) -> Array:
    """The adjoint's kernel: conv2d(., this, MIRROR[p]) is the transpose of conv2d(., kernel, p).

    So a transposed convolution with a kernel in the encoder's layout [kh, kw, c_(l-1), c_l] is
    conv2d with this.
    """
    return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def max_pool(x: Array) -> Array:
    """2x2 windows, stride 2; a window cut by an odd border is kept (15 -> 8). x [n, h, w, c]."""
    height, width = (x.shape[1] + 1) // 2, (x.shape[2] + 1) // 2
    output = np.zeros((x.shape[0], height, width, x.shape[3]))
    for i in range(height):
        for j in range(width):
            output[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2))
    return output


def upsample(x: Array, height: int, width: int) -> Array:
    """Reverse of max_pool, by copying; what exceeds the layer below (15 from 16) is cropped."""
    return x.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]


def encode_map(layer: Layer, weight: Array | None, h: Array) -> Array:
    """z_pre^(l) from h^(l-1)."""
    if layer.kind == 'dense':
        return h.reshape(len(h), -1) @ weight
    if layer.kind == 'conv':
        return conv2d(h, weight, layer.padding)
    if layer.kind == 'maxpool':
        return max_pool(h)
    if layer.kind == 'globalmean':
        # The paper prints the mean; its factor, width x sqrt(3), is in the authors' code.
        return h.mean((1, 2)) * np.sqrt(h.shape[1] * h.shape[2]) * np.sqrt(3)
    raise ValueError(f'unknown layer kind {layer.kind!r}.')


def decode_map(layer: Layer, weight: Array | None, z_hat: Array, below: tuple) -> Array:
    """u_pre^(l-1), of shape `below`, from z_hat^(l): backwards through layer l (section 3.4)."""
    if layer.kind == 'dense':
        return (z_hat @ weight).reshape(below)
    if layer.kind == 'conv':
        return conv2d(z_hat, weight, MIRROR[layer.padding])
    if layer.kind == 'maxpool':
        return upsample(z_hat, *below[1:3])
    if layer.kind == 'globalmean':
        return np.broadcast_to(z_hat[:, None, None, :], below)
    raise ValueError(f'unknown layer kind {layer.kind!r}.')
