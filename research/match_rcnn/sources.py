"""Where the annotations of training and validation come from, as tables."""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Callable, Mapping

import tensorflow as tf

from official.core import checks
from official.data import coco, detection_table
from official.data import problems as problems_lib
from research.match_rcnn import deepfashion2, garments, prepared


class Source(abc.ABC):
    """Tables of a data set by split; each is read when it is first asked for."""

    def __init__(self):
        self._tables: dict[str, detection_table.DetectionTable] = {}

    def table(self, split: str) -> detection_table.DetectionTable:
        """The table of 'train' or 'validation'.

        Raises:
          FileNotFoundError, ValueError: what is wrong with the files, in a sentence.
        """
        if split not in self._tables:
            table = self._load(split)
            if not any(table is other for other in self._tables.values()):
                table.problems.print_summary()
            self._tables[split] = table
        return self._tables[split]

    def reader(self, split: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """What reads the encoded images of rows of a table; None: they are files."""
        del split

    @abc.abstractmethod
    def _load(self, split: str) -> detection_table.DetectionTable:
        """Reads a split."""


class FolderSource(Source):
    """Folders of DeepFashion2: <data_dir>/<train>/image and .../annos, the same for validation.

    The folder of the validation images may be without annotations, as `test` is handed out: nothing
    is measured of it then, but result files are written.

    Args:
      data_dir: folder of the data set.
      train: folder of the training images below it.
      validation: folder of the validation images.
      skip_malformed: leave out images whose annotation cannot be right, and count them, in place
        of an error.
      consumer_images: validation images with a number up to that are consumers', the others shops',
        where no annotation says it; None: unknown, and nothing is retrieved.
    """

    def __init__(
        self,
        data_dir: str | None,
        train: str = 'train',
        validation: str = 'validation',
        skip_malformed: bool = False,
        consumer_images: int | None = None,
    ):
        super().__init__()
        if data_dir is None:
            raise FileNotFoundError(
                f'--data_dir is needed: the folder of DeepFashion2 that holds {train}/image and '
                f'{train}/annos.'
            )
        if consumer_images is not None:
            checks.positive('FolderSource', consumer_images=consumer_images)
        self._skip_malformed = skip_malformed
        self._consumer_images = consumer_images
        self._folders = {
            'train': os.path.join(data_dir, train),
            'validation': os.path.join(data_dir, validation),
        }

    def _load(self, split):
        training = split == 'train'
        return deepfashion2.load(
            self._folders[split],
            skip_malformed=self._skip_malformed,
            annotated=training,
            consumer_images=None if training else self._consumer_images,
        )


class TfdsSource(Source):
    """DeepFashion2 as `python -m research.match_rcnn.prepare` has prepared it for TFDS.

    Args:
      data_dir: folder of TFDS data; None: TFDS' own.
      validation: split to validate on, 'validation' or 'test'.
      consumer_images: see `FolderSource`.
    """

    def __init__(
        self,
        data_dir: str | None,
        validation: str = 'validation',
        consumer_images: int | None = None,
    ):
        super().__init__()
        if consumer_images is not None:
            checks.positive('TfdsSource', consumer_images=consumer_images)
        self._consumer_images = consumer_images
        self._splits = {'train': 'train', 'validation': validation}
        self._builder = prepared.open_builder(data_dir)

    def _load(self, split):
        table = prepared.table_of(self._builder, self._splits[split])
        return (
            table if split == 'train' else deepfashion2.with_sources(table, self._consumer_images)
        )

    def reader(self, split: str) -> prepared.Reader:
        return prepared.Reader(self._builder, self._splits[split])


class GarmentSource(FolderSource):
    """Garments that are drawn the first time, see `research.match_rcnn.garments`.

    Args:
      data_dir: folder to draw into; None: `folder`.
      folder: see `data_dir`.
      seed: of the drawing.
      num_identities: by split.
      size: (height, width) of the images in pixels.
      users: consumers' images of an identity.
      shops: shops' images of an identity.
    """

    def __init__(
        self,
        data_dir: str | None,
        folder: str = 'runs/data/garments',
        seed: int = 0,
        num_identities: Mapping[str, int] | None = None,
        size: tuple[int, int] = (256, 192),
        users: int = 4,
        shops: int = 4,
    ):
        checks.positive('GarmentSource', users=users, shops=shops)
        folder = data_dir or folder
        garments.generate(
            folder,
            seed,
            num_identities or {'train': 200, 'validation': 40},
            users=users,
            shops=shops,
            size=size,
        )
        super().__init__(folder)


class CocoSource(Source):
    """A set in COCO's format, with or without keypoints.

    A file of DeepFashion2's own converter, 13 categories with 294 keypoints each, has the classes
    and landmarks that its folders have.

    Args:
      data_dir: folder that the following are below.
      train_annotations: JSON file of the training images.
      train_images: folder of the training images.
      validation_annotations: the same for validation; None: the training images.
      validation_images: the same.
      num_images: number of images of each split, the first ones of its file, to learn by heart;
        no sample of the split; None: all.
      skip_malformed: leave out images and annotations that cannot be right, and count them, in
        place of an error.
      consumer_images: see `FolderSource`; of both splits.
    """

    def __init__(
        self,
        data_dir: str | None,
        train_annotations: str = 'annotations/instances_train2017.json',
        train_images: str = 'train2017',
        validation_annotations: str | None = 'annotations/instances_val2017.json',
        validation_images: str = 'val2017',
        num_images: int | None = None,
        skip_malformed: bool = False,
        consumer_images: int | None = None,
    ):
        super().__init__()
        if num_images is not None:
            checks.positive('CocoSource', num_images=num_images)
        if consumer_images is not None:
            checks.positive('CocoSource', consumer_images=consumer_images)
        if data_dir is None:
            raise FileNotFoundError(
                f'--data_dir is needed: the folder that holds {train_annotations}.'
            )
        self._files = {
            'train': (train_annotations, train_images),
            'validation': (validation_annotations, validation_images),
        }
        self._data_dir = data_dir
        self._num_images = num_images
        self._skip_malformed = skip_malformed
        self._consumer_images = consumer_images

    def _load(self, split):
        annotations, images = self._files[split]
        if annotations is None:
            return self.table('train')
        problems = problems_lib.Problems(os.path.basename(annotations))
        table = coco.load(
            os.path.join(self._data_dir, annotations),
            os.path.join(self._data_dir, images),
            problems,
            skip_malformed=self._skip_malformed,
            end_to_end=deepfashion2.end_to_end(),
        )
        table = deepfashion2.with_sources(table, self._consumer_images)
        if self._num_images is not None and self._num_images < table.num_images:
            table = dataclasses.replace(table.subset(range(self._num_images)), problems=problems)
        return table
