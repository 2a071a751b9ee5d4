"""Numbers of trainable parameters of the paper's networks, derived by hand and by formula.

Rasmus et al. (2015), sections 3.2-3.4, 4.1 and Table 4. A layer l = 1..L has

* an encoder mapping W: n_(l-1) n_l weights (dense), k^2 c_(l-1) c_l (convolution), none (pooling);
* a bias beta, one a unit or channel, unless the activation is linear (hidden pooling layers);
* a scale gamma, one a class, at the top alone, and not in Conv-Large (section 4.2);
* a decoder mapping V as large as W, if the decoder reaches below it;

and each of the layers 0..L that the decoder reaches a denoiser: g 9, g2 7, g3 4, g4 9, g5 10
parameters a unit (dense) or channel (spatial). The Gamma model's decoder is the top denoiser alone.

Fully connected, 784-1000-500-250-250-250-10:
    W       784 000 + 500 000 + 125 000 + 62 500 + 62 500 + 2 500        = 1 536 500,  V the same
    beta    1000 + 500 + 3 x 250 + 10                                    = 2 260,      gamma 10
    units   784 + 2 260 = 3 044; g, g4 27 396; g2 21 308; g3 12 176; g5 30 440
    supervised 1 538 770; full ladder with g 3 102 666, with g5 3 105 710
Conv-FC, 28x28x1: 26x26 valid to 1000 (3x3), 1x1 to 500, 250, 250, 250, 10, global mean pool:
    W       676 000 + 500 000 + 125 000 + 62 500 + 62 500 + 2 500        = 1 428 500,  V the same
    beta    2 260 + 10 (softmax on the global mean)                      = 2 270,      gamma 10
    channels 1 + 2 260 + 10 = 2 271; g 20 439; g5 22 710
    supervised 1 430 780; full ladder with g 2 879 719, with g5 2 881 990
Conv-Small, 28x28x1:
    W       800 + 18 432 + 36 864 + 73 728 + 1 280 + 100                 = 131 204
    beta    32 + 64 + 64 + 128 + 10 + 10                                 = 308,        gamma 10
    supervised 131 522; Gamma with g + 90, with g5 + 100
    (a full decoder: channels 1+32+32+64+64+64+128+10+10+10 = 415)
Conv-Large, 32x32x3:
    W       2 592 + 2 x 82 944 + 165 888 + 2 x 331 776 + 331 776 + 36 864 + 1 920 = 1 368 480
    beta    3 x 96 + 3 x 192 + 192 + 192 + 10 + 10 (softmax)             = 1 268,      no gamma
    supervised 1 369 748; Gamma with g + 90, with g5 + 100
    (a full decoder: channels 3 + 4x96 + 4x192 + 192 + 192 + 10 + 10 = 1 559)
Before the global mean the 1x1 convolution to 10 has the hidden layers' activation (Table 4), hence
its 10 biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PARAMETERS_A_UNIT = {'g': 9, 'g2': 7, 'g3': 4, 'g4': 9, 'g5': 10}


class Counted(NamedTuple):
    """A layer as far as its parameters go: units of a dense layer, channels of any other.

    kernel: size of a convolution's square kernel; 0 is a dense layer, None a pooling layer.
    """

    units: int
    kernel: int | None = 0


def conv(units: int, kernel: int) -> Counted:
    return Counted(units, kernel)


def pool(units: int) -> Counted:
    return Counted(units, None)


FULLY_CONNECTED = [Counted(units) for units in (784, 1000, 500, 250, 250, 250, 10)]
CONV_FC = [Counted(1), conv(1000, 26), *(conv(n, 1) for n in (500, 250, 250, 250, 10)), pool(10)]
CONV_SMALL = [
    Counted(1),
    *(conv(32, 5), pool(32), conv(64, 3), conv(64, 3), pool(64), conv(128, 3), conv(10, 1)),
    *(pool(10), Counted(10)),
]
CONV_LARGE = [
    Counted(3),
    *(conv(96, 3), conv(96, 3), conv(96, 3), pool(96)),
    *(conv(192, 3), conv(192, 3), conv(192, 3), pool(192)),
    *(conv(192, 3), conv(192, 1), conv(10, 1), pool(10)),
]


def parameter_counts(
    layers: Sequence[Counted],
    denoiser: str | None = 'g',
    decoder: str = 'full',
    top_scale: bool = True,
) -> dict:
    """Counts 'W', 'beta', 'gamma', 'V', 'denoisers' and 'total'; layers[0] is the input.

    decoder: 'full', 'gamma' (the top denoiser alone) or 'none' (the supervised network). A dense
    layer above a global mean pool takes its channels; none stands on a spatial map.
    """
    weights = beta = 0
    for l in range(1, len(layers)):
        below, layer, top = layers[l - 1], layers[l], l == len(layers) - 1
        if layer.kernel is not None:
            weights += below.units * layer.units * max(layer.kernel, 1) ** 2
        if layer.kernel is not None or top:
            beta += layer.units
    gamma = layers[-1].units if top_scale else 0
    denoised = {'full': layers, 'gamma': layers[-1:], 'none': []}[decoder]
    units = sum(layer.units for layer in denoised)
    counts = {
        'W': weights,
        'beta': beta,
        'gamma': gamma,
        'V': weights if decoder == 'full' else 0,
        'denoisers': units * PARAMETERS_A_UNIT[denoiser] if units else 0,
    }
    counts['total'] = sum(counts.values())
    return counts
