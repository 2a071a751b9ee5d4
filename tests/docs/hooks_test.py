"""The pages of the site: each module once, each page at its path in the repository."""

from __future__ import annotations

import collections
import importlib.util
import logging
import pathlib

import pytest
from mkdocs.config import load_config

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPEC = importlib.util.spec_from_file_location('hooks', ROOT / 'docs/hooks.py')
hooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hooks)


@pytest.fixture(scope='module')
def config():
    return load_config(str(ROOT / 'mkdocs.yml'))


def test_every_module_is_on_one_page():
    named = collections.Counter(name for names in hooks.modules().values() for name in names)
    files = [path for top in ('official', 'research') for path in (ROOT / top).rglob('*.py')]
    modules = {
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        for path in files
    }
    assert len(modules) > 300
    assert named == collections.Counter(modules)


def test_package_comes_before_its_modules():
    names = hooks.modules()['research.ladder']
    assert names[:3] == [
        f'research.ladder{name}' for name in ('', '.architectures', '.autoencoder')
    ]
    assert '::: research.ladder.model\n' in hooks.api_page('research.ladder', names)


def test_cards_come_with_their_pictures():
    cards = {path.relative_to(ROOT).as_posix() for path in ROOT.glob('research/*/README.md')}
    pictures = {path.relative_to(ROOT).as_posix() for path in ROOT.glob('research/**/*.png')}
    assert len(cards) >= 5 and pictures
    assert cards | pictures <= set(hooks.pages())


def test_navigation_has_every_page(config):
    text = repr(hooks.on_config(config).nav)
    api = [hooks.api_path(package) for package in hooks.modules()]
    pages = [path for path in hooks.pages() if path.endswith('.md')]
    assert [path for path in [*pages, *api] if repr(path) not in text] == []


def test_broken_link_is_an_error(config):
    kinds = [*config.validation.links.values(), *config.validation.nav.values()]
    assert len(kinds) == 7 and set(kinds) == {logging.WARNING}


def test_nothing_is_fetched(config):
    assert config.theme['font'] is False
    assert not config.extra_javascript and not config.extra_css
