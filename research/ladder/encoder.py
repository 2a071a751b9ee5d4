"""The encoder of the Ladder network, and a classifier around it.

Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", Sec. 3.2. What the Ladder
network shares with the networks that the paper compares it with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from official.core import checks
from official.core import model as core_model
from official.evaluation import classification
from official.modeling import batch_statistics, random
from research.ladder import layers

_STATISTICS_MOMENTUM = 0.99
EPSILON = 1e-10  # Inside the root of every batch normalization.


class Path(NamedTuple):
    """One pass of the encoder over one batch; index l of the lists is layer l.

    Attributes:
      z: l = 0..L; z^(0) is the (corrupted) input, then the normalized values, with their noise.
      statistics: l = 0..L; (mean, variance) used to normalize; None for l = 0.
      logits: gamma (z^(L) + beta), [batch, classes].
    """

    z: list[tf.Tensor]
    statistics: list[tuple[tf.Tensor, tf.Tensor] | None]
    logits: tf.Tensor


class EncoderNetwork(core_model.Model):
    """Encoder with batch normalization and noise, training and test; subclasses write the costs.

    `fit` takes ((x_labelled, x_unlabelled), y): see `research.ladder.data.two_stream`.
    Call: x [batch, *input_shape] to class probabilities [batch, classes], by the clean path with
    the statistics gathered in training or by `calibrate`.

    Args:
      seed: source of initial weights and noise.
      encoder: layers 1..L, the last the classes; an int n stands for `DenseRung(n)`.
      input_shape: shape of one example.
      noise_std: standard deviation of the noise on the input.
      hidden_noise_std: standard deviation of the noise on every layer above.
      top_scale: whether the softmax has the scale gamma.
      lowest_decoded: the layer down to which the rungs get mappings for a decoder; None: none does.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.

    Raises:
      ValueError: if the top layer is not a vector, or a number is out of range.
    """

    def __init__(
        self,
        seed: int,
        encoder: Sequence[int | layers.Rung],
        input_shape: Sequence[int],
        noise_std: float = 0.0,
        hidden_noise_std: float = 0.0,
        top_scale: bool = True,
        lowest_decoded: int | None = None,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        owner = type(self).__name__
        checks.within(
            owner, 0, float('inf'), noise_std=noise_std, hidden_noise_std=hidden_noise_std
        )
        checks.positive(
            owner,
            **{
                f'encoder[{index}]': rung
                for index, rung in enumerate(encoder)
                if not isinstance(rung, layers.Rung)
            },
        )
        self.example_shape = tuple(input_shape)
        self.noise_std = noise_std
        self.hidden_noise_std = hidden_noise_std
        self.top_scale = top_scale
        self.lowest_decoded = len(encoder) + 1 if lowest_decoded is None else lowest_decoded
        # Copies: a rung given to two models, or as a default, must not be shared by them.
        self.rungs = [
            layers.DenseRung(rung)
            if isinstance(rung, int)
            else type(rung).from_config(rung.get_config())
            for rung in encoder
        ]
        key = random.make_key(self.seed)
        shape, self.layer_shapes = self.example_shape, [self.example_shape]
        top = len(self.rungs)
        for l, rung in enumerate(self.rungs, 1):
            shape = rung.create_mappings(
                shape, random.fold_in(key, l), decode=l > self.lowest_decoded
            )
            rung.create_normalization(
                shape[-1],
                bias=l == top or rung.activation is not tf.identity,
                scale=l == top and self.top_scale,
            )
            self.layer_shapes.append(shape)
        if len(shape) != 1:
            raise ValueError(f'The top layer has shape {shape}; it must be one number a class.')
        self.num_classes = shape[0]

    def _create_metrics(self, names: Sequence[str]) -> None:
        """Has the costs of these names logged; the last thing a subclass's constructor does."""
        self._set_metrics(
            [
                *(tf.keras.metrics.Mean(name) for name in names),
                classification.ConfusionMatrix(self.num_classes),
            ]
        )
        self.built = True

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> EncoderNetwork:
        return cls(**tf.keras.saving.deserialize_keras_object(config, custom_objects))

    # Training.

    def encode(
        self, batches: Sequence[tf.Tensor], noise_keys: Sequence[tf.Tensor | None]
    ) -> list[Path]:
        """Runs the encoder over several batches at once, each normalized apart (Sec. 3.2).

        Args:
          batches: inputs [batch_i, *input_shape].
          noise_keys: for each batch the key of its noise, or None for the clean path.

        Returns:
          One `Path` a batch.
        """
        # Batches of a Python generator come without a known shape.
        batches = [tf.ensure_shape(x, [None, *self.example_shape]) for x in batches]
        sizes = [tf.shape(x)[0] if x.shape[0] is None else x.shape[0] for x in batches]
        h = [
            x if key is None else self.corrupt(x, key, 0)
            for x, key in zip(batches, noise_keys, strict=True)
        ]
        z, statistics = [[x] for x in h], [[None] for _ in h]
        for l, rung in enumerate(self.rungs, 1):
            # One product for all batches: the weights are read once.
            together = tf.concat(h, 0) if len(h) > 1 else h[0]
            projected = rung.project(tf.cast(together, self.compute_dtype))
            projected = tf.split(projected, sizes) if len(h) > 1 else [projected]
            for i, (z_pre, key) in enumerate(zip(projected, noise_keys, strict=True)):
                normalized = self.normalize(z_pre)
                statistics[i].append((normalized.mean, normalized.variance))
                z_i = normalized.z if key is None else self.corrupt(normalized.z, key, l)
                z[i].append(z_i)
                h[i] = self._activate(l, z_i)
        return [Path(*path) for path in zip(z, statistics, h, strict=True)]

    def normalize(self, z_pre: tf.Tensor) -> batch_statistics.Normalized:
        """N_B of Sec. 3.2."""
        return batch_statistics.normalize(z_pre, EPSILON)

    def corrupt(self, z: tf.Tensor, key: tf.Tensor, l: int) -> tf.Tensor:
        """z^(l) with its noise, drawn with `key`."""
        stddev = self.hidden_noise_std if l else self.noise_std
        if not stddev:
            return z
        shape = z.shape if z.shape.is_fully_defined() else tf.shape(z)
        return z + random.normal(random.fold_in(key, l), shape, stddev)

    def _activate(self, l: int, z: tf.Tensor) -> tf.Tensor:
        """h^(l), and at the top the logits."""
        rung = self.rungs[l - 1]
        return rung.affine(z) if l == len(self.rungs) else rung.activation(rung.affine(z))

    @staticmethod
    def classification_cost(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """C_c of Sec. 3.2: the mean over the batch of -log P(y), a scalar."""
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

    def costs(
        self, x_labelled: tf.Tensor, y: tf.Tensor, x_unlabelled: tf.Tensor, key: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Path]:
        """The cost to minimize and its terms.

        Args:
          x_labelled: [labelled batch, *input_shape].
          y: labels, int [labelled batch].
          x_unlabelled: [unlabelled batch, *input_shape].
          key: key of the noise.

        Returns:
          A dict of scalars, 'loss' and its terms without their multipliers, and the clean path,
          whose statistics are gathered.
        """
        raise NotImplementedError(f'{type(self).__name__} has no costs().')

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        (x_labelled, x_unlabelled), y = data
        with tf.GradientTape() as tape:
            costs, clean = self.costs(x_labelled, y, x_unlabelled, key)
        self.apply_gradients(tape, costs['loss'])
        for rung, (mean, variance) in zip(self.rungs, clean.statistics[1:], strict=True):
            for average, new in ((rung.mean, mean), (rung.variance, variance)):
                average.assign_add((1 - _STATISTICS_MOMENTUM) * (new - average))
        means = self.metrics[:-1]
        for mean in means:
            mean.update_state(costs[mean.name])
        return costs['loss'], {mean.name: mean.result() for mean in means}

    # Test.

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        del training  # The corrupted path has its own name.
        h = tf.cast(x, tf.float32)
        for l, rung in enumerate(self.rungs, 1):
            z_pre = tf.cast(rung.project(tf.cast(h, self.compute_dtype)), tf.float32)
            h = self._activate(l, (z_pre - rung.mean) * tf.math.rsqrt(rung.variance + EPSILON))
        return tf.nn.softmax(h)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, y, weight = tf.keras.utils.unpack_x_y_sample_weight(data)
        confusion_matrix = self.metrics[-1]
        confusion_matrix.update_state(y, tf.argmax(self(x), axis=1), weight)
        matrix = confusion_matrix.result()
        return {'error_percent': classification.error_percent(matrix), 'confusion_matrix': matrix}

    def calibrate(self, dataset: tf.data.Dataset) -> None:
        """Recomputes the normalization statistics by one pass of the clean encoder.

        They become the means over the batches of `dataset` of the statistics that normalize each
        batch, as the authors' runs had it before the reported number.

        Args:
          dataset: batches of x, [batch, *input_shape]; a distributed dataset under a strategy.
        """
        strategy = self.distribute_strategy

        @tf.function
        def accumulate(x, count):
            def on_replica(x, count):
                (clean,) = self.encode([x], [None])
                for rung, (mean, variance) in zip(self.rungs, clean.statistics[1:], strict=True):
                    rung.mean.assign_add((mean - rung.mean) / count)
                    rung.variance.assign_add((variance - rung.variance) / count)

            strategy.run(on_replica, args=(x, count))

        for count, x in enumerate(dataset, 1):
            accumulate(x, tf.constant(count, tf.float32))
