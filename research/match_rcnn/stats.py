"""Counts a data set as Sec. 2 and Figure 3 of Ge et al. 2019 do, the paper's figures beside it.

    ./garden python -m research.match_rcnn.stats FOLDER [--json] [--plot FILE.png]

FOLDER is that of DeepFashion2, with train/ and validation/, or one of these, with image/ and
annos/; or it is a file in COCO's format, with --images=FOLDER. What cannot be right is left out,
counted by kind and named, all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from official.core import figures
from official.data import coco, detection_table
from official.data import problems as problems_lib
from research.match_rcnn import annotation_files, categories, deepfashion2, levels

_UNKNOWN = 'unknown'
_ALL = sys.maxsize  # Files that are named.
_SOURCES = {
    detection_table.USER: 'user',
    detection_table.SHOP: 'shop',
    detection_table.UNKNOWN: _UNKNOWN,
}
_COLUMNS = {
    'scale': 'scales',
    'occlusion': 'occlusions',
    'zoom_in': 'zoom_ins',
    'viewpoint': 'viewpoints',
}
# What the paper prints of the whole data set. An identity is taken to be a pair_id and style that
# both users and shops have, a pair one item of each: in the published validation set of retrieval
# there are 3 043 and 70 914; 7 % of the images are validation's.
PAPER = {
    'images': '491K (391K + 34K + 67K)',
    'items': '801K',
    'items in an image': '1 to 7',
    'identities': '43.8K',
    'items of an identity': '12.7',
    'pairs of items': '873K',
    'landmarks of an item': '20',
    'scale: moderate': '50%',
    'occlusion: medium': '> 50% with heavy',
    'zoom_in: medium': '> 30% with large',
    'viewpoint: no wear': '7%',
    'viewpoint: frontal': '78%',
    'viewpoint: side or back': '15%',
}


def count(table: detection_table.DetectionTable) -> dict[str, Any]:
    """Counts a table.

    Args:
      table: of any data set.

    Returns:
      A dictionary for JSON: 'images', 'images_without_items', 'items', 'landmarks' (labelled),
      'categories' {name: items} and 'levels' {variation: {level: items}}, each of these of 'user',
      'shop', 'unknown' under 'sources'; 'fewest_items' and 'most_items' of an image; 'pair_ids';
      'identities', each a pair_id with a style above 0; of those that both users and shops have
      'paired_identities' and 'paired_items'; 'pairs', of a user's item and a shop's of the same
      identity; 'image_pairs', of images with such items; 'agreement' {variation: {'codes': items
      with a code, 'agree': of those whose code is that of `levels`}}.
    """
    of_items, per_image = table.images_of_items(), np.diff(table.first)
    item_sources = table.sources[of_items]
    found: dict[str, Any] = {'sources': {}}
    for code, source in _SOURCES.items():
        images, items = table.sources == code, item_sources == code
        found['sources'][source] = {
            'images': int(images.sum()),
            'images_without_items': int((per_image[images] == 0).sum()),
            'items': int(items.sum()),
            'landmarks': int((table.landmarks[items][..., 2] > 0).sum()),
            'categories': _counts(table.classes[items] - 1, table.class_names),
            'levels': {
                variation: _counts(
                    getattr(table, column)[items], (_UNKNOWN, *annotation_files.LEVELS[variation])
                )
                for variation, column in _COLUMNS.items()
            },
        }
    found['fewest_items'] = int(per_image.min()) if len(per_image) else 0
    found['most_items'] = int(per_image.max(initial=0))
    found.update(_pairs(table, item_sources))
    found['agreement'] = _agreement(table, of_items)
    return found


def _counts(values, names):
    counts = np.bincount(values, minlength=len(names)).tolist()
    return dict(zip(names, counts, strict=True))


def _pairs(table, item_sources):
    known = table.styles > 0
    keys = np.stack([table.pair_ids, table.styles], 1)[known]
    identities, which = np.unique(keys, axis=0, return_inverse=True)
    sides = [
        np.bincount(which.reshape(-1)[item_sources[known] == code], minlength=len(identities))
        for code in (detection_table.USER, detection_table.SHOP)
    ]
    paired = (sides[0] > 0) & (sides[1] > 0)
    return {
        'pair_ids': len(np.unique(table.pair_ids[table.pair_ids > 0])),
        'identities': len(identities),
        'paired_identities': int(paired.sum()),
        'paired_items': int((sides[0] + sides[1])[paired].sum()),
        'pairs': int((sides[0] * sides[1]).sum()),
        'image_pairs': len(table.pairs()),
    }


def _agreement(table, of_items):
    sizes = table.sizes[of_items]
    counts = np.array([0, *table.landmark_counts])[table.classes]
    computed = {
        'scale': levels.scale(table.boxes, sizes),
        'occlusion': levels.occlusion(table.landmarks, counts),
        'zoom_in': levels.zoom_in(table.landmarks, counts, sizes),
    }
    result = {}
    for variation, values in computed.items():
        codes = getattr(table, _COLUMNS[variation])
        result[variation] = {
            'codes': int((codes > 0).sum()),
            'agree': int(((codes > 0) & (codes == values)).sum()),
        }
    return result


def total(counts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of several splits together. Identities are those of each split."""
    result = _sum(counts)
    result['fewest_items'] = min(one['fewest_items'] for one in counts)
    result['most_items'] = max(one['most_items'] for one in counts)
    return result


def _sum(counts):
    if isinstance(counts[0], Mapping):
        return {key: _sum([one[key] for one in counts]) for key in counts[0]}
    return sum(counts)


def text(counts: Mapping[str, Any], title: str) -> str:
    """Counts as lines of plain text, in columns: all, of users, of shops, and, beside its
    categories, the paper's."""
    sources = {name: one for name, one in counts['sources'].items() if one['images']}
    columns = {'all': _sum(list(counts['sources'].values())), **sources}
    if len(sources) == 1:  # The column says what 'all' says.
        columns = {'all': columns['all']}
    # Of another set the paper says nothing.
    paper = PAPER if tuple(columns['all']['categories']) == categories.NAMES else {}
    rows = [(title, *columns, 'paper' if paper else '')]

    def add(name, *values):
        shown = [
            f'{value:,}'.replace(',', ' ') if isinstance(value, int) else value for value in values
        ]
        rows.append((name, *shown, *[''] * (len(columns) - len(shown)), paper.get(name, '')))

    def per(name, of, by):
        add(name, *(_ratio(one[of], one[by]) for one in columns.values()))

    add('images', *(one['images'] for one in columns.values()))
    add('images without items', *(one['images_without_items'] for one in columns.values()))
    add('items', *(one['items'] for one in columns.values()))
    add('items in an image', f'{counts["fewest_items"]} to {counts["most_items"]}')
    per('items in an image, mean', 'items', 'images')
    per('landmarks of an item', 'landmarks', 'items')
    add('pair_ids', counts['pair_ids'])
    add('identities of one side or both', counts['identities'])
    add('identities', counts['paired_identities'])
    add('items of an identity', _ratio(counts['paired_items'], counts['paired_identities']))
    add('pairs of items', counts['pairs'])
    add('pairs of images', counts['image_pairs'])
    for variation in _COLUMNS:
        of_columns = [one['levels'][variation] for one in columns.values()]
        if of_columns[0][_UNKNOWN] == sum(of_columns[0].values()):
            continue
        for level in (*annotation_files.LEVELS[variation], _UNKNOWN):
            if level != _UNKNOWN or of_columns[0][level]:
                add(
                    f'{variation}: {level}',
                    *(_percent(one[level], sum(one.values())) for one in of_columns),
                )
    for variation, found in counts['agreement'].items():
        if found['codes']:
            add(
                f'{variation}: codes that agree with the geometry',
                _percent(found['agree'], found['codes']),
            )
    for name in columns['all']['categories']:
        add(name, *(one['categories'][name] for one in columns.values()))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)),
                row[-1],
            ]
        )
        for row in rows
    ]
    return '\n'.join(line.rstrip() for line in lines)


def _ratio(value, by):
    return f'{value / by:.2f}' if by else ''


def _percent(part, whole):
    return f'{100 * part / whole:.1f}%' if whole else ''


def plot(counts: Mapping[str, Any], path: str) -> None:
    """Draws Figure 3 (a), levels of the variations, and (b), items of the categories, to a file.

    Args:
      counts: see `count`.
      path: of the picture, whose ending says which format.
    """
    whole = _sum(list(counts['sources'].values()))
    items = whole['categories']
    with figures.figure(11, 1.6 + 0.22 * max(len(items), 9)) as drawing:
        left, right = drawing.subplots(1, 2)
        for row, variation in enumerate(_COLUMNS):
            start = 0.0
            for place, level in enumerate((*annotation_files.LEVELS[variation], _UNKNOWN)):
                share = 100 * whole['levels'][variation][level] / max(whole['items'], 1)
                if not share:
                    continue
                color = '#b8c2cc' if level == _UNKNOWN else figures.PALETTE[place]
                left.barh(row, share, left=start, color=color)
                if share >= 5:
                    left.text(
                        start + share / 2,
                        row,
                        f'{level}\n{share:.0f}%',
                        ha='center',
                        va='center',
                        color='white',
                        fontsize=7,
                    )
                start += share
        left.set(
            title='(a) variations',
            xlabel='items, %',
            xlim=(0, 100),
            yticks=range(len(_COLUMNS)),
            yticklabels=list(_COLUMNS),
        )
        left.invert_yaxis()
        right.barh(list(items), list(items.values()), color=figures.PALETTE[0])
        right.set(title='(b) categories', xlabel='items')
        right.invert_yaxis()
        drawing.savefig(path, dpi=150)


def load(path: str, images: str | None = None) -> dict[str, detection_table.DetectionTable]:
    """The tables of a data set, by split.

    Args:
      path: a folder of DeepFashion2, or of one of its splits; or a file in COCO's format.
      images: folder of the images of such a file.

    Raises:
      FileNotFoundError: no such folder or file, or no split in it.
      ValueError: COCO's format without `images`; what the readers say of files.
    """
    if os.path.isfile(path):
        if images is None:
            raise ValueError(
                f"{path}: a file in COCO's format needs --images, the folder of its images."
            )
        table = coco.load(
            path,
            images,
            problems_lib.Problems(path, kept_skipped=_ALL),
            check_images=False,
            skip_malformed=True,
            end_to_end=deepfashion2.end_to_end(),
        )
        table.problems.print_summary()
        return {os.path.basename(path): table}
    folders = {
        split: os.path.join(path, split)
        for split in deepfashion2.SPLITS
        if os.path.isdir(os.path.join(path, split, deepfashion2.ANNOTATIONS))
    }
    if os.path.isdir(os.path.join(path, deepfashion2.ANNOTATIONS)):
        folders = {os.path.basename(os.path.normpath(path)): path}
    if not folders:
        raise FileNotFoundError(
            f'{path}: no such file or folder of DeepFashion2: neither image/ '
            'and annos/ nor train/ or validation/ with them.'
        )
    tables = {}
    for split, folder in folders.items():
        tables[split] = deepfashion2.load(
            folder, problems_lib.Problems(folder, kept_skipped=_ALL), skip_malformed=True
        )
        tables[split].problems.print_summary()
    return tables


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='python -m research.match_rcnn.stats',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('path', help='folder of DeepFashion2 or of a split, or a COCO JSON file')
    parser.add_argument('--images', help='folder of the images of a COCO JSON file')
    parser.add_argument('--json', action='store_true', help='print JSON, of every split and of all')
    parser.add_argument('--plot', metavar='FILE.png', help='draw Figure 3 (a) and (b) to a file')
    options = parser.parse_args(arguments)
    if options.plot and not options.plot.endswith('.png'):
        parser.error(f'--plot={options.plot} does not end in .png')
    if options.plot and not os.path.isdir(os.path.dirname(options.plot) or '.'):
        parser.error(f'--plot={options.plot}: there is no such folder')
    try:
        tables = load(options.path, options.images)
    except (ValueError, OSError) as error:
        parser.exit(1, f'{error}\n')
    counts = {split: count(table) for split, table in tables.items()}
    whole = total(list(counts.values()))
    if len(counts) > 1:
        counts['all'] = whole
    if options.plot:
        plot(whole, options.plot)
    if options.json:
        print(json.dumps(counts, indent=2))
    else:
        print('\n\n'.join(text(one, split) for split, one in counts.items()))


if __name__ == '__main__':
    main(sys.argv[1:])
