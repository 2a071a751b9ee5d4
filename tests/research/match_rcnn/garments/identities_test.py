"""Identities: from the seed alone, other ones in the other split."""

from __future__ import annotations

from research.match_rcnn.garments import cuts, identities, prints


def test_every_thirteen_have_all_categories():
    for first in (0, 13, 26):
        found = [
            identities.identity(4, 'train', n, 3).main.category_id for n in range(first, first + 13)
        ]
        assert sorted(found) == list(range(1, 14))


def test_same_seed_same_identity():
    a, b = (identities.identity(1, 'train', 5, 3) for _ in range(2))
    assert a == b
    assert a != identities.identity(2, 'train', 5, 3)
    assert a != identities.identity(1, 'train', 6, 3)


def test_splits_have_other_identities():
    cuts_of = {
        split: {identities.identity(0, split, n, 3).main.cut for n in range(60)}
        for split in identities.SPLITS
    }
    assert len(cuts_of['train']) == len(cuts_of['validation']) == 60
    assert not cuts_of['train'] & cuts_of['validation']


def test_styles_differ_in_colour_not_in_cut_or_print():
    numbers, plain = set(), 0
    for n in range(80):
        main = identities.identity(0, 'train', n, 3).main
        numbers.add(len(main.styles))
        first, *others = main.styles
        for pattern, palette in others:
            assert prints.distance(palette.first, first[1].first) > 40
            if pattern != first[0]:
                assert pattern.kind == 'plain' and not pattern.extra
                plain += 1
    assert numbers == {1, 2, 3} and plain
    assert len(identities.identity(0, 'train', 3, 1).main.styles) == 1


def test_partners_are_worn_with_the_main_garment():
    kinds = {}
    for n in range(130):
        identity = identities.identity(0, 'train', n, 2)
        if identity.partner:
            kinds.setdefault(identity.main.category_id, set()).add(identity.partner.category_id)
            assert len(identity.partner.styles) == 1
    assert not set(kinds) & set(cuts.DRESSES)
    for category_id, partners in kinds.items():
        if category_id in cuts.LOWER:
            assert partners <= set(cuts.TOPS)
        elif category_id in cuts.TOPS:
            assert partners <= set(cuts.LOWER)
        else:
            assert partners <= set(cuts.TOPS + cuts.DRESSES)
