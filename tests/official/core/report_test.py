import base64
import html.parser
import io
import json
import os
import re
import sys

import numpy as np
from PIL import Image
import pytest

from official.core import figures
from official.core import page
from official.core import report


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
        json.dump({'step': 300, 'seed': 5, 'test_error_percent': error, 'class_names': ['cat', 'dog'],
                   'confusion_matrix': [[61, 7], [13, 59]], 'train_seconds': 125.0, **result}, f)
    with open(os.path.join(run_dir, 'history.jsonl'), 'w') as f:
        for step in (100, 200, 300):
            f.write(json.dumps({
                'step': step, 'loss': 100.0 / step, 'test_error_percent': error * 300 / step,
                'learning_rate': 0.001, 'train_seconds': step / 10}) + '\n')
    return str(run_dir)


def parsed(run_dir, title='A title', sections=()):
    with open(report.run_report(run_dir, title, sections)) as f:
        return Parsed(f.read())


def decoded(source):
    kind, data = re.fullmatch(r'data:image/([a-z+]+);base64,(.*)', source).groups()
    return kind, base64.b64decode(data)


def test_numbers_matrix_facts_and_configuration(tmp_path):
    run_dir = write_run(tmp_path, reference={
        'cell': 'Table 7, 100 labels', 'test_error_percent': 1.13, 'std': 0.04},
        baseline={'test_error_percent': 21.74, 'seed': 5, 'step': 300})
    (tmp_path / 'operative_config.gin').write_text('model.Network.width = 17 < 18\n')
    words = parsed(run_dir, 'Ladders & <b>rungs</b>').words
    for expected in ('Ladders & <b>rungs</b>', '1.25 %', '21.74 %', '1.13 %', 'Table 7, 100 labels',
                     'cat', 'dog', '61', '7', '13', '59', '2 min 5 s',
                     'model.Network.width = 17 < 18', '0.12 percentage points above'):
        assert expected in words, expected
    # 7 of 68 cats and 13 of 72 dogs are wrong.
    assert '10.29 %' in words and '18.06 %' in words


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
    source, = Parsed(figures.image_grid([[image]], ['r'], ['c'])).sources
    pixels = np.asarray(Image.open(io.BytesIO(decoded(source)[1])).convert('L'))
    np.testing.assert_allclose(pixels, [[0, 127.5], [255, 255]], atol=1)


def test_several_seeds(tmp_path):
    for seed, error in enumerate((1.0, 1.5, 2.0)):
        write_run(tmp_path / f'seed_{seed}', error)
    with open(tmp_path / 'result.json', 'w') as f:
        json.dump({'num_seeds': 3, 'seeds': [0, 1, 2], 'test_error_percent': {
            'mean': 1.51, 'std': 0.52, 'median': 1.53, 'values': [1.0, 1.5, 2.0]}}, f)
    page_ = parsed(str(tmp_path))
    for expected in ('1.51 %', '0.52', '1.53', '2.00 %'):
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
    with pytest.raises(ValueError, match='result.json is not valid JSON: line 1'):
        report.run_report(run_dir, 'x')
    os.remove(tmp_path / 'result.json')
    with pytest.raises(FileNotFoundError, match='result.json does not exist: evaluate the run'):
        report.run_report(run_dir, 'x')


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
