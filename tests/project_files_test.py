"""The files that other services read: the citation, the workflow, the templates.

Reads the source tree itself, which under Bazel is behind the links of the runfiles.
"""

from __future__ import annotations

import pathlib
import re
import tomllib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / 'README.md').read_text(encoding='utf-8')
# In the order of the README's table.
PAPERS = list(dict.fromkeys(re.findall(r'\(research/(\w+)/README\.md\)', README)))


def read(path: str):
    return yaml.safe_load((ROOT / path).read_text(encoding='utf-8'))


def plain(text: str) -> str:
    return re.sub(r'\s+', ' ', text).casefold()


def test_citation_is_of_this_version():
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    citation = read('CITATION.cff')
    assert citation['cff-version'] == '1.2.0'
    assert (citation['version'], citation['license']) == (project['version'], project['license'])
    assert re.fullmatch(r'\d{4}-\d\d-\d\d', citation['date-released'])
    assert citation['message'] and citation['title'] and citation['authors']


@pytest.mark.parametrize('number, paper', enumerate(PAPERS))
def test_citation_names_each_paper_as_its_card_does(number, paper):
    reference = read('CITATION.cff')['references'][number]
    card = plain((ROOT / f'research/{paper}/README.md').read_text(encoding='utf-8'))
    assert plain(reference['title']) in card
    assert str(reference['year']) in card
    assert plain(reference['authors'][0]['family-names']) in card
    for identifier in reference.get('identifiers', []):
        # A card may leave the identifier out; a different one is a mistake.
        assert set(re.findall(r'arxiv:[\d.]+\d', card[:1000])) <= {identifier['value'].casefold()}


def test_each_card_has_a_reference():
    assert len(read('CITATION.cff')['references']) == len(PAPERS)
    assert {path.parent.name for path in ROOT.glob('research/*/README.md')} == set(PAPERS)


def test_workflow_runs_ci():
    workflow = read('.github/workflows/ci.yml')
    # YAML 1.1 reads the key `on` as true.
    assert {'push', 'pull_request'} <= workflow[True].keys()
    (job,) = workflow['jobs'].values()
    assert job['timeout-minutes'] > 0
    assert [step['run'] for step in job['steps'] if 'run' in step][-1] == '.ci/run'


def test_issue_form():
    form = read('.github/ISSUE_TEMPLATE/bug.yml')
    assert {'name', 'description', 'body'} <= form.keys()
    names = [field['id'] for field in form['body']]
    assert len(set(names)) == len(names)
    assert read('.github/ISSUE_TEMPLATE/config.yml')['blank_issues_enabled'] is True
