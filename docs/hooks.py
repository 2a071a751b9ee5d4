"""The pages of the site, for MkDocs: files of the repository at their own paths, and the API.

A page or picture of the site has the path that it has in the repository, so that a relative link is
right in both.  A page of the API is made for each Python package, with its modules one below the
other.
"""

from __future__ import annotations

import pathlib

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/*.md', 'research/*/README.md')
PICTURES = ('docs/**/*.png', 'research/*/samples/*.png')
PACKAGES = ('official', 'research')


def modules() -> dict[str, list[str]]:
    """Returns package -> its modules, the package's own docstring first, by name."""
    found: dict[str, list[str]] = {}
    for top in PACKAGES:
        for path in sorted((ROOT / top).rglob('*.py'), key=lambda path: path.with_suffix('').parts):
            package = '.'.join(path.parent.relative_to(ROOT).parts)
            is_package = path.name == '__init__.py'
            found.setdefault(package, []).append(
                package if is_package else f'{package}.{path.stem}'
            )
    return found


def pages() -> list[str]:
    """Returns the files of the repository that are on the site, as paths from the root."""
    found = [path for pattern in (*PAGES, *PICTURES) for path in sorted(ROOT.glob(pattern))]
    return [path.relative_to(ROOT).as_posix() for path in found]


def api_page(package: str, names: list[str]) -> str:
    """Returns the Markdown of the page of `package`, on which MkDocs puts the docstrings."""
    blocks = [f'::: {name}' for name in names]
    if names[0] == package:
        # Under the heading of the page.
        blocks[0] += '\n    options:\n      show_root_heading: false'
    return '\n\n'.join([f'# {package}', *blocks]) + '\n'


def api_path(package: str) -> str:
    """Returns the path of the page of `package` in the site's sources."""
    return f'api/{package}.md'


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the cards and the pages of the API to the navigation."""
    cards = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob('research/*/README.md'))
    config.nav = [
        *config.nav,
        {'Papers': cards},
        {'API': [{package: api_path(package)} for package in modules()]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replaces what MkDocs found in `docs` by the pages and pictures of the site."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    for path in pages():
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    for package, names in modules().items():
        content = api_page(package, names)
        files.append(File.generated(config, api_path(package), content=content))
    return files
