"""Indexing and searching a folder of shop images, through the experiment that the launcher runs.

With an exported Match R-CNN: conformance_test.py.
"""

import functools
import os

import numpy as np
import pytest
import tensorflow as tf

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
        gallery.GallerySearch,
        str(tmp_path / 'run'),
        data_dir=str(tmp_path / 'shop'),
        saved_model=str(tmp_path / 'model'),
        query=str(tmp_path / 'query.png'),
        query_matches=3,
        query_least_score=0.05,
    )


def test_the_nearest_come_first(setting, tmp_path, capsys):
    (tmp_path / 'shop' / 'more' / 'moving.gif').write_bytes(b'')
    _write(tmp_path / 'shop' / 'more' / '._red.png', (255, 0, 0))
    os.makedirs(tmp_path / 'shop' / '.thumbnails')
    _write(tmp_path / 'shop' / '.thumbnails' / 'red.png', (255, 0, 0))
    search = setting()
    search.train()
    assert (
        'left out, as hidden or none of .jpg, .jpeg, .png, .bmp: 2 x, more/._red.png, '
        'more/moving.gif\n'
    ) in capsys.readouterr().err
    result = search.evaluate()
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
    with open(search.report(), encoding='utf-8') as page:
        assert 'more/red.png' in page.read()
    assert search.export() == str(tmp_path / 'model')


def test_only_new_images_are_looked_at(setting, tmp_path, monkeypatch):
    setting().train()
    _write(tmp_path / 'shop' / 'pink.png', (255, 5, 5))
    os.remove(tmp_path / 'shop' / 'green.png')
    search = setting()
    looked_at = []
    detect = search._detect
    monkeypatch.setattr(search, '_detect', lambda path: looked_at.append(path) or detect(path))
    search.train()
    assert [os.path.basename(path) for path in looked_at] == ['pink.png']
    result = search.evaluate()
    assert [match['file'] for match in result['matches']][:2] == ['pink.png', 'more/red.png']
    assert result['images'] == 5


def test_an_index_of_other_images_is_made_anew(setting, tmp_path, capsys):
    setting().train()
    (tmp_path / 'other').mkdir()
    _write(tmp_path / 'other' / 'pink.png', (255, 5, 5))
    search = setting(data_dir=str(tmp_path / 'other'))
    assert 'anew' not in capsys.readouterr().err
    search.train()
    assert 'the index is of other images, or of changed ones' in capsys.readouterr().err
    assert search.evaluate()['images'] == 1


def test_an_image_that_has_gone_is_named(setting, tmp_path):
    setting().train()
    os.remove(tmp_path / 'shop' / 'dark_red.png')
    with pytest.raises(FileNotFoundError, match='dark_red.png is in the index and no longer there'):
        setting().evaluate()


def test_damaged_images_are_skipped_and_named(setting, tmp_path, capsys):
    (tmp_path / 'shop' / 'broken.jpg').write_bytes(b'\xff\xd8\xff nothing')
    search = setting()
    search.train()
    assert 'broken.jpg cannot be read' in capsys.readouterr().err
    assert search.evaluate()['damaged'] == ['broken.jpg']


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'data_dir': None}, '--data_dir is needed'),
        ({'data_dir': 'nowhere'}, '--data_dir=nowhere is not a folder'),
        ({'saved_model': 'nowhere'}, 'GallerySearch.saved_model = nowhere'),
        ({'query': 'nowhere.jpg'}, 'GallerySearch.query = nowhere.jpg: there is no such file'),
        ({'query_least_score': 2}, 'GallerySearch.query_least_score = 2'),
    ],
)
def test_what_is_missing_is_named(setting, arguments, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        setting(**arguments)


def test_a_query_without_the_class_or_no_image_is_refused(setting, tmp_path):
    search = setting(query_class='skirt')
    with pytest.raises(FileNotFoundError, match='has no index: train first'):
        search.evaluate()
    search.train()
    with pytest.raises(ValueError, match='no skirt is found in it; there is vest'):
        search.evaluate()
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'nothing')
    with pytest.raises(ValueError, match='broken.jpg cannot be read as an image'):
        setting(query=str(broken)).evaluate()
