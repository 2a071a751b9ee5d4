"""What the feature extractor is trained on: all images, and a few with labels (Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import image_sources, labelling, pipeline

# What is drawn with one seed, numbered, so that no two of them are drawn alike.
_UNLABELLED, _LABELLED = range(2)
# Beyond the numbers of `official.data.labelling`, so that what is held out says nothing about what
# is labelled.
_HELD_OUT = 100


class FeatureData:
    """A data set for `FeatureExtractor`: two streams, each shuffled anew in every pass over it.

    The unlabelled stream has all training images, those with labels among them; one epoch is one
    pass over it. Labels are those of so many percent of each class, the same images as
    `official.data.labelling.partial_labels` draws with the same seed.

    Args:
      seed: the run's seed.
      data_dir: where the source finds its files; None: the source's own place.
      source: called as source(data_dir), gives `official.data.image_sources.ImageSource`.
      percent: of each class, how many images have labels; None: no labels, for Eq. (1).
      unlabelled_batch: images of the global batch from all training images: the paper's B.
      labelled_batch: labelled images of the global batch; not used without labels.
      held_out_percent: of the training images, drawn with the seed, to tune on: they are in neither
        stream, and `evaluation('validation')` has them (0.1 in Sec. 4).
      evaluation_batch: images of the global batch in evaluation.

    Attributes:
      source: the `ImageSource`.
      class_names: the source's.
      percent: as given.
      train_indices: int64 [n], the training images of the unlabelled stream, ascending.
      labelled_indices: int64 [m], those of the labelled stream; empty without labels.
      validation_indices: int64 [v], those held out.

    Raises:
      ValueError, FileNotFoundError: what the source raises; a class without a label; an argument
        that is out of its range.
    """

    def __init__(
        self,
        seed: int,
        data_dir: str | None = None,
        *,
        source: Callable,
        percent: float | None = None,
        unlabelled_batch: int = 1536,
        labelled_batch: int = 512,
        held_out_percent: float = 0.0,
        evaluation_batch: int = 256,
    ):
        checks.positive(
            'FeatureData',
            unlabelled_batch=unlabelled_batch,
            labelled_batch=labelled_batch,
            evaluation_batch=evaluation_batch,
        )
        checks.within('FeatureData', 0, 50, held_out_percent=held_out_percent)
        if percent is not None:
            checks.within('FeatureData', 0, 100, percent=percent)
        self.seed = seed
        self.source = source(data_dir)
        self.class_names = self.source.class_names
        self.percent = percent
        self.unlabelled_batch = unlabelled_batch
        self.labelled_batch = labelled_batch
        self.evaluation_batch = evaluation_batch
        labels = self.source.labels('train')
        random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence((seed, _HELD_OUT))))
        held_out = random.permutation(len(labels))[: round(len(labels) * held_out_percent / 100)]
        if held_out_percent and not len(held_out):
            raise ValueError(
                f'FeatureData.held_out_percent = {held_out_percent} of the '
                f'{len(labels)} training images is none.'
            )
        self.validation_indices = np.sort(held_out)
        self.train_indices = np.setdiff1d(np.arange(len(labels)), held_out)
        self.labelled_indices = np.zeros(0, np.int64)
        if percent is not None:
            drawn = labelling.draw_percent(labels, len(self.class_names), percent, seed)
            self.labelled_indices = np.setdiff1d(drawn, held_out)
            if not len(self.labelled_indices):
                raise ValueError(
                    f'FeatureData.held_out_percent = {held_out_percent} leaves none '
                    f'of the {len(drawn)} labelled images to train on.'
                )

    def train(
        self, start_step: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Training batches without end.

        Returns:
          Without labels: dataset of images, uint8 [B, size, size, channels]. With labels: dataset
          of ((unlabelled, labelled), labels), the labels int32 [m]. Batch sizes are those of this
          replica.

        Raises:
          ValueError: if a batch size cannot be divided evenly among the replicas.
        """
        batches = self._stream(
            _UNLABELLED, self.train_indices, self.unlabelled_batch, start_step, input_context
        )
        if self.percent is None:
            batches = batches.map(lambda image, number: image)
        else:
            labels = pipeline.on_host(self.source.labels('train')[self.labelled_indices])
            labelled = self._stream(
                _LABELLED, self.labelled_indices, self.labelled_batch, start_step, input_context
            )
            batches = tf.data.Dataset.zip((batches, labelled)).map(
                lambda one, other: ((one[0], other[0]), tf.gather(labels, other[1]))
            )
        # Said, since several workers keep static shapes only of a dataset they know to be endless.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return pipeline.finish(batches.apply(endless), one_thread=self.source.in_memory)

    def _stream(self, stream, used, batch_size, start_step, input_context):
        positions = pipeline.batch_positions(batch_size, start_step, input_context)
        numbers = pipeline.shuffled_indices(positions, len(used), self.seed, stream)
        # Random crops follow from the seed and a position, which no two streams may share.
        places = positions.map(lambda position: 2 * position + stream)
        return self.source.images(tf.data.Dataset.zip((places, numbers)), 'train', used, self.seed)

    def evaluation(
        self, split: str = 'test', input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Every image of a split once, in order; the last batch is padded with weight 0.

        Args:
          split: 'test'; 'validation', what is held out; or 'train', all training images, labelled
            or not, held out or not.
          input_context: whom the pipeline serves.

        Returns:
          Dataset of (images, true labels, weights): uint8 [b, size, size, channels], int32 [b],
          float32 [b].

        Raises:
          ValueError: if there is no such split, or nothing in it.
        """
        if split not in ('train', 'test', 'validation'):
            raise ValueError(f'split = {split!r} is none of train, test and validation.')
        of, used = ('train', self.validation_indices) if split == 'validation' else (split, None)
        if used is not None and not len(used):
            raise ValueError('There are no validation images: FeatureData.held_out_percent is 0.')
        return image_sources.in_order(self.source, of, self.evaluation_batch, input_context, used)

    def in_order(self, input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        """All training images once, in order, to infer labels of: `evaluation('train')`."""
        return self.evaluation('train', input_context)
