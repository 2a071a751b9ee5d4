"""Who the garments are: an identity's cut, print geometry and styles, from a seed."""

from __future__ import annotations

import dataclasses

import numpy as np

from research.match_rcnn.garments import cuts, prints

SPLITS = ('train', 'validation')


@dataclasses.dataclass(frozen=True)
class Design:
    """A garment as it is sold: one cut in several styles.

    Attributes:
      cut: its shape.
      styles: of each style the print and its colours. The print's geometry is the same for all,
        but a style may go without.
    """

    cut: cuts.UpperCut | cuts.LowerCut
    styles: tuple[tuple[prints.Pattern, prints.Palette], ...]

    @property
    def category_id(self) -> int:
        return self.cut.category_id


@dataclasses.dataclass(frozen=True)
class Identity:
    """What the images of one pair_id have in common.

    Attributes:
      main: the garment of all its images; its styles are 1, 2, ...
      partner: a second garment that is sold with it, of one style, whose number follows the main
        one's; None: there is none.
    """

    main: Design
    partner: Design | None


def generator(*words: int) -> np.random.Generator:
    """A generator for what `words` name."""
    return np.random.default_rng(np.random.SeedSequence(words))


def design(category_id: int, num_styles: int, rng: np.random.Generator) -> Design:
    """A garment of a category."""
    cut = cuts.sample(category_id, rng)
    pattern = prints.sample_pattern(rng, category_id not in cuts.LOWER)
    styles, palettes = [], ()
    for number in range(num_styles):
        palettes += (prints.sample_palette(rng, palettes),)
        plain = number > 0 and rng.uniform() < 0.15
        worn = dataclasses.replace(pattern, kind='plain', extra='') if plain else pattern
        styles.append((worn, palettes[-1]))
    return Design(cut, tuple(styles))


def partner_category(category_id: int, rng: np.random.Generator) -> int | None:
    """A category that is worn with another, or None."""
    if category_id in cuts.TOPS:
        return int(rng.choice(cuts.LOWER))
    if category_id in cuts.LOWER:
        return int(rng.choice(cuts.TOPS))
    if category_id in cuts.OUTWEAR:
        return int(rng.choice(cuts.TOPS + cuts.DRESSES))
    return None


def identity(seed: int, split: str, number: int, max_styles: int) -> Identity:
    """The identity of a number in a split.

    Every 13 that follow one another have the 13 categories, in an order of their own.

    Args:
      seed: of the data set.
      split: one of SPLITS.
      number: from 0.
      max_styles: the most styles of its main garment.
    """
    code = SPLITS.index(split)
    order = generator(seed, code, 0, number // 13).permutation(13) + 1
    category_id = int(order[number % 13])
    rng = generator(seed, code, 1, number)
    num_styles = int(rng.integers(1, max(min(max_styles, 3), 1) + 1))
    main = design(category_id, num_styles, rng)
    other = partner_category(category_id, rng)
    if other is None or rng.uniform() > 0.4:
        return Identity(main, None)
    if category_id in cuts.OUTWEAR and not main.cut.gap_top:
        return Identity(main, None)  # It would hide its partner.
    return Identity(main, design(other, 1, rng))
