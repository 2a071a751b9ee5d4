"""Who covers whom on a dressed figure."""

from __future__ import annotations

import numpy as np

from research.match_rcnn.garments import (
    annotation,
    body,
    cloth,
    cuts,
    identities,
    outfits,
    people,
    prints,
)
from research.match_rcnn.garments import camera as camera_lib
from research.match_rcnn.garments import stage as stage_lib

_STYLE = prints.Pattern(), prints.Palette((10, 20, 200), (220, 210, 30), (40, 240, 60))
_TOP = cuts.UpperCut(cuts.SHORT_TOP, length=1.05, hem=0.34)
_TROUSERS = cuts.LowerCut(cuts.TROUSERS, rise=0.8)
_OUTWEAR = cuts.UpperCut(
    cuts.LONG_OUTWEAR,
    neck='v',
    neck_depth=0.3,
    chest=0.37,
    waist=0.36,
    hip=0.38,
    hem=0.38,
    shoulder=0.375,
    sleeve=0.95,
    sleeve_width=0.13,
    cuff_width=0.1,
    length=1.1,
    closure='zip',
)
_UPRIGHT = body.Pose()


def _modes(cut_list, pose=_UPRIGHT, tucked=False):
    """v of the landmarks of each garment that is visible, by category."""
    stage = stage_lib.Stage(330, 200, 2)
    matrix = camera_lib.placing((0, 1.1), (100, 165), 90)
    view = cloth.View(stage.canvas, camera_lib.Camera(matrix, supersampling=2))
    worn = [
        outfits.Worn(identities.Design(cut, (_STYLE,)), 0, 0, outfits.role(cut.category_id))
        for cut in cut_list
    ]
    person = people.sample(np.random.default_rng(0))
    person.strands = False
    stage.dress(view, person, pose, worn, stage_lib.FRONTAL, tucked)
    return {
        item.category: item.landmarks[:, 2].astype(int).tolist()
        for _, item in annotation.items(stage)
    }


def test_a_top_hangs_over_trousers_or_is_tucked_in():
    over = _modes([_TROUSERS, _TOP])
    assert over[cuts.TROUSERS][:3] == [1, 1, 1]
    # Only the back of the neck, behind the neck, is covered.
    assert over[cuts.SHORT_TOP] == [1] + [2] * 24
    tucked = _modes([_TROUSERS, _TOP], tucked=True)
    assert tucked[cuts.TROUSERS] == [2] * 14
    assert tucked[cuts.SHORT_TOP][15] == 1 and tucked[cuts.SHORT_TOP][3] == 2


def test_from_behind_the_front_of_the_neck_is_hidden():
    modes = _modes([_TROUSERS, _TOP], body.Pose(back=True))[cuts.SHORT_TOP]
    assert modes[2:5] == [1, 1, 1]
    assert modes[6:12] == [2] * 6


def test_closed_outwear_hides_what_is_under_it():
    modes = _modes([_TROUSERS, _TOP, _OUTWEAR], body.Pose(arms=((35.0, 30.0), (35.0, 30.0))))
    # What is left of the top, at the neck, has no landmark of its sleeves, sides or hem.
    assert all(v < 2 for v in modes.get(cuts.SHORT_TOP, [])[6:])
    assert modes[cuts.LONG_OUTWEAR] == [1] + [2] * 38


def test_the_arm_on_the_far_side_is_behind_the_body():
    # The forearms cross the body; the far one is behind it.
    arms = ((5.0, -80.0), (5.0, -80.0))
    cut = cuts.UpperCut(cuts.LONG_TOP, sleeve=0.95, cuff_width=0.07, length=1.1)
    modes = _modes([_TROUSERS, cut], body.Pose(arms=arms, far=1))[cuts.LONG_TOP]
    assert modes[10:12] == [2, 2]  # The left cuff.
    assert modes[27:29] == [1, 1]  # The right one.
