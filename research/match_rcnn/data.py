"""What Match R-CNN is trained and measured on: batches of images, alone or in pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import detection, detection_table

SPLITS = ('train', 'validation')


class MatchData:
    """The two splits of a data set, resized as in Sec. 3 of Ge et al. 2019.

    "Each training image is resized to its shorter edge of 800 pixels with its longer edge that is
    no more than 1333 pixels." All images of a batch lie in a canvas of one size.

    Args:
      seed: the run's seed.
      data_dir: where the source finds its files.
      source: called as source(data_dir), a `research.match_rcnn.sources.Source`.
      batch_size: images of the global batch.
      pairs: batches are pairs of a consumer's and a shop's image, as the matching network needs.
      canvas: height and width that hold every resized image, in pixels.
      min_size: of the shorter edge, in pixels.
      max_size: of the longer edge, in pixels.
      max_items: items of a training image that are used; of more the largest. In evaluation all
        are.
      flip: mirror half of the training images.
      evaluation_batch: images of the global batch in evaluation, or a few more where the replicas
        need it.

    Attributes:
      source: the `Source`.
      has_pairs: as `pairs`.

    Raises:
      FileNotFoundError, ValueError: what is wrong with the files; an argument out of its range.
    """

    def __init__(
        self,
        seed: int,
        data_dir: str | None = None,
        *,
        source: Callable,
        batch_size: int = 16,
        pairs: bool = False,
        canvas: tuple[int, int] = (1344, 1344),
        min_size: int = 800,
        max_size: int = 1333,
        max_items: int = 8,
        flip: bool = True,
        evaluation_batch: int = 1,
    ):
        checks.positive(
            'MatchData',
            batch_size=batch_size,
            min_size=min_size,
            max_size=max_size,
            max_items=max_items,
            evaluation_batch=evaluation_batch,
        )
        if pairs and batch_size % 2:
            raise ValueError(f'MatchData.batch_size = {batch_size} is odd, and pairs is True.')
        self.source = source(data_dir)
        self.has_pairs = pairs
        self.batch_size = batch_size
        self.evaluation_batch = evaluation_batch
        self._seed = seed
        self._geometry = {
            'canvas': tuple(canvas),
            'min_size': min_size,
            'max_size': max_size,
            'max_items': max_items,
        }
        self._flip = flip
        self._pipelines: dict[str, detection.DetectionPipeline] = {}
        table, other = (self.table(split) for split in SPLITS)
        for field in ('class_names', 'landmark_counts', 'category_ids'):
            if getattr(table, field) != getattr(other, field):
                raise ValueError(
                    f'{other.name}: {field} is {getattr(other, field)}, and of '
                    f'{table.name} {getattr(table, field)}.'
                )
        self.name = table.name
        self.class_names = table.class_names
        self.landmark_counts = table.landmark_counts
        if pairs and not len(table.pairs()):
            raise ValueError(
                f'{table.name}: no consumer item has a shop item of the same pair and '
                'style, and MatchData.pairs is True.'
            )
        for split in SPLITS:  # What does not fit the canvas is told now.
            self._pipeline(split)

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of a batch's images."""
        return self._geometry['canvas']

    @property
    def geometry(self) -> dict:
        """Canvas, min_size and max_size."""
        return {name: self._geometry[name] for name in ('canvas', 'min_size', 'max_size')}

    def table(self, split: str) -> detection_table.DetectionTable:
        """The annotations of 'train' or 'validation'."""
        if split not in SPLITS:
            raise ValueError(f'MatchData has no split {split!r}; there is {", ".join(SPLITS)}.')
        return self.source.table(split)

    def _pipeline(self, split):
        if split not in self._pipelines:
            table, training = self.table(split), split == 'train'
            geometry = dict(self._geometry)
            if not training:
                geometry['max_items'] = max(
                    geometry['max_items'], int(np.diff(table.first).max(initial=0))
                )
            self._pipelines[split] = detection.DetectionPipeline(
                table,
                seed=self._seed,
                flip=self._flip and training,
                reader=self.source.reader(split),
                **geometry,
            )
        return self._pipelines[split]

    def train(
        self, start_step: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Batches of the training images without end, see `official.data.detection`."""
        pipeline = self._pipeline('train')
        batches = pipeline.train_pairs if self.has_pairs else pipeline.train
        return batches(self.batch_size, start_step, input_context)

    def evaluation(
        self,
        split: str,
        input_context: tf.distribute.InputContext | None = None,
        rows: np.ndarray | None = None,
    ) -> tf.data.Dataset:
        """Every image of a split once, or those of some rows of its table, in order.

        The last batch is filled up with images of 'weights' 0.
        """
        replicas = input_context.num_replicas_in_sync if input_context else 1
        batch = -(-self.evaluation_batch // replicas) * replicas
        return self._pipeline(split).evaluation(batch, input_context, rows)

    def problems(self, split: str) -> dict[str, dict]:
        """What was wrong with the files of a split and was handled: count and first files."""
        problems = self.table(split).problems.as_dict()
        if split in self._pipelines:
            problems |= self._pipelines[split].problems.as_dict()
        return problems
