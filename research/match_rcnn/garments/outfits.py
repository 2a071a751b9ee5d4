"""What is worn together: the garments of one image."""

from __future__ import annotations

import dataclasses

import numpy as np

from research.match_rcnn.garments import cuts, identities, prints

LOWER, INNER, OUTER = 'lower', 'inner', 'outer'


@dataclasses.dataclass(frozen=True)
class Worn:
    """A garment in an image.

    Attributes:
      design: what it is.
      style: which of the design's styles, from 0.
      number: the style in the annotation; 0: the image is of no use for retrieval of this item.
      role: LOWER, INNER or OUTER.
      required: the image is worth nothing without it.
    """

    design: identities.Design
    style: int
    number: int
    role: str
    required: bool = False

    @property
    def category_id(self) -> int:
        return self.design.category_id


def role(category_id: int) -> str:
    """Where a category is worn."""
    if category_id in cuts.LOWER:
        return LOWER
    return OUTER if category_id in cuts.OUTWEAR else INNER


def choose(
    identity: identities.Identity, index: int, on_figure: bool, user: bool, rng: np.random.Generator
) -> list[Worn]:
    """The garments of an image, in the order in which they are put on.

    Args:
      identity: whose image it is.
      index: which of its images from the same source, from 0. Image 0 has the partner for certain.
      on_figure: a figure is dressed from top to bottom; else it is one garment or two.
      user: a consumer's image: now and then in a colour that no shop has.
      rng: source of what is left open.

    Returns:
      One to three.
    """
    main = identity.main
    style = index % len(main.styles)
    number = style + 1
    if user and index >= len(main.styles) and rng.uniform() < 0.12:
        pattern, palette = main.styles[style]
        palette = prints.sample_palette(rng, tuple(p for _, p in main.styles))
        main = dataclasses.replace(main, styles=((pattern, palette),))
        style, number = 0, 0
    items = {role(main.category_id): Worn(main, style, number, role(main.category_id), True)}
    partner = identity.partner
    if partner is not None and (index == 0 or on_figure or rng.uniform() < 0.5):
        place = role(partner.category_id)
        items[place] = Worn(partner, 0, len(identity.main.styles) + 1, place, index == 0)

    def add(options):
        category_id = int(rng.choice(options))
        place = role(category_id)
        items[place] = Worn(identities.design(category_id, 1, rng), 0, 0, place)

    if on_figure:
        if INNER not in items:
            add(cuts.TOPS if LOWER in items else cuts.TOPS + cuts.DRESSES[:1])
        if LOWER not in items and items[INNER].category_id not in cuts.DRESSES:
            add(cuts.LOWER)
        if OUTER not in items and rng.uniform() < 0.16:
            add(cuts.OUTWEAR)
    elif len(items) == 1 and rng.uniform() < 0.25:
        other = identities.partner_category(main.category_id, rng)
        if other is not None and role(other) not in items:
            add([other])
    items = [items[place] for place in (LOWER, INNER, OUTER) if place in items]
    return _fitted(items, open_front=role(main.category_id) != OUTER)


def _fitted(items, open_front):
    """Makes room: what is under outwear must not stick out of it, nor be hidden by it."""
    if items[-1].role != OUTER or len(items) == 1:
        return items
    outer = items[-1]
    cut = outer.design.cut
    if open_front and cut.gap_top < 0.06:
        cut = dataclasses.replace(cut, gap_top=0.08, gap_hem=0.12, waist_seam='')
        items[-1] = dataclasses.replace(outer, design=dataclasses.replace(outer.design, cut=cut))
    for i, item in enumerate(items[:-1]):
        if item.role != INNER:
            continue
        inner = item.design.cut
        slim = {
            name: min(getattr(inner, name), getattr(cut, name) - 0.02)
            for name in ('chest', 'waist', 'hip', 'sleeve_width', 'cuff_width')
        }
        slim['armpit'] = max(inner.armpit, cut.armpit)
        if inner.category_id not in cuts.SLINGS:
            slim['shoulder'] = min(inner.shoulder, cut.shoulder - 0.015)
        if inner.category_id in cuts.TOPS:
            slim['hem'] = min(inner.hem, cut.hip - 0.02)
        design = dataclasses.replace(item.design, cut=dataclasses.replace(inner, **slim))
        items[i] = dataclasses.replace(item, design=design)
    return items
