import errno
import os
import pathlib
import re

import pytest
import tensorflow as tf

from official.core import errors, files


def _full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sentence(function):
    """The sentence of the launcher for what a function raises."""
    with pytest.raises(OSError) as caught:
        function()
    text = errors.sentence(caught.value)
    assert text is not None
    return text


def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch):
    path = str(tmp_path / 'result.json')
    files.write_text(path, 'old')
    monkeypatch.setattr(os, 'fsync', _full)
    text = _sentence(lambda: files.write_text(path, 'new'))
    assert re.fullmatch(
        rf'{path} cannot be written: the disk is full, [0-9.e+]+ [KMGT]?B are free\.', text
    )
    assert os.listdir(tmp_path) == ['result.json'] and pathlib.Path(path).read_text() == 'old'


def test_other_reasons_and_what_is_still_there(tmp_path):
    text = _sentence(lambda: files.write_text(str(tmp_path / 'none' / 'x'), ''))
    assert text.endswith('x cannot be written: no such file or directory.')

    def tensorflow_writes():
        with files.writing('runs/x', 'Step 3 is there.'):
            raise tf.errors.ResourceExhaustedError(None, None, 'runs/x; No space left on device')

    assert re.fullmatch(
        r'runs/x cannot be written: the disk is full, .* are free\. Step 3 is '
        r'there\.',
        _sentence(tensorflow_writes),
    )


def test_a_bug_while_writing_stays_a_bug():
    with pytest.raises(KeyError), files.writing('x'):
        {}['a']


def test_the_unit_of_the_free_space(monkeypatch, tmp_path):
    for free, expected in ((7, '7 B'), (40_000, '40 KB'), (3_210_000_000_000, '3.21 TB')):
        usage = type('Usage', (), {'free': free})
        monkeypatch.setattr(files.shutil, 'disk_usage', lambda path, usage=usage: usage)
        assert files.free_space(str(tmp_path / 'not' / 'yet')) == expected


@pytest.mark.parametrize(
    'content, expected',
    [
        (b'{"a": ', 'is damaged: it is not valid JSON'),
        (b'null', 'is damaged: it does not hold a JSON object.'),
        (b'[]', 'is damaged: it does not hold a JSON object.'),
        (b'\xff{}', 'is damaged: it is not a text in UTF-8'),
        (b'[' * 100_000, 'is damaged: its JSON is nested too deeply.'),
        (None, 'is damaged: it is a folder, not a file.'),
    ],
)
def test_damaged_json(tmp_path, content, expected):
    path = tmp_path / 'run.json'
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f'^{path} {expected}') as caught:
        files.read_json(str(path))
    assert errors.sentence(caught.value)
