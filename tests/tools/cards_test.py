"""The figures of the pages: made from results and gin files, and compared with them."""

import json
import pathlib
import re

import pytest

from official.core import gin_source, result
from tools import cards

ROOT = pathlib.Path(gin_source.ROOT)


def test_the_pages_are_in_step_with_the_results():
    assert cards.differences(ROOT) == []
    text = ''.join(page.read_text(encoding='utf-8') for page in cards.pages(ROOT))
    assert text.count('<!-- figures') == text.count('<!-- end -->') > 15


def test_every_result_is_of_a_gin_file_and_stands_on_a_page():
    pages = [page.read_text(encoding='utf-8') for page in cards.pages(ROOT)]
    assert pages
    paths = sorted((ROOT / 'results').rglob('*.json'))
    assert len(paths) > 100
    for path in paths:
        name = path.relative_to(ROOT / 'results').as_posix()[:-5]
        found = result.read(path)
        gin_file = found.facts.get('gin_file', f'gin_configs/{name}.gin')
        assert 'command' in found.facts or (ROOT / gin_file).exists(), name
        assert {'hardware'} <= set(found.facts), name


@pytest.fixture(name='root')
def _root(tmp_path):
    (tmp_path / 'research' / 'p').mkdir(parents=True)
    (tmp_path / 'results' / 'p').mkdir(parents=True)
    (tmp_path / 'results' / 'p' / 'a.json').write_text(
        json.dumps(
            {
                'version': 1,
                'metrics': {
                    'error': {'mean': 1.125, 'std': 0.5, 'count': 20},
                    'fid': {'values': [11.8, 12.6]},
                },
                'facts': {'time': '62 min'},
            }
        )
    )
    (tmp_path / 'gin_configs' / 'p').mkdir(parents=True)
    (tmp_path / 'gin_configs' / 'p' / 'a.gin').write_text(
        'from __gin__ import dynamic_registration\n'
        'from official.core import keras_experiment\n'
        'from official.core import runner\n'
        'runner.Run.experiment = @keras_experiment.KerasExperiment\n'
        "keras_experiment.KerasExperiment.reference = {'cell': 'T', 'error': 1.13, 'std': 0.04}\n"
    )
    (tmp_path / 'table.csv').write_text('game,dqn\npong,18.9\n')
    return tmp_path


@pytest.mark.parametrize('template, made', [
    ("here('p/a')", '1.12 ± 0.50'),
    ("here('p/a', digits=1, of=100)", '1.1 ± 0.5 (20)'),
    ("here('p/a', 'error', of=20)", '1.12 ± 0.50'),
    ("here('p/a', 'fid', 1)", '11.8, 12.6'),
    ("here('p/none')", 'not run'),
    ("'%.3f'|format(value('p/a'))", '1.125'),
    ("fact('p/a', 'time')", '62 min'),
    ("paper('p/a')", '1.13 ± 0.04'),
    ("row('table.csv', 'game', 'pong').dqn", '18.9'),
])  # fmt: skip
def test_functions_of_templates(root, template, made):
    text = f'Error: <!-- figures {{{{ {template} }}}} -->old<!-- end -->.'
    assert cards.rendered(text, cards.Figures(root)) == text.replace('old', made)


def test_a_passage_that_is_out_of_step_is_named_and_mended(root):
    page = root / 'research' / 'p' / 'README.md'
    page.write_text(
        "<!-- figures\n| error |\n| --- |\n| {{ here('p/a') }} |\n-->\n\n| old |\n\n<!-- end -->\n"
    )
    (difference,) = cards.differences(root)
    assert difference.startswith("research/p/README.md: '| old |' should be '| error |")
    cards.fix(root)
    assert cards.differences(root) == []
    assert page.read_text().endswith('-->\n\n| error |\n| --- |\n| 1.12 ± 0.50 |\n\n<!-- end -->\n')


@pytest.mark.parametrize('template, says', [
    ("here('p/a', 'loss')", r"a\.json has no metric 'loss'"),
    ("fact('p/a', 'date')", r"a\.json has no fact 'date'"),
    ("paper('p/a', 'loss')", r"gin_configs/p/a\.gin: reference has no 'loss'"),
    ("row('table.csv', 'game', 'qbert')", "table.csv has no row with game = 'qbert'"),
    ('nothing', re.escape("'{{ nothing }}': 'nothing' is undefined")),
])  # fmt: skip
def test_what_a_template_names_wrongly_is_said(root, template, says):
    with pytest.raises(ValueError, match=says):
        cards.rendered(f'<!-- figures {{{{ {template} }}}} -->x<!-- end -->', cards.Figures(root))
