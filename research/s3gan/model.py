"""Training of both players: every method of Lucic et al. 2019, Table 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from official.compat import tensorflow_private
from official.core import checks
from official.core import model as core_model
from official.modeling import batch_statistics, normalization, random
from research.s3gan import discriminator as discriminator_lib
from research.s3gan import fits, layers, losses, rotations
from research.s3gan import generator as generator_lib


class S3GAN(core_model.Model):
    """A generator and a discriminator, `discriminator_steps` updates of this one to one of that.

    `fit` takes (images, labels), batches of discriminator_steps x B examples, of which the k-th
    update of the discriminator sees every discriminator_steps-th from the k-th on:

    - images: uint8 [n, size, size, channels], or float32 in [0, 1].
    - labels: int [n], -1 for none (co-training), or probabilities, float32 [n, num_classes].

    Which method of Table 1 it is follows from the labels (`research.s3gan.data`) and from three
    arguments: the discriminator's `projection` (without: SINGLE LABEL), `label_loss` (S2GAN-CO) and
    `rotation_losses` (S3GAN, S3GAN-CO and all that are marked SS).

    Where the paper is open or this differs:

    - An image that is rotated is rotated all four ways, so that Eqs. (4) and (5) are means over the
      rotations of the same images. The default share, 1/16, is that of Chen et al. 2019b, 16 images
      in 64 being four images four ways. They lie at equal distances in the global batch. The
      upright one counts in the GAN loss, too; the others do not.
    - One power iteration of a player's spectral norms is made with each of its updates, and only
      then; the same holds of the generator's moving statistics.

    Call: a pair of z, float32 [batch, z_dim], and labels to images [batch, size, size, channels] in
    [0, 1], by the moving statistics.

    Args:
      seed: source of initial weights, z and labels.
      generator: called as generator(seed=seed).
      discriminator: called as discriminator(seed=seed, rotation_head=, label_head=).
      discriminator_steps: updates of the discriminator before each of the generator (Sec. 4).
      rotation_losses: whether there are the self-supervision losses (4) and (5).
      alpha: weight of Eq. (5), the generator's.
      beta: weight of Eq. (4), the discriminator's.
      rotated_share: Share of the images of an update that are rotated, all replicas' together: a
        whole number of images.
      label_loss: lambda of Eq. (3); None: no co-training.
      separate_means: Eq. (3) as printed, with labelled and unlabelled real images as two means;
        by default one mean over all real images, as in the authors' code.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.

    Raises:
      ValueError: if an argument is out of its range, or the two networks do not fit together.
    """

    def __init__(
        self,
        seed: int = 0,
        generator: Callable = generator_lib.Generator,
        discriminator: Callable = discriminator_lib.Discriminator,
        discriminator_steps: int = 2,
        rotation_losses: bool = False,
        alpha: float = 0.2,
        beta: float = 0.5,
        rotated_share: float = 1 / 16,
        label_loss: float | None = None,
        separate_means: bool = False,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        checks.positive('S3GAN', discriminator_steps=discriminator_steps)
        checks.within('S3GAN', 0, float('inf'), alpha=alpha, beta=beta, label_loss=label_loss or 0)
        checks.within('S3GAN', 1e-6, 1, rotated_share=rotated_share)
        self.generator = generator(seed=seed)
        self.discriminator = discriminator(
            seed=seed, rotation_head=rotation_losses, label_head=label_loss is not None
        )
        for field in ('image_size', 'channels', 'num_classes'):
            values = [getattr(net, field) for net in (self.generator, self.discriminator)]
            if values[0] != values[1]:
                raise ValueError(
                    f'Generator.{field} = {values[0]} and Discriminator.{field} = '
                    f'{values[1]} differ.'
                )
        if label_loss is not None and self.discriminator.projection is None:
            raise ValueError(
                'S3GAN.label_loss needs Discriminator.projection, which is False: '
                'nothing would use the predicted labels.'
            )
        self.discriminator_steps = discriminator_steps
        self.rotation_losses = rotation_losses
        self.alpha, self.beta = alpha, beta
        self.rotated_share = rotated_share
        self.label_loss = label_loss
        self.separate_means = separate_means
        self.discriminator_optimizer = None
        self.label_prior = self.add_weight(
            'label_prior',
            (self.generator.num_classes,),
            trainable=False,
            initializer=tf.constant_initializer(1 / self.generator.num_classes),
        )
        names = ['loss', 'generator_loss', 'discriminator_loss', 'real_logit', 'fake_logit']
        if rotation_losses:
            names += ['real_rotation_error_percent', 'fake_rotation_error_percent']
        if label_loss is not None:
            names += ['label_error_percent']
        self._create_metrics(names)

    @property
    def averaged_variables(self) -> list[tf.Variable]:
        return self.generator.trainable_variables

    def compile(self, optimizer: Any, *, discriminator_optimizer: Any, **kwargs: Any) -> None:
        """Names the optimizers.

        Args:
          optimizer: the generator's, a Keras optimizer.
          discriminator_optimizer: the discriminator's.
          **kwargs: see `official.core.model.Model`.
        """
        super().compile(optimizer=optimizer, **kwargs)
        self.discriminator_optimizer = tf.keras.optimizers.get(discriminator_optimizer)

    def build_optimizers(self) -> None:
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def set_label_prior(self, probabilities: np.ndarray) -> None:
        """Draws the labels of generated images from now on with these probabilities.

        Args:
          probabilities: [num_classes], p(y) of Sec. 3.1: uniform at first; for CLUSTERING the
            empirical distribution of the clusters.

        Raises:
          ValueError: if they are not probabilities of `num_classes` labels.
        """
        probabilities = np.asarray(probabilities, np.float64)
        if probabilities.shape != self.label_prior.shape:
            raise ValueError(
                f'label prior of {len(probabilities)} labels; the generator has '
                f'num_classes = {self.generator.num_classes}.'
            )
        if (probabilities < 0).any() or abs(probabilities.sum() - 1) > 1e-6:
            raise ValueError(f'label prior {probabilities} is no distribution.')
        self.label_prior.assign(probabilities)

    def draw(self, key: tf.Tensor, number: int) -> tuple[tf.Tensor, tf.Tensor]:
        """z ~ N(0, I) and y ~ p(y) for generated images.

        Args:
          key: int32 [local shards, 2].
          number: images of this replica.

        Returns:
          float32 [number, z_dim] and int32 [number].
        """
        z = random.normal(random.fold_in(key, 0), [number, self.generator.z_dim])
        point = random.uniform(random.fold_in(key, 1), [number, 1])
        # The label in whose part of [0, 1) the point lies. The last part's end may round to less
        # than 1, so it is not asked for.
        ends = tf.cumsum(self.label_prior)[:-1]
        return z, tf.reduce_sum(tf.cast(point >= ends, tf.int32), axis=1)

    def use_data(self, data: Any) -> None:
        """Takes over the distribution of the labels; `data` is a `research.s3gan.data.GanData`.

        Raises:
          ValueError: if images, labels or the number of updates are not what this model is for.
        """
        fits.check_data(self, data)
        self.set_label_prior(data.label_prior())

    def sample(
        self, positions: tf.Tensor, calibrating: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """z and y that are functions of (seed, position), and the images of them.

        Args:
          positions: int64 [n], places in an endless stream of samples, in sequence.
          calibrating: draw for `calibrate`, from another stream, with the batch's own statistics.

        Returns:
          float32 [n, size, size, channels] in [0, 1]; z, float32 [n, z_dim]; y, int32 [n].
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        shards = (self.noise_shards or replicas) // replicas
        number = positions.shape[0]
        if number % shards:
            raise ValueError(f'{number} samples cannot be divided into {shards} shards.')
        stream = random.fold_in(random.make_key(self.seed), 3 if calibrating else 2)
        key = tf.concat(
            [
                random.fold_in(
                    random.fold_in(stream, tf.cast(first % 2**31, tf.int32)),
                    tf.cast(first // 2**31, tf.int32),
                )
                for first in tf.unstack(positions[:: number // shards])
            ],
            0,
        )
        z, y = self.draw(key, number)
        return self.generator(z, y, training=calibrating), z, y

    def calibrate(self, dataset: tf.data.Dataset) -> None:
        """Makes the moving statistics the mean of those of many batches: standing statistics.

        Brock et al. 2019, App. B: with averaged weights the moving averages, of other weights, do
        not fit. Nothing else changes.

        Args:
          dataset: int64 [batch], positions as for `sample`; a distributed dataset under a strategy.
        """
        # The power iterations make a step with every batch in training; these are undone.
        moving = {
            id(variable)
            for norm in self._norms
            for variable in (norm.moving_mean, norm.moving_variance)
        }
        others = [
            variable
            for variable in self.generator.non_trainable_variables
            if id(variable) not in moving
        ]
        kept = [variable.numpy() for variable in others]
        for count, positions in enumerate(dataset, 1):
            self._accumulate(positions, tf.constant(1 / count, tf.float32))
        for variable, value in zip(others, kept, strict=True):
            variable.assign(value)

    @functools.cached_property
    def _norms(self) -> list[normalization.BatchNorm]:
        return [
            layer
            for layer in self.generator.submodules
            if isinstance(layer, normalization.BatchNorm)
        ]

    @functools.cached_property
    def _accumulate(self):
        @tf.function
        def accumulate(positions, rate):
            def on_replica(positions, rate):
                with normalization.moving_by(self._norms, rate):
                    self.sample(positions, calibrating=True)

            self.distribute_strategy.run(on_replica, args=(positions, rate))

        return accumulate

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        z, y = (tf.convert_to_tensor(part) for part in inputs)
        if not z.shape[:1].is_compatible_with(y.shape[:1]):
            raise ValueError(f'{z.shape[0]} z and {y.shape[0]} labels.')
        return self.generator(z, y, training=training, frozen=True)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        raise NotImplementedError(
            'S3GAN has no loss to evaluate: a generator is measured by '
            'research.s3gan.evaluation.GanEvaluation.'
        )

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        fits.check_batch(self, data)
        images, labels = data
        least = 0 if self.label_loss is None else -1
        with layers.labels_are(least, labels, self.generator.num_classes):
            images, labels = layers.unit_images(images), tf.identity(labels)
        steps = self.discriminator_steps
        for step in range(steps):
            discriminator_loss, logs = self._discriminator_step(
                images[step::steps], labels[step::steps], random.fold_in(key, step)
            )
        generator_loss, more = self._generator_step(
            images.shape[0] // steps, random.fold_in(key, steps)
        )
        loss = generator_loss + discriminator_loss
        return loss, self._log(
            {
                'loss': loss,
                'generator_loss': generator_loss,
                'discriminator_loss': discriminator_loss,
                **logs,
                **more,
            }
        )

    def _discriminator_step(self, real, labels, key):
        """One update of the discriminator: its loss, of this replica, and more to log."""
        number = real.shape[0]
        z, y = self.draw(key, number)
        fake = self.generator(z, y, training=True, frozen=True)
        with tf.GradientTape() as tape:
            loss, logs = self.discriminator_loss(real, labels, fake, y)
        self.apply_gradients(
            tape, loss, self.discriminator.trainable_variables, self.discriminator_optimizer
        )
        return loss, logs

    def discriminator_loss(
        self, real: tf.Tensor, labels: tf.Tensor, fake: tf.Tensor, y: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """L_D with Eq. (3) or (4) where they apply; all images go through the network together.

        Args:
          real: float32 [n, size, size, channels].
          labels: of `real`, see the class.
          fake: float32 [n, size, size, channels].
          y: labels of `fake`, int [n].
        """
        net, number = self.discriminator, real.shape[0]
        turned = self._turned(real)
        features = net.features(tf.concat([real, fake, turned], 0), training=True)
        of_real, _, of_turned = tf.split(features, [number, number, turned.shape[0]])
        logs = {}
        known = layers.probabilities(labels, net.num_classes)
        if self.label_loss is not None:
            label_logits = net.labels(of_real, training=True)
            predicted = tf.where((labels >= 0)[:, tf.newaxis], known, tf.nn.softmax(label_logits))
            known = tf.stop_gradient(predicted)
        logits = net.logits(
            features[: 2 * number],
            tf.concat([known, layers.probabilities(y, net.num_classes)], 0),
            training=True,
        )
        of_real_logits, of_fake_logits = tf.split(logits, 2)
        if self.label_loss is None:
            loss = losses.hinge_discriminator(of_real_logits, of_fake_logits)
        else:
            loss = losses.co_training_discriminator(
                of_real_logits,
                of_fake_logits,
                label_logits,
                labels,
                self.label_loss,
                self.separate_means,
            )
            logs['label_error_percent'] = losses.labelled_error_percent(label_logits, labels)
        if self.rotation_losses:
            rotation_loss, error = self._rotation_loss(of_real, of_turned, training=True)
            loss += self.beta * rotation_loss
            logs['real_rotation_error_percent'] = error
        return loss, {
            'real_logit': tf.reduce_mean(of_real_logits),
            'fake_logit': tf.reduce_mean(of_fake_logits),
            **logs,
        }

    def _generator_step(self, number, key):
        """One update of the generator: its loss, of this replica, and more to log."""
        z, y = self.draw(key, number)
        with tf.GradientTape() as tape:
            loss, logs = self.generator_loss(self.generator(z, y, training=True), y)
        self.apply_gradients(tape, loss, self.generator.trainable_variables, self.optimizer)
        return loss, logs

    def generator_loss(
        self, fake: tf.Tensor, y: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """L_G, with Eq. (5) where it applies.

        Args:
          fake: float32 [n, size, size, channels].
          y: its labels, int [n].
        """
        net, number = self.discriminator, fake.shape[0]
        turned = self._turned(fake)
        features = net.features(tf.concat([fake, turned], 0))
        loss, logs = losses.hinge_generator(net.logits(features[:number], y)), {}
        if self.rotation_losses:
            rotation_loss, error = self._rotation_loss(features[:number], features[number:])
            loss += self.alpha * rotation_loss
            logs['fake_rotation_error_percent'] = error
        return loss, logs

    def _chosen(self, number):
        """Images that are rotated, and the number of this replica."""
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        return (
            rotations.chosen(number * replicas, self.rotated_share, replicas),
            context.replica_id_in_sync_group,
        )

    def _turned(self, images):
        if not self.rotation_losses:
            return images[:0]
        chosen, replica = self._chosen(images.shape[0])
        return rotations.turned(chosen.of(images, replica))

    def _rotation_loss(self, upright, turned, training=False):
        """Eq. (1) of some images' features upright and turned, and the share of errors."""
        chosen, replica = self._chosen(upright.shape[0])
        logits = self.discriminator.rotation(
            tf.concat([chosen.of(upright, replica), turned], 0), training=training
        )
        counted = tf.tile(
            tf.gather(tf.constant(chosen.counted), replica), [rotations.NUM_ROTATIONS]
        )
        quarters = rotations.quarters(chosen.indices.shape[1])
        wrong = tf.cast(tf.argmax(logits, 1, tf.int32) != quarters, tf.float32)
        return (losses.rotation(logits, quarters, counted), 100 * losses.mean_where(counted, wrong))

    def get_config(self) -> dict[str, Any]:
        return {
            'seed': self.seed,
            'noise_shards': self.noise_shards,
            'name': self.name,
            **{
                net: tf.keras.saving.serialize_keras_object(getattr(self, net))
                for net in ('generator', 'discriminator')
            },
            **{
                field: getattr(self, field)
                for field in (
                    'discriminator_steps',
                    'rotation_losses',
                    'alpha',
                    'beta',
                    'rotated_share',
                    'label_loss',
                    'separate_means',
                )
            },
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> S3GAN:
        """Builds the model of `get_config`: the same networks, with their initial weights."""
        config = dict(config)
        for field in ('generator', 'discriminator'):
            net = tf.keras.saving.deserialize_keras_object(config[field], custom_objects)
            config[field] = lambda net=net, **_: net
        return cls(**config)

    @tensorflow_private.untracked
    def _create_metrics(self, names):
        self._set_metrics([tf.keras.metrics.Mean(name) for name in names])
        self.built = True

    def _log(self, values):
        for metric in self.metrics:
            metric.update_state(batch_statistics.global_mean(values[metric.name]))
        return {metric.name: metric.result() for metric in self.metrics}
