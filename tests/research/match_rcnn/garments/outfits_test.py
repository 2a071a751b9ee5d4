"""Who is dressed in what."""

from __future__ import annotations

import numpy as np

from research.match_rcnn.garments import cuts, identities, outfits


def _identities(count=52):
    return [identities.identity(0, 'train', n, 3) for n in range(count)]


def test_figures_are_dressed_from_top_to_bottom():
    numbers = set()
    for n, identity in enumerate(_identities()):
        rng = np.random.default_rng(n)
        items = outfits.choose(identity, n % 4, True, False, rng)
        worn = {item.role: item for item in items}
        assert len(worn) == len(items) and outfits.INNER in worn
        assert (outfits.LOWER in worn) != (worn[outfits.INNER].category_id in cuts.DRESSES)
        assert [item.role for item in items] == [
            r for r in (outfits.LOWER, outfits.INNER, outfits.OUTER) if r in worn
        ]
        numbers.add(len(items))
    assert numbers == {1, 2, 3}


def test_numbers_of_styles():
    for n, identity in enumerate(_identities()):
        for index in range(5):
            items = outfits.choose(identity, index, True, False, np.random.default_rng(n))
            (main,) = [
                item
                for item in items
                if item.category_id == identity.main.category_id
                and item.required
                and item.number <= len(identity.main.styles)
            ]
            assert main.number == index % len(identity.main.styles) + 1
            others = [item for item in items if item is not main]
            if identity.partner is None:
                assert all(item.number == 0 for item in others)
            else:
                partner = [item for item in others if item.number]
                assert [item.number for item in partner] == [len(identity.main.styles) + 1]
                assert partner[0].required == (index == 0)


def test_consumers_have_colours_that_no_shop_has():
    odd = [
        item
        for n, identity in enumerate(_identities())
        for item in outfits.choose(identity, 3, True, True, np.random.default_rng(n))
        if item.required and item.number == 0
    ]
    assert odd
    # Image 0 has the styles that shops have.
    assert all(
        item.number
        for n, identity in enumerate(_identities())
        for item in outfits.choose(identity, 0, True, True, np.random.default_rng(n))
        if item.required
    )


def test_what_is_under_outwear_fits_into_it():
    seen = 0
    for n, identity in enumerate(_identities(104)):
        items = outfits.choose(identity, 1, True, False, np.random.default_rng(n))
        if items[-1].role == outfits.OUTER and items[-1].category_id != identity.main.category_id:
            outer, inner = items[-1].design.cut, items[-2].design.cut
            assert outer.gap_top >= 0.06
            assert inner.chest <= outer.chest - 0.02 + 1e-9
            assert inner.sleeve_width <= outer.sleeve_width - 0.02 + 1e-9
            seen += 1
    assert seen > 3
