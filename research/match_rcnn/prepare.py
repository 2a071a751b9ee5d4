"""Prepares DeepFashion2 for reading by index, from the folders as they are handed out.

    ./garden python -m research.match_rcnn.prepare --manual_dir=FOLDER --data_dir=TFDS_FOLDER

FOLDER has train/ and validation/, each with image/ and annos/, and may have test/ with image/; at
least one of them. Every annotation is checked first, then every image is decoded; what can be
handled is counted and named at the end.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from research.match_rcnn import deepfashion2, prepared

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def prepare(manual_dir: str, data_dir: str | None = None) -> tfds.core.DatasetBuilder:
    """Writes the data set in TFDS' array_record format, if it is not there yet.

    Args:
      manual_dir: the folder that has train/ and validation/.
      data_dir: folder of TFDS data, created where missing; None: TFDS' own.

    Returns:
      The `tfds.core.DatasetBuilder`.

    Raises:
      FileNotFoundError: no such folder, or none of the splits in it.
      ValueError: what `annotation_files.parse` says of a file.
    """
    deepfashion2.splits_of(manual_dir)
    made = prepared.make_builder(data_dir, 'array_record')
    import tensorflow_datasets as tfds  # Takes seconds.

    made.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    )
    for split in made.info.splits:
        prepared.write_index(made, split)
    return made


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='python -m research.match_rcnn.prepare',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--manual_dir', required=True, help='folder with train/ and validation/')
    parser.add_argument('--data_dir', help='folder of TFDS data (default: ~/tensorflow_datasets)')
    options = parser.parse_args(arguments)
    try:
        print(prepare(options.manual_dir, options.data_dir).data_path)
    except (ValueError, OSError) as error:
        parser.exit(1, f'{error}\n')


if __name__ == '__main__':
    main(sys.argv[1:])
