"""Floating-point operations of the networks of benchmarks/match_rcnn.py, from their shapes.

Those of convolutions and matrix products alone, a multiplication and an addition each. Going back,
one is as much again for its weights and for its input; images have no gradient. Of the proposals'
head this project goes back at the drawn anchors alone, which it computes once more.
"""

from __future__ import annotations

import itertools

from benchmarks import match_rcnn_data

BLOCKS, STEM = (3, 4, 6, 3), 64  # ResNet-50.
FILTERS, ANCHORS = 256, 3  # Of the pyramid; at each place.
BOX, MASK = 7, 14  # Height and width of the features of a RoI.
UNITS = 1024  # Of the two hidden layers of the boxes.
MASK_CONVS = 4
LANDMARK_CONVS, LANDMARK_WIDTH = 8, 512
MATCHING = (FILTERS + LANDMARK_WIDTH, 256, 256, 256, 1024)  # Channels, of pose and class.
MATCHING_UNITS = 256
USER_ROIS, SHOP_ROIS = 8, 1  # Of each pair of images.


def backbone(height: int, width: int, peer: bool = False) -> tuple[int, int]:
    """Multiplications of ResNet-50 for an image: all, and those of the first convolution.

    Args:
      height: of the image, a multiple of 32.
      width: of the image, a multiple of 32.
      peer: blocks halve in their 3 x 3 convolution, not in the first 1 x 1 one.
    """
    stem = 7 * 7 * 3 * STEM * (height // 2) * (width // 2)
    total, inputs, pixels = stem, STEM, (height // 4) * (width // 4)
    for stage, count in enumerate(BLOCKS):
        inside = STEM * 2**stage
        outputs = 4 * inside
        for block in range(count):
            halves = stage and not block
            before, pixels = pixels, pixels // 4 if halves else pixels
            total += inputs * inside * (before if peer else pixels)
            total += pixels * inside * (9 * inside + outputs)
            if not block:
                total += pixels * inputs * outputs
            inputs = outputs
    return total, stem


def trunk(config: match_rcnn_data.Config, peer: bool = False) -> int:
    """Multiplications of pyramid and proposals for an image, without the backbone.

    Args:
      config: its canvas.
      peer: the coarsest level is a convolution, not every second pixel.
    """
    pixels = _pixels(config)
    lateral = sum(count * 4 * STEM * 2**stage for stage, count in enumerate(pixels[:4])) * FILTERS
    output = 9 * FILTERS**2 * sum(pixels if peer else pixels[:4])
    return lateral + output + proposals(sum(pixels))


def _pixels(config):
    return [(config.height // stride) * (config.width // stride) for stride in (4, 8, 16, 32, 64)]


def proposals(places: int) -> int:
    """Multiplications for the scores and boxes of the anchors at that many places."""
    return places * FILTERS * (9 * FILTERS + 5 * ANCHORS)


def box(config: match_rcnn_data.Config, peer: bool = False) -> int:
    """Multiplications for a RoI; the peer has boxes of the background, too."""
    outputs = 1 + config.num_classes + 4 * (config.num_classes + peer)
    return BOX**2 * FILTERS * UNITS + UNITS**2 + UNITS * outputs


def mask(config: match_rcnn_data.Config, peer: bool = False) -> int:
    """Multiplications for a RoI; the peer has masks of every class and of the background."""
    maps = 1 + config.num_classes if peer else 1
    convs = MASK_CONVS * 9 * FILTERS**2 * MASK**2
    return convs + 4 * MASK**2 * FILTERS * (FILTERS + maps)


def landmark() -> int:
    """Multiplications for a RoI: the maps of the class with the most landmarks."""
    convs = 9 * LANDMARK_WIDTH * (FILTERS + (LANDMARK_CONVS - 1) * LANDMARK_WIDTH)
    maps = 4 * LANDMARK_WIDTH * max(match_rcnn_data.LANDMARK_COUNTS)
    return MASK**2 * (convs + 16 * LANDMARK_WIDTH**2 + 16 * maps)


def matching() -> int:
    """Multiplications for the feature vector of a RoI."""
    convs = sum(9 * inputs * outputs for inputs, outputs in itertools.pairwise(MATCHING))
    return MASK**2 * convs + MATCHING[-1] * MATCHING_UNITS


def flops(
    mode: str,
    config: match_rcnn_data.Config,
    peer: bool = False,
    streams: bool = False,
    positives: float | None = None,
) -> float:
    """Of the detections of one image, or of a training step.

    Args:
      mode: 'forward' or 'step'.
      config: the sizes.
      peer: the network of tf-models.
      streams: with landmarks and matching.
      positives: positive RoIs of an image, which alone outside XLA this project's network has masks
        and landmarks of; None: as many as there is room for.

    Returns:
      Operations, two a multiplication; with as many detections as there is room for.
    """
    features, stem = backbone(config.height, config.width, peer)
    shared = features + trunk(config, peer)
    small = mask(config, peer) + streams * landmark()
    if mode == 'forward':
        return 2 * (
            shared
            + config.test_proposals * box(config, peer)
            + config.detections * (small + streams * matching())
        )
    positives = config.positives if positives is None else positives
    image = shared + config.rois * box(config, peer) + positives * small
    pairs = streams * config.batch // 2 * (USER_ROIS + SHOP_ROIS) * matching()
    image = 3 * image - stem
    if not peer:
        image += 3 * proposals(config.anchors) - 2 * proposals(sum(_pixels(config)))
    return 2 * (config.batch * image + 3 * pairs)
