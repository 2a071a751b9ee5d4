"""Indexing and searching a folder of shop images.

With an exported Match R-CNN: conformance_test.py.
"""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official.core import gin_source
from research.match_rcnn import gallery


class _Model(tf.Module):
    """Finds one item in an image: its embedding is the mean colour, its score the mean."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, 'files')])
    def detect(self, files):
        image = (
            tf.cast(tf.io.decode_image(files[0], channels=3, expand_animations=False), tf.float32)
            / 255
        )
        mean = tf.reduce_mean(image, [0, 1])
        # A second detection is padding.
        return {
            'boxes': tf.constant([[[0.0, 0, 8, 8], [0, 0, 0, 0]]]),
            'classes': tf.constant([[2, 0]]),
            'names': tf.constant([['vest', '']]),
            'scores': tf.stack([tf.stack([tf.maximum(tf.reduce_mean(mean), 0.01), 0.0])]),
            'embeddings': tf.stack([tf.stack([mean, tf.zeros(3)])]),
        }

    @tf.function(
        input_signature=[tf.TensorSpec([None, 3], tf.float32, name) for name in ('v1', 'v2')]
    )
    def similarity(self, v1, v2):
        return {'probability': tf.exp(-tf.reduce_sum(tf.square(v1 - v2), -1))}


COLORS = {
    'red': (250, 30, 30),
    'dark_red': (200, 20, 20),
    'green': (20, 250, 20),
    'blue': (30, 30, 250),
    'black': (2, 2, 2),
}


def _write(path, color):
    pixels = np.full([16, 12, 3], color, np.uint8)
    with open(path, 'wb') as file:
        file.write(tf.io.encode_png(pixels).numpy())


@pytest.fixture(name='setting')
def make_setting(tmp_path):
    model = _Model()
    tf.saved_model.save(
        model,
        str(tmp_path / 'model'),
        signatures={'detect': model.detect, 'similarity': model.similarity},
    )
    os.makedirs(tmp_path / 'shop' / 'more')
    for name, color in COLORS.items():
        where = tmp_path / 'shop' / ('more' if name == 'red' else '')
        _write(where / f'{name}.png', color)
    _write(tmp_path / 'query.png', (255, 0, 0))
    return functools.partial(
        gallery.Gallery,
        str(tmp_path / 'run'),
        images_dir=str(tmp_path / 'shop'),
        saved_model=str(tmp_path / 'model'),
    )


def search_of(setting, tmp_path, **arguments):
    query = str(tmp_path / 'query.png')
    return setting().search(**{'query': query, 'matches': 3, 'least_score': 0.05, **arguments})


def test_the_nearest_come_first(setting, tmp_path, capsys):
    (tmp_path / 'shop' / 'more' / 'moving.gif').write_bytes(b'')
    _write(tmp_path / 'shop' / 'more' / '._red.png', (255, 0, 0))
    os.makedirs(tmp_path / 'shop' / '.thumbnails')
    _write(tmp_path / 'shop' / '.thumbnails' / 'red.png', (255, 0, 0))
    search = setting()
    search.update()
    assert (
        'left out, as hidden or none of .jpg, .jpeg, .png, .bmp: 2 x, more/._red.png, '
        'more/moving.gif\n'
    ) in capsys.readouterr().err
    result = search_of(setting, tmp_path)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith('query.png, vest; probability of a match:')
    assert printed[1].endswith(f'{result["matches"][0]["similarity"]:.3f}  more/red.png')
    assert printed[-1] == str(tmp_path / 'run' / 'matches.png')
    files = [match['file'] for match in result['matches']]
    assert files[:2] == ['more/red.png', 'dark_red.png'] and len(files) == 3
    difference = np.array(COLORS['red']) / 255 - [1, 0, 0]
    assert result['matches'][0]['similarity'] == pytest.approx(
        np.exp(-np.square(difference).sum()), rel=1e-4
    )
    assert result['items'] == 5 and 'black.png' not in files  # Its score is too low.
    assert os.path.getsize(tmp_path / 'run' / 'matches.png') > 500
    with open(search.report(result), encoding='utf-8') as page:
        assert 'more/red.png' in page.read()


def test_only_new_images_are_looked_at(setting, tmp_path, monkeypatch):
    setting().update()
    _write(tmp_path / 'shop' / 'pink.png', (255, 5, 5))
    os.remove(tmp_path / 'shop' / 'green.png')
    search = setting()
    looked_at = []
    detect = search._detect
    monkeypatch.setattr(search, '_detect', lambda path: looked_at.append(path) or detect(path))
    search.update()
    assert [os.path.basename(path) for path in looked_at] == ['pink.png']
    result = search_of(setting, tmp_path)
    assert [match['file'] for match in result['matches']][:2] == ['pink.png', 'more/red.png']
    assert result['images'] == 5


def test_an_index_of_other_images_is_made_anew(setting, tmp_path, capsys):
    setting().update()
    (tmp_path / 'other').mkdir()
    _write(tmp_path / 'other' / 'pink.png', (255, 5, 5))
    search = setting(images_dir=str(tmp_path / 'other'))
    assert 'anew' not in capsys.readouterr().err
    search.update()
    assert 'the index is of other images, or of changed ones' in capsys.readouterr().err
    assert search.search(str(tmp_path / 'query.png'))['images'] == 1


def test_an_image_that_has_gone_is_named(setting, tmp_path):
    setting().update()
    os.remove(tmp_path / 'shop' / 'dark_red.png')
    with pytest.raises(FileNotFoundError, match='dark_red.png is in the index and no longer there'):
        search_of(setting, tmp_path)


def test_damaged_images_are_skipped_and_named(setting, tmp_path, capsys):
    (tmp_path / 'shop' / 'broken.jpg').write_bytes(b'\xff\xd8\xff nothing')
    search = setting()
    search.update()
    assert 'broken.jpg cannot be read' in capsys.readouterr().err
    assert search_of(setting, tmp_path)['damaged'] == ['broken.jpg']


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'images_dir': 'nowhere'}, '--images_dir=nowhere is not a folder'),
        ({'saved_model': 'nowhere'}, '--saved_model=nowhere: there is no exported model'),
    ],
)
def test_what_is_missing_is_named(setting, arguments, message):
    with pytest.raises(FileNotFoundError, match=message):
        setting(**arguments)


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'query': 'nowhere.jpg'}, '--query=nowhere.jpg: there is no such file'),
        ({'least_score': 2}, r'search.least_score = 2 is outside \[0, 1\]'),
        ({'matches': 0}, 'search.matches = 0 must be a whole number of at least 1'),
    ],
)
def test_what_cannot_be_searched_is_named(setting, tmp_path, arguments, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        search_of(setting, tmp_path, **arguments)


def test_a_query_without_the_class_or_no_image_is_refused(setting, tmp_path):
    with pytest.raises(FileNotFoundError, match='has no index; update it first'):
        search_of(setting, tmp_path, query_class='skirt')
    setting().update()
    with pytest.raises(ValueError, match='no skirt is found in it; there is vest'):
        search_of(setting, tmp_path, query_class='skirt')
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'nothing')
    with pytest.raises(ValueError, match='broken.jpg cannot be read as an image'):
        search_of(setting, tmp_path, query=str(broken))


def test_the_command(setting, tmp_path):
    """The flags arrive, and a mistake is one sentence."""
    del setting
    command = [
        sys.executable, '-m', 'research.match_rcnn.gallery', f'--images_dir={tmp_path}/shop',
        f'--saved_model={tmp_path}/model', f'--index_dir={tmp_path}/run',
    ]  # fmt: skip
    environ = {**os.environ, 'PYTHONPATH': gin_source.ROOT}
    run = functools.partial(subprocess.run, env=environ, capture_output=True, text=True)
    done = run([*command, f'--query={tmp_path}/query.png', '--matches=1'])
    lines = done.stdout.splitlines()
    assert lines[1].endswith('  more/red.png') and len(lines) == 4, done.stderr
    assert lines[-1] == str(tmp_path / 'run' / 'report.html')
    assert run([*command, '--query=none.jpg']).stderr.splitlines()[-1] == (
        'error: --query=none.jpg: there is no such file.'
    )
