"""The gin files and what each is for: standard library only, so that a list takes no time."""

from __future__ import annotations

import collections
import os
import pathlib


def purpose(path: pathlib.Path) -> str:
    """Returns the first comment line of a gin file, '' where it begins with something else."""
    with open(path, encoding='utf-8-sig') as lines:
        for line in lines:
            text = line.strip()
            if text and not text.startswith('#'):
                break
            if text.strip('# '):
                return text.strip('# ')
    return ''


def entries(root: pathlib.Path) -> list[tuple[str, str]]:
    """Returns (path from `root`, purpose) of every gin file under root/gin_configs, sorted.

    A file whose name begins with an underscore is a part that others include, and is left out.
    """
    files = sorted((root / 'gin_configs').rglob('*.gin'))
    return [
        (path.relative_to(root).as_posix(), purpose(path))
        for path in files
        if not path.name.startswith('_')
    ]


def overview(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the rows of files directly in a paper's folder: single experiments and whole tables.

    The files of `gin_configs/dqn/nature/` are the cells of `gin_configs/dqn/nature.gin`, to whose
    purpose their number is added.
    """
    cells = collections.Counter(os.path.dirname(path) + '.gin' for path, _ in rows)
    return [
        (path, f'{text} ({cells[path]} files)' if cells[path] else text)
        for path, text in rows
        if path.count('/') == 2
    ]


def matching(rows: list[tuple[str, str]], words: list[str]) -> list[tuple[str, str]]:
    """Returns the rows whose path and purpose contain every one of `words`, in any case."""
    return [
        (path, text)
        for path, text in rows
        if all(word.casefold() in f'{path} {text}'.casefold() for word in words)
    ]


def table(rows: list[tuple[str, str]]) -> str:
    """Returns `rows` of `entries` as lines of two columns."""
    width = max((len(path) for path, _ in rows), default=0)
    return ''.join(f'{path:{width}}  {text}'.rstrip() + '\n' for path, text in rows)
