"""Weights of the networks of Table 3, counted from their widths."""

import itertools


def dense(*widths):
    """Weights of dense layers one after the other."""
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def x_conv_weights(features, channels, k):
    """Weights of an XConv on 3 dimensions (Li et al. 2018, Algorithm 1)."""
    hidden = features // 4 if features else channels // 2
    multiplier = -(-channels // features) if features else 4
    both = hidden + features
    transform = dense(3 * k, k * k) + 2 * (k**3 + k**2)
    return (
        dense(3, hidden, hidden)
        + transform
        + k * both * multiplier
        + dense(both * multiplier, channels)
    )


# Worked out by hand: what each method has per level, and the head.
WEIGHTS = {
    'MPNN': sum(dense(3, 25, a * b) + a * b + b for a, b in ((1, 64), (64, 64), (64, 128)))
    + dense(128, 256, 256, 10),
    'PointNetPlusPlus': dense(3, 64, 64)
    + dense(67, 128, 128)
    + dense(131, 256, 256)
    + dense(256, 576, 256, 10),
    'EdgeCNN': dense(6, 64, 64)
    + dense(128, 128, 128)
    + dense(256, 256, 256)
    + dense(256, 512, 256, 10),
    'SplineCNN': sum(126 * a * b + b for a, b in ((1, 32), (32, 32), (32, 56)))
    + dense(56, 256, 256, 10),
    'PointCNN': x_conv_weights(0, 48, 8)
    + x_conv_weights(48, 96, 12)
    + x_conv_weights(96, 192, 16)
    + x_conv_weights(192, 384, 16)
    + dense(384, 256, 128, 10),
}
