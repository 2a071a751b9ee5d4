import io
import json
import os
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from official.core import figures, page, report, run_folder
from tests.official.core import html_page


def write_run(run_dir, error=1.25, **result):
    os.makedirs(run_dir, exist_ok=True)
    with open(os.path.join(run_dir, 'result.json'), 'w') as f:
        json.dump(
            {
                'step': 300,
                'seed': 5,
                'test_error_percent': error,
                'class_names': ['cat', 'dog'],
                'confusion_matrix': [[61, 7], [13, 59]],
                'train_seconds': 125.0,
                **result,
            },
            f,
        )
    with open(os.path.join(run_dir, 'history.jsonl'), 'w') as f:
        for step in (100, 200, 300):
            f.write(
                json.dumps(
                    {
                        'step': step,
                        'loss': 100.0 / step,
                        'test_error_percent': error * 300 / step,
                        'learning_rate': 0.001,
                        'train_seconds': step / 10,
                    }
                )
                + '\n'
            )
    return str(run_dir)


def parsed(run_dir, title='A title', sections=()):
    with open(report.run_report(run_dir, title, sections)) as f:
        return html_page.Parsed(f.read())


def test_numbers_matrix_facts_and_configuration(tmp_path):
    run_dir = write_run(
        tmp_path,
        reference={'cell': 'Table 7, 100 labels', 'test_error_percent': 1.13, 'std': 0.04},
        baseline={'test_error_percent': 21.74, 'seed': 5, 'step': 300},
    )
    (tmp_path / 'operative_config.gin').write_text('model.Network.width = 17 < 18\n')
    words = parsed(run_dir, 'Ladders & <b>rungs</b>').words
    for expected in (
        'Ladders & <b>rungs</b>',
        '1.25 %',
        '21.74 %',
        '1.13 %',
        'Table 7, 100 labels',
        'cat',
        'dog',
        '61',
        '7',
        '13',
        '59',
        '2 min 5 s',
        'model.Network.width = 17 < 18',
        '0.12 percentage points above',
    ):
        assert expected in words, expected
    # 7 of 68 cats and 13 of 72 dogs are wrong.
    assert '10.29 %' in words and '18.06 %' in words


def test_on_what_was_measured_stands_below_the_numbers(tmp_path):
    words = parsed(write_run(tmp_path, measured_on='2 sets of <n> samples')).words
    assert 'Measured on 2 sets of <n> samples.' in words


def test_costs_below_zero_are_drawn_on_a_linear_axis(tmp_path):
    def curve():
        drawings = [
            html_page.decoded(source)[1].decode()
            for source in parsed(tmp_path).sources
            if 'svg' in source
        ]
        (drawing,) = [drawing for drawing in drawings if 'curve-loss' in drawing]
        return re.search(r'id="curve-loss">\s*<path d="([^"]*)"', drawing)[1]

    write_run(tmp_path)
    path = tmp_path / 'history.jsonl'
    path.write_text(path.read_text().replace('"loss": 0.5', '"loss": -1.0'))
    # Three values; on a logarithmic axis the one below 0 would be left out.
    assert len(re.findall('[ML] ', curve())) == 3


def test_everything_is_inside_the_page_and_every_picture_shows_something(tmp_path):
    image = np.linspace(0, 1, 48).reshape(6, 8)
    grid = figures.image_grid([[image, 1 - image]], ['row <1>'], ['a', 'b'])
    page_ = parsed(write_run(tmp_path), sections=[page.Section('Pictures & more', grid)])
    assert all(link.startswith('#') for link in page_.links)
    assert 'script' not in page_.tags and 'link' not in page_.tags
    kinds = []
    for source in page_.sources:
        kind, data = html_page.decoded(source)
        kinds.append(kind)
        if kind == 'png':
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert('L'))
            assert pixels.shape == (6, 8) and pixels.std() > 50
        else:
            assert data.count(b'<path') > 5 and b'http://www.w3.org/2000/svg' in data
    # Charts of errors, costs and learning rate; no chart of the time, which is a fact of the run.
    assert kinds == ['svg+xml'] * 3 + ['png'] * 2
    assert 'row <1>' in page_.words and 'Pictures & more' in page_.words


def test_a_numeral_is_set_to_the_right_as_it_is():
    text = page.table([('a', page.Numeral('8.0'))], ('name', 'value'))
    assert '<td class=number>8.0</td>' in text and '<th class=number>value</th>' in text


def test_the_same_run_gives_the_same_bytes(tmp_path):
    run_dir = write_run(tmp_path)
    pages = [pathlib.Path(report.run_report(run_dir, 'x')).read_bytes() for _ in range(2)]
    assert pages[0] == pages[1]


def test_confusion_matrix_cells_stand_in_their_rows():
    text = page.confusion_matrix([[50, 0, 3], [1, 40, 2], [0, 0, 0]], ['a', '<b>', 'c & d'])
    rows = [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row) for row in text.split('<tr>')[1:]]
    assert rows == [
        ['true \\ predicted', 'a', '&lt;b&gt;', 'c &amp; d', 'error'],
        ['a', '50', '0', '3', '5.66 %'],
        ['&lt;b&gt;', '1', '40', '2', '6.98 %'],
        ['c &amp; d', '0', '0', '0', ''],
    ]
    with pytest.raises(ValueError, match='2 rows .* does not fit 3 class names'):
        page.confusion_matrix([[1, 2], [3, 4]], ['a', 'b', 'c'])


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    matrix = np.diag(np.full(40, 9)).tolist()
    matrix[3][17], matrix[20][4] = 5, 8
    words = html_page.Parsed(page.confusion_matrix(matrix, [f'class{c}' for c in range(40)])).words
    assert 'class20 class4 8 class3 class17 5 The 2 most frequent' in words


@pytest.mark.parametrize(
    'reference, sentence',
    [
        (
            {'test_error_percent': 1.0, 'std': 0.5},
            "0.25 percentage points above the paper's, within",
        ),
        ({'test_error_percent': 1.75, 'std': 0.2}, "below the paper's, 2.5 of its standard"),
        ({'test_error_percent': 1.25}, "equals the paper's"),
        # Another data set than the paper's: both numbers, and no comparison.
        ({'test_error_percent': 1.13, 'note': 'on MNIST'}, None),
        ({}, None),
    ],
)
def test_the_comparison_with_the_paper(reference, sentence):
    result = {'step': 1, 'seed': 0, 'test_error_percent': 1.25, 'test_loss': 0.5}
    words = html_page.Parsed(
        report.measured_against_paper({**result, 'reference': reference})
    ).words
    assert '1.25 %' in words and 'test loss' in words
    assert ("the paper's" in words) == (sentence is not None) and (sentence or '') in words
    assert ('on MNIST' in words) == ('note' in reference)


def test_text_of_the_run_is_never_markup(tmp_path):
    evil = '<script src="http://x">&'
    run_dir = write_run(
        tmp_path,
        class_names=[evil, 'dog'],
        reference={'cell': evil, 'test_error_percent': 1.0},
        baseline={'test_error_percent': 2.0, evil: 3.0},
    )
    (tmp_path / 'operative_config.gin').write_text(evil)
    page_ = parsed(run_dir, evil, [page.Section(evil, page.table([[evil, 1]], [evil, evil]))])
    assert 'script' not in page_.tags and page_.words.count(evil) >= 7


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = str(tmp_path / 'report.html')
    page.write_report(path, 'old', '', [])

    def fails(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fails)
    with pytest.raises(OSError, match='disk full'):
        page.write_report(path, 'new', '', [])
    assert os.listdir(tmp_path) == ['report.html'] and '<h1>old' in pathlib.Path(path).read_text()


@pytest.mark.parametrize(
    'seconds, text',
    [
        (0.04, '0.0 s'),
        (59.9, '59.9 s'),
        (60, '1 min 0 s'),
        (3599.6, '1 h 0 min'),
        (7500, '2 h 5 min'),
        (float('nan'), 'unknown'),
    ],
)
def test_durations(seconds, text):
    assert report.duration(seconds) == text


def test_several_seeds(tmp_path):
    for seed, error in enumerate((1.0, 1.5, 2.0), 7):
        write_run(tmp_path / f'seed_{seed}', error)
    with open(tmp_path / 'result.json', 'w') as f:
        json.dump(
            {
                'num_seeds': 3,
                'seeds': [7, 8, 9],
                'test_error_percent': {
                    'mean': 1.51,
                    'std': 0.52,
                    'median': 1.53,
                    'values': [1.0, 1.5, 2.0],
                },
            },
            f,
        )
    page_ = parsed(str(tmp_path))
    for expected in ('1.51 %', '0.52', '1.53', '7 1.00 % 8 1.50 % 9 2.00 %'):
        assert expected in page_.words, expected
    assert len(page_.sources) >= 2


def test_what_is_missing_or_damaged_is_named(tmp_path):
    run_dir = write_run(tmp_path)
    with open(tmp_path / 'history.jsonl', 'a') as f:
        f.write('{"loss": 3}\n')
    with pytest.raises(ValueError, match='history.jsonl, line 4, is not a JSON object with'):
        report.run_report(run_dir, 'x')
    os.remove(tmp_path / 'history.jsonl')
    with pytest.raises(FileNotFoundError, match='has no history.jsonl: train the run'):
        report.run_report(run_dir, 'x')
    (tmp_path / 'result.json').write_text('{"step": ')
    with pytest.raises(ValueError, match='result.json is damaged: it is not valid JSON'):
        report.run_report(run_dir, 'x')
    write_run(tmp_path, confusion_matrix=[[1, 2]])
    with pytest.raises(ValueError, match='result.json is not the result of a run: .*confusion'):
        report.run_report(run_dir, 'x')
    os.remove(tmp_path / 'result.json')
    with pytest.raises(FileNotFoundError, match='result.json does not exist: evaluate the run'):
        report.run_report(run_dir, 'x')


def test_losses_that_no_axis_spans_end_no_report(tmp_path):
    run_dir = write_run(tmp_path)
    path = tmp_path / 'history.jsonl'
    path.write_text(
        path.read_text()
        .replace('"loss": 0.5', '"loss": -1e308')
        .replace('"loss": 1.0', '"loss": 1e308')
    )
    words = parsed(run_dir).words
    assert 'Curves' in words and 'Not drawn' not in words


def test_a_chart_that_fails_is_named_and_the_rest_is_there(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise ZeroDivisionError('no scale')

    monkeypatch.setattr(figures, 'curves', fails)
    words = parsed(write_run(tmp_path)).words
    assert 'The curves could not be drawn: ZeroDivisionError: no scale' in words
    assert '1.25 %' in words and 'Confusion matrix' in words


def test_the_result_of_another_run_is_refused(tmp_path):
    run_dir = str(tmp_path / 'run')
    with run_folder.claim(run_dir, run_folder.Identity(5, False, {'a': '1'})):
        write_run(run_dir, run=run_folder.name_of(run_dir))
        report.run_report(run_dir, 'x')
        write_run(run_dir, run='seed 5, 0123456789ab')
        with pytest.raises(ValueError, match=r'result.json belongs to another run \(seed 5, 01234'):
            report.run_report(run_dir, 'x')


def test_pages_are_as_wide_as_a_telephone():
    """Only what scrolls by itself, the tables, may refuse to break its lines."""
    rules = re.findall(r'([^{}]+){([^{}]*)}', page._STYLE)
    wide = {selector.strip() for selector, body in rules if re.search('white-space: nowrap', body)}
    assert wide == {'.confusion th'}
    # Titles of sections are whole in the list of links where they fit, and break where not.
    (links,) = (body for selector, body in rules if selector.strip() == 'nav a')
    assert 'display: inline-block' in links
