"""Files that are whole or not there, local or remote, and one sentence where writing fails."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from typing import BinaryIO

PARTIAL = '.partial'
_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_remote(path: str) -> bool:
    """Returns True for the path of an object store, such as `gs://bucket/run`."""
    return '://' in path


@contextlib.contextmanager
def writing(path: str, kept: str = '') -> Iterator[None]:
    """Turns the errors of a full or broken disk into a sentence, TensorFlow's errors too.

    Args:
      path: file or folder that is written inside.
      kept: a sentence for the end: what is still there.

    Raises:
      OSError: if writing fails; the message names the folder, the reason and the free space.
    """
    try:
        yield
    except Exception as error:
        reason = _reason(error, path)
        if reason is None:
            raise
        raise OSError(
            ' '.join(filter(None, [f'{path} cannot be written: {reason}.', kept]))
        ) from error


def write_text(path: str, text: str) -> None:
    """Writes a file whole or not at all.

    Raises:
      OSError: see `writing`; the file that was there before stays.
    """
    partial = path + PARTIAL
    with writing(path):
        if is_remote(path):
            import tensorflow as tf

            with tf.io.gfile.GFile(partial, 'w') as f:
                f.write(text)
            tf.io.gfile.rename(partial, path, overwrite=True)
            return
        try:
            with open(partial, 'w', encoding='utf-8') as f:
                f.write(text)
                f.flush()
                os.fsync(f.fileno())
            os.replace(partial, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.remove(partial)
            raise


def read_text(path: str) -> str:
    """Returns the text of a file.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is not a text in UTF-8, or a folder.
    """
    if is_remote(path):
        import tensorflow as tf

        with tf.io.gfile.GFile(path, 'rb') as f:
            content = f.read()
    else:
        if os.path.isdir(path):
            raise ValueError(f'{path} is damaged: it is a folder, not a file.')
        if not os.path.exists(path):
            raise FileNotFoundError(f'{path} does not exist.')
        with open(path, 'rb') as f:
            content = f.read()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is damaged: it is not a text in UTF-8 ({error}).') from None


def read_json(path: str) -> dict:
    """Returns the object in a JSON file.

    Raises:
      FileNotFoundError: if there is no file.
      ValueError: if it does not hold a JSON object.
    """
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is damaged: it is not valid JSON ({error}).') from None
    except RecursionError:
        raise ValueError(f'{path} is damaged: its JSON is nested too deeply.') from None
    if not isinstance(value, dict):
        raise ValueError(f'{path} is damaged: it does not hold a JSON object.')
    return value


def reserve(file: BinaryIO, size: int, what: str, remedy: str = '') -> None:
    """Gives an open file its room on the disk; its contents stay.

    A process that writes to a mapped file ends without a message where the disk is full.

    Args:
      file: open for writing, local.
      size: bytes from its start.
      what: what an error message calls the contents.
      remedy: what else helps than more room, as the end of a sentence.

    Raises:
      OSError: there is no room; the message names both sizes.
    """
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (*_FULL, errno.EFBIG):
            raise
        free = shutil.disk_usage(os.path.dirname(os.path.abspath(file.name))).free
        raise OSError(
            error.errno,
            f'{what} needs {size / 1e9:.2f} GB here and {free / 1e9:.2f} GB of disk '
            f'are free; make room{remedy and f", {remedy}"}',
            file.name,
        ) from error


def _reason(error: Exception, path: str) -> str | None:
    """Returns the reason that a disk gave, or None for an error of another kind."""
    tensorflow = sys.modules.get('tensorflow')
    if isinstance(error, OSError):
        # Without a number it is a sentence of this project already.
        if error.errno is None:
            return None
        return _full(path) if error.errno in _FULL else os.strerror(error.errno).lower()
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    text = error.message.splitlines()[0]
    if isinstance(error, tensorflow.errors.ResourceExhaustedError) or 'No space left' in text:
        return _full(path)
    return text


def _full(path: str) -> str:
    return 'the disk is full' + ('' if is_remote(path) else f', {free_space(path)} are free')


def free_space(path: str) -> str:
    """Returns the free space of the disk that holds `path`, such as '3.2 MB'."""
    there = os.path.abspath(path)
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    size = float(shutil.disk_usage(there).free)
    unit = 'B'
    for larger in ('KB', 'MB', 'GB', 'TB'):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f'{size:.3g} {unit}'
