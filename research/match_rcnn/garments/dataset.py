"""Makes a folder of drawn garments that reads as DeepFashion2 does."""

from __future__ import annotations

import json
import numbers
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import cv2

from research.match_rcnn import annotation_files
from research.match_rcnn.garments import effects, identities, scenes

_VERSION = 1  # Of the drawing: another one draws other pictures of the same seed.
_FINISHED, _BEGUN = 'settings.json', 'unfinished.json'
_FEW = 64  # So many images are not worth starting processes for.


def generate(
    folder: str | os.PathLike,
    seed: int = 0,
    num_identities: Mapping[str, int] | None = None,
    users: int = 4,
    shops: int = 4,
    size: tuple[int, int] = (256, 192),
    supersampling: int = 2,
    workers: int | None = None,
) -> pathlib.Path:
    """Draws a data set, unless the folder has it.

    Files are <folder>/<split>/image/000001.jpg and <folder>/<split>/annos/000001.json, ...; the
    images of an identity follow one another, consumers' first. Their bytes depend on the arguments
    alone (and OpenCV's version), not on `workers`. No identity is in two splits. `settings.json` is
    written last; a run that was stopped goes on where it was.

    Args:
      folder: where to; made if need be.
      seed: of everything in it.
      num_identities: by split, 'train' and 'validation'; None: 200 and 40.
      users: consumers' images of an identity.
      shops: shops' images of an identity.
      size: height, width of the images in pixels.
      supersampling: pixels drawn a pixel of the image, along each axis.
      workers: processes; None: as many as there are cores, where the number of images is worth it.

    Returns:
      The folder.

    Raises:
      ValueError: an argument cannot be right, or the folder has something else in it.
      RuntimeError: a process of the drawing came to a bad end.
    """
    folder = pathlib.Path(folder)
    counts = {'train': 200, 'validation': 40} if num_identities is None else dict(num_identities)
    settings = _checked(
        {
            'version': _VERSION,
            'seed': seed,
            'num_identities': counts,
            'users': users,
            'shops': shops,
            'size': list(size),
            'supersampling': supersampling,
        },
        workers,
    )
    if _is_done(folder, settings):
        return folder
    for split in counts:
        for kind in ('image', 'annos'):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
    _write(folder / _BEGUN, json.dumps(settings).encode())
    images = sum(counts.values()) * (users + shops)
    if images > _FEW:
        print(f'{folder}: drawing {images} images, once.', file=sys.stderr, flush=True)
    if workers is None:
        workers = 1 if images <= _FEW else _cores()
    if workers == 1:
        draw(folder)
    else:
        _draw_in_processes(folder, workers)
    os.replace(folder / _BEGUN, folder / _FINISHED)
    return folder


def _cores():
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked(settings: dict[str, Any], workers: int | None) -> dict[str, Any]:
    def whole(name, value, least):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            raise ValueError(
                f'generate: {name} = {value!r} must be a whole number of at least {least}.'
            )

    whole('seed', settings['seed'], 0)
    whole('users', settings['users'], 1)
    whole('shops', settings['shops'], 1)
    whole('supersampling', settings['supersampling'], 1)
    if workers is not None:
        whole('workers', workers, 1)
    if len(settings['size']) != 2:
        raise ValueError(f'generate: size = {settings["size"]!r} must be a height and a width.')
    for value in settings['size']:
        whole('size', value, 64)
    for split, count in settings['num_identities'].items():
        if split not in identities.SPLITS:
            raise ValueError(
                f'generate: num_identities has the split {split!r}; there is '
                f'{" and ".join(identities.SPLITS)}.'
            )
        whole(f'num_identities of {split}', count, 1)
    return settings


def _is_done(folder, settings):
    """Whether the folder has these images; an error if it has others."""
    for name in (_FINISHED, _BEGUN):
        path = folder / name
        if not path.exists():
            continue
        try:
            found = json.loads(path.read_text(encoding='utf-8'))
        except ValueError:
            raise ValueError(
                f'{path}: damaged, no JSON; remove the folder to draw it anew.'
            ) from None
        if found != settings:
            keys = [
                key
                for key in settings
                if not isinstance(found, dict) or found.get(key) != settings[key]
            ]
            key = keys[0] if keys else 'version'
            other = found.get(key) if isinstance(found, dict) else found
            raise ValueError(
                f'{path}: the folder has other garments, {key} = {other!r} instead of '
                f'{settings.get(key)!r}; take another folder or remove this one.'
            )
        return name == _FINISHED
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f'{folder}: not empty, and nothing that was drawn here; take another folder.'
        )
    return False


def _draw_in_processes(folder, workers):
    """`draw` by processes of their own, which do not run the caller's script once more."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    command = (
        'import sys; from research.match_rcnn.garments import dataset; '
        'dataset.draw(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))'
    )
    running = [
        subprocess.Popen(
            [sys.executable, '-c', command, str(folder), str(number), str(workers)],
            env=os.environ | {'PYTHONPATH': path},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(workers)
    ]
    complaints = [process.communicate()[1] for process in running]
    for process, complaint in zip(running, complaints, strict=True):
        if process.returncode:
            raise RuntimeError(
                f'{folder}: the drawing ended with status {process.returncode}: '
                f'{complaint.strip().rpartition(chr(10))[2]}'
            )


def draw(folder: str | os.PathLike, first: int = 0, step: int = 1) -> None:
    """Draws every `step`-th image from the `first` on of a folder that `generate` has begun, if it
    is not there yet."""
    folder = pathlib.Path(folder)
    settings = json.loads((folder / _BEGUN).read_text(encoding='utf-8'))
    cv2.setNumThreads(1)  # Each process has its core.
    each = settings['users'] + settings['shops']
    images = [
        (split, index)
        for split, count in settings['num_identities'].items()
        for index in range(count * each)
    ]
    for split, index in images[first::step]:
        stem = f'{index + 1:06d}'
        image = folder / split / 'image' / f'{stem}.jpg'
        annotation = folder / split / 'annos' / f'{stem}.json'
        if image.exists() and annotation.exists():
            continue
        data, text = example(settings, split, index)
        _write(image, data)
        _write(annotation, text.encode())


def example(settings: Mapping[str, Any], split: str, index: int) -> tuple[bytes, str]:
    """One image and its annotation.

    Args:
      settings: what `settings.json` has.
      split: 'train' or 'validation'.
      index: of the image in the split, from 0.

    Returns:
      A JPEG file and a JSON text.
    """
    seed, users, shops = (settings[key] for key in ('seed', 'users', 'shops'))
    number, turn = divmod(index, users + shops)
    identity = identities.identity(seed, split, number, min(users, shops))
    rng = identities.generator(seed, identities.SPLITS.index(split), 2, index)
    user = turn < users
    picture, items = scenes.picture(
        identity,
        user,
        turn if user else turn - users,
        tuple(settings['size']),
        settings['supersampling'],
        rng,
    )
    quality = int(rng.integers(60, 93) if user else rng.integers(85, 96))
    pair_id = number + 1
    if split == 'validation':  # The numbers of the training identities come first.
        pair_id += settings['num_identities'].get('train', 0)
    source = annotation_files.SOURCES['user' if user else 'shop']
    text = annotation_files.to_json(annotation_files.Annotation(source, pair_id, items))
    return effects.jpeg(picture, quality), text


def _write(path, data):
    """Whole or not at all, also when two processes write the same."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_bytes(data)
    os.replace(temporary, path)
