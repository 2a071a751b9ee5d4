import base64
import html.parser
import io
import json
import os
import pathlib
import re
import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

from official.core import figures, page, report, run_folder


class Parsed(html.parser.HTMLParser):
    """Text, images and references of a page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.sources, self.links, self.tags, self.open = [], [], [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        if tag not in ('img', 'meta', 'br', 'link', 'input'):
            self.open.append(tag)
        self.sources += [attributes['src']] if 'src' in attributes else []
        self.links += [attributes['href']] if 'href' in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return re.sub(r'\s+', ' ', ' '.join(self.text))


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
        return Parsed(f.read())


def decoded(source):
    kind, data = re.fullmatch(r'data:image/([a-z+]+);base64,(.*)', source).groups()
    return kind, base64.b64decode(data)


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
            decoded(source)[1].decode() for source in parsed(tmp_path).sources if 'svg' in source
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
        kind, data = decoded(source)
        kinds.append(kind)
        if kind == 'png':
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert('L'))
            assert pixels.shape == (6, 8) and pixels.std() > 50
        else:
            assert data.count(b'<path') > 5 and b'http://www.w3.org/2000/svg' in data
    # Charts of errors, costs and learning rate; no chart of the time, which is a fact of the run.
    assert kinds == ['svg+xml'] * 3 + ['png'] * 2
    assert 'row <1>' in page_.words and 'Pictures & more' in page_.words


def test_the_pixels_of_an_image_are_its_values(tmp_path):
    image = np.array([[0.0, 0.5], [1.0, 2.0]])
    (source,) = Parsed(figures.image_grid([[image]], ['r'], ['c'])).sources
    pixels = np.asarray(Image.open(io.BytesIO(decoded(source)[1])).convert('L'))
    np.testing.assert_allclose(pixels, [[0, 127.5], [255, 255]], atol=1)


def png(source):
    return np.asarray(Image.open(io.BytesIO(decoded(source)[1])))


def test_pixels_of_photographs_are_kept_to_the_last_bit():
    grey, colours = np.arange(256).reshape(16, 16), np.arange(768).reshape(16, 16, 3) % 256
    images = [grey[..., None] / 255, colours / 255]
    text = figures.image_grid([images], ['r'], ['a', 'b'], large=True)
    assert 'class="images large"' in text
    for source, expected in zip(Parsed(text).sources, (grey, colours), strict=True):
        np.testing.assert_array_equal(png(source), expected)


def test_a_cell_without_an_image_is_empty_and_keeps_its_place():
    image = np.full((2, 2), 0.2)
    text = figures.image_grid([[image, None, image / 2]], ['r'], ['a', '', ''])
    first, second, third = re.findall('<td>(.*?)</td>', text)
    assert not second and 'alt="a, r"' in first and 'alt="r"' in third
    assert [png(source)[0, 0] for source in Parsed(text).sources] == [51, 26]


def test_a_grid_of_images_is_one_image_with_white_between(tmp_path):
    images = np.random.RandomState(0).randint(0, 255, (2, 3, 4, 5, 1)) / 255
    grid = figures.grid_image(images, gap=1)
    assert grid.shape == (9, 17, 1)
    for row in range(2):
        for column in range(3):
            np.testing.assert_array_equal(
                grid[5 * row : 5 * row + 4, 6 * column : 6 * column + 5], images[row, column]
            )
    assert (grid[4] == 1).all() and (grid[:, [5, 11]] == 1).all()
    figures.write_png(str(tmp_path / 'grid.png'), grid)
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / 'grid.png')) / 255, grid[..., 0])


def test_a_numeral_is_set_to_the_right_as_it_is():
    text = page.table([('a', page.Numeral('8.0'))], ('name', 'value'))
    assert '<td class=number>8.0</td>' in text and '<th class=number>value</th>' in text


def test_curves_of_the_same_colour_have_different_dashes():
    keys = [f'value {key}' for key in 'abcdefghijklmnop']
    history = [{'step': step, **dict.fromkeys(keys, step)} for step in (1, 2)]
    text = figures.curves(history, keys, 'T')
    svg = xml.etree.ElementTree.fromstring(decoded(Parsed(text).sources[0])[1])
    styles = []
    for key in keys:
        (group,) = (g for g in svg.iter() if g.get('id') == f'curve-{key}')
        style = next(child.get('style') for child in group if child.get('d'))
        styles.append(
            (
                re.search('stroke: ([^;]*)', style).group(1),
                ''.join(re.findall('stroke-dasharray: ([^;]*)', style)),
            )
        )
    assert len(set(styles)) == 16 and len({color for color, _ in styles}) == 7


def drawn(text, gid):
    """The points [n, 2] of the curve `gid` in the one chart of `text`, y upwards."""
    (source,) = Parsed(text).sources
    kind, data = decoded(source)
    assert kind == 'svg+xml'
    (group,) = (g for g in xml.etree.ElementTree.fromstring(data).iter() if g.get('id') == gid)
    path = next(child.get('d') for child in group if child.get('d'))
    points = np.array(re.findall(r'[ML] (\S+) (\S+)', path), np.float64)
    return points * (1, -1)


def test_curves_are_drawn_where_their_values_are():
    history = [
        {'step': 0, 'cost': 100.0},
        {'step': 100, 'cost': 10.0, 'other': 3.0},
        {'step': 400, 'cost': 0.1},
    ]
    for log in (False, True):
        text = figures.curves(
            history,
            ['cost'],
            'Cost',
            log=log,
            compare={'baseline': [{'step': 0, 'cost': 10.0}, {'step': 400, 'cost': 100.0}]},
        )
        x, y = drawn(text, 'curve-cost').T
        assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(1 / 4, rel=1e-4)
        # From 100 to 0.1 are three decades, and the first of them is a third of the way.
        share = 1 / 3 if log else 90 / 99.9
        assert (y[1] - y[0]) / (y[2] - y[0]) == pytest.approx(share, rel=1e-4)
        other = drawn(text, 'curve-baseline-cost')
        np.testing.assert_allclose(other, [[x[0], y[1]], [x[2], y[0]]], rtol=1e-5)


def test_values_that_cannot_be_drawn_leave_a_gap():
    values = [4.0, None, float('nan'), 0.0, -1.0, float('inf'), 2.0, 1.0]
    history = [{'step': step, 'cost': value} for step, value in enumerate(values)]
    x, y = drawn(figures.curves(history, ['cost'], 'Cost', log=True), 'curve-cost').T
    assert len(x) == 3 and y[0] - y[1] == pytest.approx(y[1] - y[2], rel=1e-4)
    nothing = figures.curves([{'step': 1, 'cost': float('nan')}], ['cost'], 'Cost', log=True)
    assert Parsed(nothing).sources


def test_long_curves_are_thinned_but_keep_their_ends():
    history = [{'step': step, 'cost': (step % 7) + 1.0} for step in range(50_000)]
    text = figures.curves(history, ['cost'], 'Cost')
    assert len(text) < 100_000
    x, _ = drawn(text, 'curve-cost').T
    assert 400 < len(x) <= 800 and x[-1] == x.max()


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
    words = Parsed(page.confusion_matrix(matrix, [f'class{c}' for c in range(40)])).words
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
    words = Parsed(report.measured_against_paper({**result, 'reference': reference})).words
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


def test_the_points_of_a_strip_plot_are_the_values():
    text = figures.strip_plot(
        {'measured': {'mean': 2.0, 'std': 1.0, 'median': 1.0, 'values': [1.0, 1.0, 4.0]}},
        'Error',
        '%',
    )
    (source,) = Parsed(text).sources
    (group,) = (
        g
        for g in xml.etree.ElementTree.fromstring(decoded(source)[1]).iter()
        if g.get('id') == 'values-0'
    )
    points = np.array(
        [[float(use.get(axis)) for axis in 'xy'] for use in group.iter() if use.tag.endswith('use')]
    )
    assert points[0, 0] == points[1, 0] < points[2, 0]
    assert len(np.unique(points[:, 1])) == 3, 'equal values hide each other'


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
