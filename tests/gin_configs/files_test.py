"""Rules that every gin file keeps: its purpose, its place, and that nothing is there unused."""

import collections
import os
import pathlib
import re

import pytest

from official import listing
from official.core import config, gin_source
from tools import gin_files

ROOT = pathlib.Path(gin_source.ROOT)
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'gin_configs').rglob('*.gin'))
PARTS = [path for path in FILES if os.path.basename(path).startswith('_')]
LISTED = [path for path, _ in listing.entries(ROOT)]
# Folder of a table's cells -> the cells.
CELLS = collections.defaultdict(list)
for path in LISTED:
    if path.count('/') > 2:
        CELLS[os.path.dirname(path)].append(path)
INCLUDE = re.compile(r"^include '(.*)'$", re.MULTILINE)


def text(path):
    return (ROOT / path).read_text(encoding='utf-8')


def test_every_file_is_a_part_or_listed():
    assert sorted([*PARTS, *LISTED]) == FILES and len(LISTED) > 390


@pytest.mark.parametrize('path', LISTED)
def test_first_line_is_the_purpose(path):
    purpose = listing.purpose(ROOT / path)
    assert text(path).startswith(f'# {purpose}\n')
    assert len(purpose) <= 100 and purpose.endswith('.') and purpose[0].isupper()
    assert not purpose.startswith(('What ', 'Whether ', 'How '))


def test_every_listed_file_can_be_read_and_wires_an_experiment():
    for path in LISTED:
        assert config.read(str(ROOT / path)).name == path.removeprefix('gin_configs/')[:-4]


def test_every_part_is_included():
    included = {name for path in FILES for name in INCLUDE.findall(text(path))}
    # What catch.gin shares with the files of Reverb is compared with it, not included in it.
    assert included >= set(PARTS)
    assert all(os.path.basename(name).startswith('_') for name in included)


def test_cells_lie_in_the_folder_of_their_table():
    """`table1/` has `table1.gin` beside it, which runs its cells."""
    assert len(CELLS) > 10
    for folder, cells in CELLS.items():
        assert f'{folder}.gin' in LISTED, folder
        assert all(re.search(r'^include ', text(cell), re.MULTILINE) for cell in cells)


def test_a_cell_says_what_is_its_own():
    """Title, reference and a few bindings; everything else is in what it includes."""
    for folder, cells in CELLS.items():
        for cell in cells:
            code = [line for line in text(cell).splitlines() if line and line[0] not in '#']
            own = [line for line in code if not line.startswith(('include ', 'from ', 'import '))]
            assert len(own) <= 20, cell
        lines = sum(len(text(cell).splitlines()) for cell in cells)
        assert lines / len(cells) <= 25, folder


def test_no_file_repeats_an_import_of_what_it_includes():
    def imports(path):
        found = set(re.findall(r'^(?:from (?!__gin__)|import ).*$', text(path), re.MULTILINE))
        return found, set().union(
            *(imports(name)[0] | imports(name)[1] for name in INCLUDE.findall(text(path)))
        )

    for path in FILES:
        own, inherited = imports(path)
        assert not own & inherited, path


def test_generated_files_are_what_their_table_generates():
    assert gin_files.differences(ROOT) == []
    assert len(gin_files.generated(ROOT)) == 2 * 49


def test_every_file_that_a_page_names_is_there():
    """In the README, the model cards and the guides; the change log names what there was."""
    pages = [page for page in ROOT.rglob('*.md') if page.name != 'CHANGELOG.md']
    pages = [page for page in pages if not set(page.parts) & {'.venv', 'runs'}]
    named = {
        name
        for page in pages
        for name in re.findall(r'gin_configs/[\w/]+\.gin', page.read_text(encoding='utf-8'))
        if 'label_smoothing' not in name  # The guide's example makes it.
    }
    assert len(named) > 10 and sorted(name for name in named if name not in FILES) == []
