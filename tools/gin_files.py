"""Writes the gin files that a table of a paper generates.

A folder of generated files holds `cell.template`. Its `$column` are filled from each row of the
table, a CSV file; the file is named by the row's column 'game'.

Usage:
  ./garden python -m tools.gin_files          # names the files that differ; status 1 if any does
  ./garden python -m tools.gin_files --fix    # writes them, and removes those that no row makes
"""

from __future__ import annotations

import argparse
import csv
import pathlib
import string
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEMPLATE = 'cell.template'
# Folder of the files -> the table that generates them, and the column that names a file.
TABLES = {
    'gin_configs/dqn/nature': ('research/dqn/extended_data_table_2.csv', 'game'),
    'gin_configs/dqn/double_three_step': ('research/dqn/extended_data_table_2.csv', 'game'),
}


def generated(root: pathlib.Path) -> dict[str, str]:
    """Returns the text of every generated file by its path below `root`.

    Raises:
      ValueError: a template names a column that its table does not have.
    """
    texts = {}
    for folder, (table, column) in TABLES.items():
        path = root / folder / TEMPLATE
        template = string.Template(path.read_text(encoding='utf-8'))
        with open(root / table, encoding='utf-8', newline='') as file:
            for row in csv.DictReader(file):
                try:
                    text = template.substitute(row)
                except KeyError as error:
                    raise ValueError(f'{path}: {table} has no column {error}.') from None
                texts[f'{folder}/{row[column]}.gin'] = text
    return texts


def differences(root: pathlib.Path) -> list[str]:
    """Returns the paths that are missing, differ from their table, or that no row makes."""
    texts = generated(root)
    there = {
        f'{folder}/{path.name}' for folder in TABLES for path in (root / folder).glob('[!_]*.gin')
    }
    differ = {
        path
        for path, text in texts.items()
        if path in there and (root / path).read_text(encoding='utf-8') != text
    }
    return sorted(differ | (there ^ set(texts)))


def fix(root: pathlib.Path) -> None:
    """Writes the files of `differences`, and removes those that no row makes."""
    texts = generated(root)
    for path in differences(root):
        if path in texts:
            (root / path).write_text(texts[path], encoding='utf-8')
        else:
            (root / path).unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--fix', action='store_true', help='write the files')
    if parser.parse_args().fix:
        fix(ROOT)
        return 0
    paths = differences(ROOT)
    for path in paths:
        print(f'{path} is not what its table generates; run tools/gin_files.py --fix.')
    return bool(paths)


if __name__ == '__main__':
    sys.exit(main())
