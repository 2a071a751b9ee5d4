"""How garments are cut: the numbers that make one identity's shape differ from another's."""

from __future__ import annotations

import dataclasses

import numpy as np

# Category ids.
SHORT_TOP, LONG_TOP, SHORT_OUTWEAR, LONG_OUTWEAR, VEST, SLING = 1, 2, 3, 4, 5, 6
SHORTS, TROUSERS, SKIRT = 7, 8, 9
SHORT_DRESS, LONG_DRESS, VEST_DRESS, SLING_DRESS = 10, 11, 12, 13

TOPS = (SHORT_TOP, LONG_TOP, VEST, SLING)
OUTWEAR = (SHORT_OUTWEAR, LONG_OUTWEAR)
LOWER = (SHORTS, TROUSERS, SKIRT)
DRESSES = (SHORT_DRESS, LONG_DRESS, VEST_DRESS, SLING_DRESS)
SHORT_SLEEVED = (SHORT_TOP, SHORT_OUTWEAR, SHORT_DRESS)
LONG_SLEEVED = (LONG_TOP, LONG_OUTWEAR, LONG_DRESS)
SLINGS = (SLING, SLING_DRESS)


@dataclasses.dataclass(frozen=True)
class UpperCut:
    """Cut of what hangs from the shoulders; lengths in torsos, widths are half widths.

    Attributes:
      category_id: 1 to 6, 10 to 13.
      neck: 'round', 'v', 'square', 'boat' or 'turtle'; of slings 'round', 'v', 'square' or 'heart'.
      neck_width, neck_depth: of the neckline.
      shoulder: x of the shoulder's end.
      armpit: y of the armpit.
      chest, waist, hip, hem: widths from top to bottom.
      length: y of the hem.
      sag: of the hem's middle below its ends; may be negative.
      sleeve: length as a part of the arm's.
      sleeve_width, cuff_width: at the armpit and at the end.
      gap_top, gap_hem: half the distance of an outwear's fronts; 0 and 0: it is closed.
      collar: '', 'shirt', 'lapel' or 'band'.
      closure: '', 'zip', 'buttons' or 'placket' (a short one).
      pockets: '', 'chest', 'hip' or 'pouch'.
      waist_seam: '', 'seam' or 'belt'.
      cuffs: '', 'seam' or 'rib'.
      strap: half the width of a sling's straps.
      pleats: how many folds run to the hem; 0: none that are cut.
      ruffle: a second layer above the hem.
    """

    category_id: int
    neck: str = 'round'
    neck_width: float = 0.17
    neck_depth: float = 0.16
    shoulder: float = 0.36
    armpit: float = 0.36
    chest: float = 0.33
    waist: float = 0.29
    hip: float = 0.35
    hem: float = 0.35
    length: float = 1.05
    sag: float = 0.02
    sleeve: float = 0.3
    sleeve_width: float = 0.12
    cuff_width: float = 0.12
    gap_top: float = 0.0
    gap_hem: float = 0.0
    collar: str = ''
    closure: str = ''
    pockets: str = ''
    waist_seam: str = ''
    cuffs: str = ''
    strap: float = 0.02
    pleats: int = 0
    ruffle: bool = False


@dataclasses.dataclass(frozen=True)
class LowerCut:
    """Cut of what begins at the waist; lengths in torsos, widths are half widths.

    Attributes:
      category_id: 7 to 9.
      rise: y of the waistband's upper edge.
      waist, hip: widths.
      length: of a leg, as a part of the leg's; of a skirt y of the hem.
      thigh, knee, cuff: of a leg; `cuff` of a skirt is the hem's.
      sag: of a skirt's hem.
      fly, pockets, cuffs, belt, drawstring, side_stripe: details.
      pleats: how many folds run to a skirt's hem.
    """

    category_id: int
    rise: float = 0.80
    waist: float = 0.27
    hip: float = 0.345
    length: float = 0.95
    thigh: float = 0.18
    knee: float = 0.14
    cuff: float = 0.12
    sag: float = 0.02
    fly: bool = True
    pockets: bool = True
    cuffs: bool = False
    belt: bool = False
    drawstring: bool = False
    side_stripe: bool = False
    pleats: int = 0


def sample(category_id: int, rng: np.random.Generator) -> UpperCut | LowerCut:
    """A cut of a category."""
    return _lower(category_id, rng) if category_id in LOWER else _upper(category_id, rng)


def _pick(rng, *options):
    return options[rng.integers(len(options))]


def _upper(category_id, rng):
    uniform = rng.uniform
    dress = category_id in DRESSES
    values = {'category_id': category_id}
    if category_id in SLINGS:
        values.update(
            neck=_pick(rng, 'round', 'v', 'square', 'heart'),
            neck_width=uniform(0.20, 0.25),
            neck_depth=uniform(0.34, 0.44),
            armpit=uniform(0.36, 0.42),
            strap=uniform(0.011, 0.03),
        )
    else:
        neck = _pick(rng, 'round', 'round', 'v', 'square', 'boat')
        if category_id in OUTWEAR:
            neck = 'v'
        elif category_id in LONG_SLEEVED and uniform() < 0.25:
            neck = 'turtle'
        values['neck'] = neck
        values['neck_width'], values['neck_depth'] = {
            'round': (uniform(0.15, 0.21), uniform(0.13, 0.30)),
            'v': (uniform(0.14, 0.19), uniform(0.24, 0.48)),
            'square': (uniform(0.17, 0.22), uniform(0.18, 0.32)),
            'boat': (uniform(0.23, 0.28), uniform(0.10, 0.13)),
            'turtle': (uniform(0.10, 0.12), uniform(-0.12, -0.08)),
        }[neck]
        values['armpit'] = uniform(0.33, 0.42)
        values['shoulder'] = uniform(0.35, 0.39)
        if category_id in (VEST, VEST_DRESS):
            values['shoulder'] = max(uniform(0.25, 0.33), values['neck_width'] + 0.06)
    # From slim to wide.
    ease = uniform(0, 1)
    values['chest'] = 0.325 + 0.05 * ease
    values['waist'] = values['chest'] - uniform(0.0, 0.07 if not dress else 0.09) * (1.3 - ease)
    values['hip'] = 0.335 + 0.05 * ease
    if dress:
        length = uniform(1.55, 2.40)
        flare = _pick(rng, uniform(0.0, 0.05), uniform(0.1, 0.22), uniform(0.22, 0.45))
        values.update(
            length=length,
            hem=values['hip'] + flare * (length - 0.9),
            sag=uniform(0.0, 0.05) + 0.06 * flare,
            waist_seam=_pick(rng, '', 'seam', 'belt'),
            ruffle=uniform() < 0.2,
            pleats=_pick(rng, 0, 0, 5, 8) if flare > 0.08 else 0,
        )
        values['hip'] += 0.18 * flare
    else:
        values.update(length=uniform(0.84, 1.20), sag=uniform(-0.02, 0.05))
        values['hem'] = values['hip'] + uniform(-0.02, 0.05)
    if category_id in SHORT_SLEEVED:
        values['sleeve'] = uniform(0.22, 0.46)
        values['sleeve_width'] = uniform(0.105, 0.14)
        values['cuff_width'] = values['sleeve_width'] + uniform(-0.02, 0.05)
    elif category_id in LONG_SLEEVED:
        values['sleeve'] = uniform(0.84, 1.0)
        values['sleeve_width'] = uniform(0.095, 0.13)
        values['cuff_width'] = _pick(
            rng, uniform(0.055, 0.075), uniform(0.075, 0.10), uniform(0.13, 0.19)
        )
    values['cuffs'] = _pick(rng, '', 'seam', 'rib')
    if category_id in OUTWEAR:
        _finish_outwear(values, rng)
    elif category_id not in SLINGS:
        values['pockets'] = _pick(rng, '', '', '', 'chest', 'pouch') if not dress else ''
        if values['neck'] in ('round', 'v') and uniform() < 0.3:
            values['neck_depth'] = uniform(0.16, 0.24)
            values.update(neck='v', collar='shirt', closure='placket')
    return UpperCut(**values)


def _finish_outwear(values, rng):
    uniform = rng.uniform
    long = uniform() < 0.35
    if long:
        values['length'] = uniform(1.3, 1.85)
        values['hem'] = values['hip'] + uniform(0.0, 0.12)
    values['chest'] += 0.02
    values['waist'] += 0.025
    values['hip'] += 0.025
    values['hem'] += 0.025
    values['shoulder'] += 0.015
    values['sleeve_width'] += 0.012
    values['cuff_width'] = max(values['cuff_width'], 0.085)
    collar = _pick(rng, 'lapel', 'shirt', 'band', '')
    values.update(
        neck_width=uniform(0.13, 0.17),
        collar=collar,
        neck_depth=uniform(0.30, 0.52) if collar in ('lapel', '') else uniform(0.06, 0.14),
        closure=_pick(rng, 'zip', 'buttons', 'buttons'),
        sag=uniform(-0.02, 0.02),
        pockets=_pick(rng, '', 'hip', 'hip', 'chest'),
        waist_seam=_pick(rng, '', '', 'belt') if long else '',
    )
    if uniform() < 0.65:  # Worn open.
        values['gap_top'] = uniform(0.04, 0.11)
        values['gap_hem'] = values['gap_top'] + uniform(0.0, 0.10)
        values['waist_seam'] = ''


def _lower(category_id, rng):
    uniform = rng.uniform
    values = {'category_id': category_id, 'rise': uniform(0.72, 0.88)}
    ease = uniform(0, 1)
    values['waist'] = 0.262 + 0.02 * ease + 0.25 * max(values['rise'] - 0.78, 0)
    values['hip'] = 0.335 + 0.025 * ease
    values.update(fly=uniform() < 0.6, pockets=uniform() < 0.7, belt=uniform() < 0.25)
    values['drawstring'] = not values['belt'] and uniform() < 0.3
    if category_id == SKIRT:
        length = uniform(1.35, 2.35)
        flare = _pick(rng, uniform(-0.03, 0.04), uniform(0.1, 0.25), uniform(0.25, 0.5))
        values.update(
            length=length,
            cuff=values['hip'] + flare * (length - 0.95),
            sag=uniform(0.0, 0.04) + 0.07 * max(flare, 0),
            fly=False,
            pockets=uniform() < 0.2,
            pleats=_pick(rng, 0, 6, 10) if flare > 0.08 else 0,
        )
        values['hip'] += 0.15 * max(flare, 0)
        return LowerCut(**values)
    values['thigh'] = 0.165 + 0.03 * ease
    if category_id == SHORTS:
        values['length'] = uniform(0.16, 0.48)
        values['cuff'] = values['thigh'] + uniform(-0.02, 0.05)
        values['knee'] = (values['thigh'] + values['cuff']) / 2
    else:
        values['length'] = uniform(0.84, 1.0)
        kind = rng.integers(3)  # Slim, straight, wide.
        values['knee'] = (uniform(0.105, 0.12), uniform(0.125, 0.15), uniform(0.15, 0.18))[kind]
        values['cuff'] = (uniform(0.07, 0.085), uniform(0.10, 0.14), uniform(0.17, 0.25))[kind]
        values['thigh'] -= 0.01 * (kind == 0)
    values.update(cuffs=uniform() < 0.35, side_stripe=uniform() < 0.15)
    return LowerCut(**values)
