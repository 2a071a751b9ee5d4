"""Downloads and prepares a TFDS data set: python -m official.data.prepare NAME --data_dir=FOLDER.

This is the one place that downloads without being asked twice. The file format array_record is for
data sets that are read by index from disk (`tfds_stream`); those in memory can have any.
"""

from __future__ import annotations

import argparse
import sys

from official.data import tfds_images


def prepare(name: str, data_dir: str | None = None, file_format: str = 'tfrecord') -> str:
    """Prepares one data set, if it is not there yet, and returns its folder.

    Args:
      name: TFDS name, with a configuration where it has several ('lsun/bedroom').
      data_dir: folder of TFDS data, created where missing; None: TFDS' own.
      file_format: 'tfrecord', or 'array_record' for random access.

    Raises:
      ValueError: TFDS knows no such name.
    """
    builder = tfds_images.make_builder(name, data_dir, file_format)
    builder.download_and_prepare()
    return str(builder.data_path)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog='python -m official.data.prepare', description=__doc__)
    parser.add_argument('name', help='TFDS name: mnist, cifar10, sklearn_digits, lsun/bedroom, ...')
    parser.add_argument('--data_dir', help='folder of TFDS data (default: ~/tensorflow_datasets)')
    parser.add_argument('--file_format', default='tfrecord', choices=('tfrecord', 'array_record'))
    options = parser.parse_args(arguments)
    try:
        print(prepare(options.name, options.data_dir, options.file_format))
    except (ValueError, OSError) as error:
        parser.exit(1, f'{error}\n')


if __name__ == '__main__':
    main(sys.argv[1:])
