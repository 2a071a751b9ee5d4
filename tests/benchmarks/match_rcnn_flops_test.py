"""Operations of the networks of the Match R-CNN benchmark, against published and hand counts."""

from __future__ import annotations

import pytest

from benchmarks import match_rcnn_data, match_rcnn_flops

CONFIG = match_rcnn_data.Config(
    64, 128, num_classes=2, test_proposals=10, detections=3, rois=8, positives=2, batch=2
)
PIXELS = [16 * 32, 8 * 16, 4 * 8, 2 * 4, 1 * 2]


def test_backbones_have_their_published_operations():
    # He et al. 2016, Table 1: 3.8 x 10^9; torchvision's, which halves later, 4.09 x 10^9, of which
    # 2 048 000 are of its classifier.
    assert match_rcnn_flops.backbone(224, 224)[0] == pytest.approx(3.86e9, abs=5e6)
    assert match_rcnn_flops.backbone(224, 224, peer=True)[0] == pytest.approx(
        4.089e9 - 2_048_000, abs=1e6
    )
    # A pixel of the image costs as much wherever it is.
    whole, stem = match_rcnn_flops.backbone(64, 128)
    assert stem == 147 * 64 * 32 * 64 and match_rcnn_flops.backbone(128, 128)[0] == 2 * whole


def test_trunk_counted_by_hand():
    lateral = 256 * (256 * 512 + 512 * 128 + 1024 * 32 + 2048 * 8)
    output = 9 * 256 * 256
    proposals = 682 * (output + 256 * 15)
    assert sum(PIXELS) == 682
    assert match_rcnn_flops.trunk(CONFIG) == lateral + output * 680 + proposals
    assert match_rcnn_flops.trunk(CONFIG, peer=True) == lateral + output * 682 + proposals


def test_streams_counted_by_hand():
    hidden = 7 * 7 * 256 * 1024 + 1024 * 1024
    assert match_rcnn_flops.box(CONFIG) == hidden + 1024 * (3 + 8)
    assert match_rcnn_flops.box(CONFIG, peer=True) == hidden + 1024 * (3 + 12)
    convs = 196 * 9 * 256 * 256 * 4 + 784 * 256 * 256
    assert match_rcnn_flops.mask(CONFIG) == convs + 784 * 256
    assert match_rcnn_flops.mask(CONFIG, peer=True) == convs + 784 * 256 * 3
    # Each place of a 4 x 4 deconvolution with stride 2 goes to 16 others, of which a class has 39.
    assert match_rcnn_flops.landmark() == (
        196 * 9 * (256 * 512 + 7 * 512 * 512) + 196 * 16 * 512 * 512 + 784 * 16 * 512 * 39
    )
    assert match_rcnn_flops.matching() == (
        196 * 9 * (768 * 256 + 2 * 256 * 256 + 256 * 1024) + 1024 * 256
    )


@pytest.mark.parametrize('peer', [False, True])
def test_totals_put_together_by_hand(peer):
    whole, stem = match_rcnn_flops.backbone(64, 128, peer)
    shared = whole + match_rcnn_flops.trunk(CONFIG, peer)
    box, mask = match_rcnn_flops.box(CONFIG, peer), match_rcnn_flops.mask(CONFIG, peer)
    assert match_rcnn_flops.flops('forward', CONFIG, peer) == 2 * (shared + 10 * box + 3 * mask)
    both = 2 * 2 * (3 * (shared + 8 * box + 2 * mask) - stem)
    if not peer:  # Back at 256 drawn anchors in place of all 682.
        place = 9 * 256 * 256 + 256 * 15
        both += 2 * 2 * (3 * 256 - 2 * 682) * place
    assert match_rcnn_flops.flops('step', CONFIG, peer) == both


def test_more_streams_come_on_top():
    landmark, matching = match_rcnn_flops.landmark(), match_rcnn_flops.matching()
    more = {
        mode: match_rcnn_flops.flops(mode, CONFIG, streams=True)
        - match_rcnn_flops.flops(mode, CONFIG)
        for mode in ('forward', 'step')
    }
    assert more['forward'] == 2 * 3 * (landmark + matching)
    # Two images are a pair, of which nine RoIs are compared.
    assert more['step'] == 2 * 3 * (2 * 2 * landmark + 9 * matching)


def test_masks_and_landmarks_are_of_positive_rois():
    each = match_rcnn_flops.mask(CONFIG) + match_rcnn_flops.landmark()
    less = match_rcnn_flops.flops('step', CONFIG, streams=True) - match_rcnn_flops.flops(
        'step', CONFIG, streams=True, positives=0.5
    )
    assert less == 2 * 3 * 2 * 1.5 * each  # Of two images with room for two.
