"""DeepFashion2 as TFDS has prepared it: its annotations as a table, its images by index.

builder = prepared.open_builder(data_dir)
table = prepared.table_of(builder, 'train')
images = detection.DetectionPipeline(table, reader=prepared.Reader(builder, 'train'), ...)
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from official.data import detection_table
from official.data import problems as problems_lib
from research.match_rcnn import annotation_files, deepfashion2

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_AT_ONCE = 64


def open_builder(data_dir: str | None = None) -> tfds.core.DatasetBuilder:
    """The `tfds.core.DatasetBuilder` of data that `research.match_rcnn.prepare` has written.

    Args:
      data_dir: folder of TFDS data; None: TFDS' own.

    Raises:
      FileNotFoundError: there are none, or not for reading by index; the message says what to do.
    """
    made = make_builder(data_dir)
    command = (
        './garden python -m research.match_rcnn.prepare --manual_dir=... --data_dir='
        f'{data_dir or "~/tensorflow_datasets"}'
    )
    if not made.data_path.exists():
        raise FileNotFoundError(f'{made.data_path}: no prepared data; prepare them by: {command}.')
    formats = {file_format.value for file_format in made.info.available_file_formats()}
    if 'array_record' not in formats:
        raise FileNotFoundError(
            f'{made.data_path}: prepared as {", ".join(sorted(formats))}, reading by index needs '
            f'array_record: prepare them in another --data_dir by: {command}.'
        )
    return made


def make_builder(data_dir: str | None, file_format: str | None = None) -> tfds.core.DatasetBuilder:
    """The `builder.Deepfashion2` of a folder of TFDS data, prepared or not."""
    # Without it TFDS asks a metadata server of Google's cloud, and waits for an answer.
    os.environ.setdefault('NO_GCE_CHECK', 'true')
    # TFDS, which takes seconds.
    from research.match_rcnn import builder

    options = {} if file_format is None else {'file_format': file_format}
    return builder.Deepfashion2(data_dir=data_dir, **options)


def table_of(builder: tfds.core.DatasetBuilder, split: str) -> detection_table.DetectionTable:
    """The annotations of a split; as `deepfashion2.load` of the folder it was made of.

    The table's `paths` are in that folder and name images in messages; the images themselves are in
    the prepared data, see `Reader`. Its `problems` include those of preparing.

    Args:
      builder: of prepared data, as `open_builder` gives it.
      split: 'train', 'validation' or 'test'.

    Raises:
      ValueError: no such split; what `deepfashion2.load` says of annotations.
    """
    examples = _examples(builder, split)
    problems = problems_lib.Problems(f'{builder.data_path}, {split}')
    met = (builder.info.metadata or {}).get('problems', {}).get(split, {})
    for kind, found in met.items():
        problems.add(kind, count=found['count'] - len(found['files']))
        for file in found['files']:
            problems.add(kind, file)
    made = deepfashion2.table_builder(problems.name, problems)
    for image_id, name, size, content in _index(builder, split, examples):
        if content:
            found = annotation_files.parse(content, f'{name} in {builder.data_path}')
        else:
            found = annotation_files.Annotation(detection_table.UNKNOWN, 0, [])
        made.add_image(name, image_id, size, found.source, found.items)
    return made.build()


class Reader:
    """Gives the encoded images of a split inside a tf.data pipeline.

    Args:
      builder: of prepared data, as `open_builder` gives it.
      split: 'train', 'validation' or 'test'.

    Raises:
      ValueError: no such split.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str):
        self._examples = _examples(builder, split)

    def __len__(self) -> int:
        return len(self._examples)

    def __call__(self, rows: tf.Tensor) -> tf.Tensor:
        """The files, strings [n], of the images in these rows of the table, int64 [n]."""

        def read(rows):
            return np.array(
                [_bytes(record, 'image') for record in _records(self._examples, rows.tolist())],
                object,
            )

        encoded = tf.numpy_function(read, [rows], tf.string, stateful=False)
        return tf.ensure_shape(encoded, rows.shape)


def write_index(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Writes the annotations of a split beside the images, if they are not there yet.

    An example holds image and annotation together, so that all of them are read for the latter;
    with this file that is done once. Where it cannot be written nothing is lost but time.
    """
    for _ in _index(builder, split, _examples(builder, split)):
        pass


def _examples(builder, split):
    import tensorflow_datasets as tfds  # Takes seconds.

    if split not in builder.info.splits:
        raise ValueError(
            f'{builder.data_path}: no split {split!r}; there is '
            f'{", ".join(sorted(builder.info.splits))}.'
        )
    # What an example is made of is found faster than by TFDS, which decodes all of it.
    return builder.as_data_source(
        split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )


def _records(examples, rows):
    return [
        tf.train.Example.FromString(record).features.feature
        for record in examples.__getitems__(rows)
    ]


def _bytes(record, name):
    return record[name].bytes_list.value[0]


def _index(builder, split, examples) -> Iterator[list]:
    """Each image's id, name, (height, width) and annotation, from the index file if there is one;
    else from the examples, and they are written to it."""
    path = os.path.join(str(builder.data_path), f'annotations-{split}.jsonl')
    if _is_current(path, builder):
        with open(path, encoding='utf-8') as file:
            for line in file:
                yield json.loads(line)
        return
    partial = f'{path}.{os.getpid()}.partial'
    with contextlib.ExitStack() as stack:
        write = None
        with contextlib.suppress(OSError):
            write = stack.enter_context(open(partial, 'w', encoding='utf-8')).write
            stack.callback(_remove, partial)
        for start in range(0, len(examples), _AT_ONCE):
            rows = list(range(start, min(start + _AT_ONCE, len(examples))))
            for record in _records(examples, rows):
                line = [
                    record['image_id'].int64_list.value[0],
                    _bytes(record, 'name').decode(),
                    list(record['size'].int64_list.value),
                    _bytes(record, 'annotation').decode(),
                ]
                if write is not None:
                    write(json.dumps(line) + '\n')
                yield line
        if write is not None:
            os.replace(partial, path)


def _remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


def _is_current(path, builder):
    """Returns True if there is such a file of these data, not of some before them."""
    try:
        info = os.path.join(str(builder.data_path), 'dataset_info.json')
        return os.path.getmtime(path) >= os.path.getmtime(info)
    except OSError:
        return False
