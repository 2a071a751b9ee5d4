"""The worked example of docs/add_a_paper.md: its files as printed, in a copy of the project."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tools import build_files

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGE = (ROOT / 'docs/add_a_paper.md').read_text(encoding='utf-8')
FILES = (
    'pyproject.toml',
    'research/__init__.py',
    'tests/__init__.py',
    'tests/conformance.py',
    'tests/conftest.py',
    'tests/slow.txt',
)
FOLDERS = ('official', 'tools')
TESTS = 'tests/research/label_smoothing'
CONFIG = 'gin_configs/label_smoothing/digits.gin'


def blocks() -> dict[str, str]:
    """Returns title -> text of the page's blocks of code that have one."""
    found = re.findall(r'^(````?)\w+ title="([^"]+)"\n(.*?)^\1$', PAGE, re.MULTILINE | re.DOTALL)
    return {title: text for _, title, text in found}


@pytest.fixture(scope='module')
def copy(tmp_path_factory) -> pathlib.Path:
    """A copy of the foundation, with the files of the page."""
    root = tmp_path_factory.mktemp('copy')
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns('__pycache__'))
    (root / TESTS).mkdir(parents=True)
    (root / TESTS / '__init__.py').touch()
    (root / 'tests/research/__init__.py').touch()
    for path, text in blocks().items():
        if '/' in path and not path.endswith('BUILD'):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding='utf-8')
    for path in FILES:
        shutil.copy(ROOT / path, root / path)
    return root


def run(root: pathlib.Path, *arguments: str) -> str:
    """Returns what `python -m *arguments` prints in `root`; asserts that it ends well."""
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    result = subprocess.run(
        [sys.executable, '-m', *arguments], cwd=root, env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_experiment_learns(copy):
    steps = [
        f'--gin_param=KerasExperiment.{name}=100' for name in ('train_steps', 'save_every_steps')
    ]
    run(copy, 'official.launch', f'--gin_file={CONFIG}', '--model_dir=run', *steps)
    result = json.loads((copy / 'run/result.json').read_text())
    # By chance 90; seeds 0 to 2 give 6.8, 5.8 and 6.0.
    assert result['test_error_percent'] < 20
    assert (copy / 'run/report.html').exists()


def test_its_tests_pass(copy):
    assert re.search(
        r'^8 passed', run(copy, 'pytest', '-q', '-n0', '-p', 'no:cacheprovider', TESTS), re.M
    )


def test_its_golden_values_can_fail(copy, tmp_path):
    shutil.copytree(copy, tmp_path / 'copy')
    path = tmp_path / 'copy/research/label_smoothing/model.py'
    text = path.read_text()
    assert 'return (1 - epsilon)' in text
    path.write_text(text.replace('return (1 - epsilon)', 'return epsilon'))
    with pytest.raises(AssertionError, match='4 failed, 1 passed'):
        run(tmp_path / 'copy', 'pytest', '-q', '-n0', f'{TESTS}/model_test.py')


def test_build_files_are_as_printed(copy):
    build_files.Tree(copy).fix()
    assert build_files.Tree(copy).problems() == []
    assert (copy / TESTS / 'BUILD').read_text() == blocks()[f'{TESTS}/BUILD']


def test_row_of_the_readme(copy):
    row = blocks()['README.md']
    table = (ROOT / 'README.md').read_text(encoding='utf-8')
    head = re.search(r'^\| Paper \|.*$', table, re.MULTILINE)[0]
    assert row.strip().count('|') == head.count('|')
    links = re.findall(r'\]\(([^)#]+)', row)
    assert links and all((copy / link).exists() for link in links)
