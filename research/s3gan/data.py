"""What a GAN of Lucic et al. 2019 is trained on: images, and labels by one method of Table 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import image_sources, pipeline
from official.data import labelling as labelling_lib


class GanData:
    """A data set for `S3GAN`.

    The method is in `labelling`:

    - BIGGAN: `labelling.true_labels`;
    - SINGLE LABEL: `labelling.single_label`;
    - RANDOM LABEL: `labelling.random_labels`, a new label each time an image is read, as in the
      authors' code;
    - BIGGAN-k%: `labelling.partial_labels` with drop_unlabelled = True;
    - S2GAN-CO, S3GAN-CO: `labelling.partial_labels`;
    - CLUSTERING, S2GAN, S3GAN: `label_file.inferred_labels`.

    Args:
      seed: the run's seed.
      data_dir: where the source finds its files; None: the source's own place.
      source: called as source(data_dir), gives `official.data.image_sources.ImageSource`.
      labelling: called as labelling(labels, num_classes, seed), gives
        `official.data.labelling.Labelling`.
      batch_size: real images of one update of the discriminator (2048 in the paper).
      discriminator_steps: updates of the discriminator in a step, as in `S3GAN`.
      empirical_prior: generated images get labels as often as real ones have them, as CLUSTERING
        does; else all labels equally often.
      evaluation_batch: images of the global batch in evaluation.
      calibration_batches: batches of generated images on which normalization statistics are taken.

    Attributes:
      source: the `ImageSource`.
      labelling: the `Labelling`.
      class_names: the source's.

    Raises:
      ValueError, FileNotFoundError: what the source and the labelling raise; counts that are not
        positive.
    """

    def __init__(
        self,
        seed: int,
        data_dir: str | None = None,
        *,
        source: Callable,
        labelling: Callable = labelling_lib.true_labels,
        batch_size: int = 2048,
        discriminator_steps: int = 2,
        empirical_prior: bool = False,
        evaluation_batch: int = 256,
        calibration_batches: int = 20,
    ):
        checks.positive(
            'GanData',
            batch_size=batch_size,
            discriminator_steps=discriminator_steps,
            evaluation_batch=evaluation_batch,
            calibration_batches=calibration_batches,
        )
        self.seed = seed
        self.source = source(data_dir)
        self.class_names = self.source.class_names
        self.labelling = labelling(self.source.labels('train'), len(self.class_names), seed)
        self.batch_size = batch_size
        self.discriminator_steps = discriminator_steps
        self.empirical_prior = empirical_prior
        self.evaluation_batch = evaluation_batch
        self.calibration_batches = calibration_batches

    @property
    def num_labels(self) -> int:
        """Labels that the generator takes."""
        return self.labelling.num_labels

    def label_prior(self) -> np.ndarray:
        """The distribution of the labels of generated images, float64 [num_labels]."""
        if self.empirical_prior:
            return self.labelling.distribution()
        return np.full(self.num_labels, 1 / self.num_labels)

    def train(
        self, start_step: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Training batches without end.

        Returns:
          Dataset of (images, labels): uint8 [steps x B, size, size, channels] with B the batch
          size of this replica, and int32 [steps x B] or float32 [steps x B, num_labels].

        Raises:
          ValueError: if the batch size cannot be divided evenly among the replicas.
        """
        pipeline.replica_slices(self.batch_size, input_context)
        total = self.batch_size * self.discriminator_steps
        positions = pipeline.batch_positions(total, start_step, input_context)
        numbers = pipeline.shuffled_indices(positions, len(self.labelling.indices), self.seed)
        images = self.source.images(
            tf.data.Dataset.zip((positions, numbers)), 'train', self.labelling.indices, self.seed
        )
        if self.labelling.drawn_anew:
            batches = tf.data.Dataset.zip((images, positions)).map(
                lambda image, places: (
                    image[0],
                    labelling_lib.uniform_labels(places, self.num_labels, self.seed),
                )
            )
        else:
            labels = pipeline.on_host(self.labelling.labels)
            batches = images.map(lambda image, number: (image, tf.gather(labels, number)))
        # Said, since several workers keep static shapes only of a dataset they know to be endless.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return pipeline.finish(batches.apply(endless), one_thread=self.source.in_memory)

    def evaluation(
        self, split: str = 'test', input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Every real image of a split once, in order; the last batch is padded with weight 0.

        Returns:
          Dataset of (images, true labels, weights): uint8 [b, size, size, channels], int32 [b],
          float32 [b].
        """
        return image_sources.in_order(self.source, split, self.evaluation_batch, input_context)

    def samples(
        self, number: int, first: int = 0, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Positions for `S3GAN.sample`, in batches of `evaluation_batch`.

        Args:
          number: how many; what does not fill a batch is filled up.
          first: the number of the set: another one has other samples.
          input_context: whom the pipeline serves.

        Returns:
          Dataset of int64 [b].
        """
        steps = -(-number // self.evaluation_batch)
        return pipeline.batch_positions(self.evaluation_batch, first * steps, input_context, steps)

    def calibration(
        self, input_context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Positions for `S3GAN.calibrate`, in batches as large as in training."""
        return pipeline.batch_positions(self.batch_size, 0, input_context, self.calibration_batches)

    def real_images(self, label: int, number: int) -> np.ndarray:
        """The first training images with a label, as the GAN's discriminator knows them.

        Args:
          label: below `num_labels`.
          number: how many; fewer if there are no more.

        Returns:
          uint8 [number, size, size, channels].
        """
        labels = self.labelling.labels
        labels = labels.argmax(1) if labels.ndim == 2 else labels
        members = self.labelling.indices[labels == label]
        found = {}
        if len(members) and number:
            # In the place of one that cannot be read comes the next with the same label.
            one_by_one = tf.data.Dataset.range(len(members)).batch(1, drop_remainder=True)
            for images, which in self.source.images(
                tf.data.Dataset.zip((one_by_one, one_by_one)), 'train', members
            ):
                found.setdefault(int(which[0]), images[0].numpy())
                if len(found) == number:
                    break
        size, channels = self.source.image_size, self.source.channels
        return np.array(list(found.values()), np.uint8).reshape(-1, size, size, channels)
