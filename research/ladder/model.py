"""The Ladder network (Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks")."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

import tensorflow as tf

from official.core import model as core_model
from official.evaluation import classification
from official.modeling import batch_statistics
from official.modeling import random
from research.ladder import denoisers as denoisers_lib
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


class LadderNetwork(core_model.Model):
    """Encoder, decoder with lateral connections, and the costs of both (Algorithm 1).

    Where Algorithm 1 and Eqs. (1)-(2) differ, the equations hold:

    - z_hat is normalized with the statistics of the clean path; Algorithm 1 prints the corrupted
      ones.
    - u^(l) = N_B(V^(l+1) z_hat^(l+1)); Algorithm 1 prints V^(l).
    - The denoising cost sums over l = 0..L; Algorithm 1 starts at 1.

    Beyond the paper:

    - The clean targets are normalized over the unlabelled examples of the batch alone, and the
      labelled and the unlabelled halves of the corrupted path each with statistics of their own.
    - u^(L) is batch-normalized, as Algorithm 1 has it and Sec. 3.3 ("u^(L) = y~") has not.
    - Only what a cost needs is built: with `denoising_costs` (0, ..., 0, x), the Gamma model
      (Sec. 3.4), there is no decoder below the top, and with none but zeros, the supervised
      baseline, no decoder at all.

    `fit` takes ((x_labelled, x_unlabelled), y): see `research.ladder.data.two_stream`.
    Call: x [batch, *input_shape] in [0, 1] to class probabilities [batch, classes], by the clean
    path with the statistics gathered in training or by `calibrate`.

    Args:
      seed: source of initial weights and noise.
      encoder: layers 1..L, the last the classes; an int n stands for `DenseRung(n)`.
      input_shape: shape of one example.
      denoising_costs: lambda_l for l = 0..L, Eq. (2).
      noise_std: standard deviation of the noise on the input.
      hidden_noise_std: standard deviation of the noise on every layer above.
      denoiser: class of the denoising functions, from `research.ladder.denoisers`.
      top_scale: whether the softmax has the scale gamma; Sec. 4.2 strips it for CIFAR-10.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.

    Raises:
      ValueError: if `denoising_costs` does not have one number for each of the layers 0..L.
    """

    def __init__(
            self,
            seed: int = 0,
            encoder: Sequence[int | layers.Rung] = (1000, 500, 250, 250, 250, 10),
            input_shape: Sequence[int] = (784,),
            denoising_costs: Sequence[float] = (1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1),
            noise_std: float = 0.3,
            hidden_noise_std: float = 0.3,
            denoiser: type[denoisers_lib.Denoiser] = denoisers_lib.MiniatureMLP,
            top_scale: bool = True,
            noise_shards: int | None = None,
            name: str | None = None):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        if len(denoising_costs) != len(encoder) + 1:
            raise ValueError(
                f'denoising_costs has {len(denoising_costs)} numbers; an encoder of {len(encoder)} '
                f'layers needs {len(encoder) + 1}, one for the input and one a layer.')
        self.example_shape = tuple(input_shape)
        self.denoising_costs = tuple(float(cost) for cost in denoising_costs)
        self.noise_std = noise_std
        self.hidden_noise_std = hidden_noise_std
        self.denoiser = denoiser
        self.top_scale = top_scale
        # Copies: a rung given to two models, or as a default, must not be shared by them.
        self.rungs = [
            layers.DenseRung(rung) if isinstance(rung, int)
            else type(rung).from_config(rung.get_config()) for rung in encoder]
        costly = [l for l, cost in enumerate(self.denoising_costs) if cost]
        self.lowest_decoded = min(costly, default=len(encoder) + 1)
        self._create()
        self._set_metrics([
            *(tf.keras.metrics.Mean(name) for name in self._log_names()),
            classification.ConfusionMatrix(self.num_classes)])
        self.built = True

    def _create(self) -> None:
        key = random.make_key(self.seed)
        shape, self.layer_shapes = self.example_shape, [self.example_shape]
        top = len(self.rungs)
        for l, rung in enumerate(self.rungs, 1):
            shape = rung.create_mappings(
                shape, random.fold_in(key, l), decode=l > self.lowest_decoded)
            rung.create_normalization(
                shape[-1], bias=l == top or rung.activation is not tf.identity,
                scale=l == top and self.top_scale)
            self.layer_shapes.append(shape)
        if len(shape) != 1:
            raise ValueError(f'The top layer has shape {shape}; it must be one number a class.')
        self.num_classes = shape[0]
        self.denoisers = [
            self.denoiser(shape[-1]) if l >= self.lowest_decoded else None
            for l, shape in enumerate(self.layer_shapes)]

    def _log_names(self) -> list[str]:
        names = ['loss', 'classification_cost']
        return names + [
            f'denoising_cost_{l}' for l, cost in enumerate(self.denoising_costs) if cost]

    def encode(self, batches: Sequence[tf.Tensor],
               noise_keys: Sequence[tf.Tensor | None]) -> list[Path]:
        """Runs the encoder over several batches at once, each normalized apart (Sec. 3.2).

        Args:
          batches: inputs [batch_i, *input_shape].
          noise_keys: for each batch the key of its noise, or None for the clean path.

        Returns:
          One `Path` a batch.
        """
        h = [self._corrupt(x, key, 0, self.noise_std)
             for x, key in zip(batches, noise_keys)]
        z, statistics = [[x] for x in h], [[None] for _ in h]
        sizes = [x.shape[0] for x in h]
        for l, rung in enumerate(self.rungs, 1):
            # One product for all batches: the weights are read once.
            together = tf.concat(h, 0) if len(h) > 1 else h[0]
            projected = rung.project(tf.cast(together, self.compute_dtype))
            projected = tf.split(projected, sizes) if len(h) > 1 else [projected]
            for i, z_pre in enumerate(projected):
                normalized = batch_statistics.normalize(z_pre, EPSILON)
                statistics[i].append((normalized.mean, normalized.variance))
                z[i].append(self._corrupt(normalized.z, noise_keys[i], l, self.hidden_noise_std))
                h[i] = rung.affine(z[i][-1])
                if l < len(self.rungs):
                    h[i] = rung.activation(h[i])
        return [Path(*path) for path in zip(z, statistics, h)]

    @staticmethod
    def _corrupt(z, key, layer, stddev):
        if key is None or not stddev:
            return z
        return z + random.normal(random.fold_in(key, layer), z.shape, stddev)

    def decode(self, corrupted: Path) -> list[tf.Tensor | None]:
        """z_hat^(l) for l = 0..L, None below the lowest layer with a cost (Sec. 3.3)."""
        z_hat: list[tf.Tensor | None] = [None] * len(self.layer_shapes)
        for l in range(len(self.rungs), self.lowest_decoded - 1, -1):
            if l == len(self.rungs):
                projection = tf.nn.softmax(corrupted.logits)
            else:
                projection = self.rungs[l].reverse(tf.cast(z_hat[l + 1], self.compute_dtype))
            u = batch_statistics.normalize(projection, EPSILON).z
            z_hat[l] = self.denoisers[l](corrupted.z[l], u)
        return z_hat

    def denoising_cost(self, l: int, clean: Path, z_hat: tf.Tensor) -> tf.Tensor:
        """C_d^(l) of Eq. (2), without its multiplier: a scalar.

        z_hat is scaled as z_pre was, so that the target is z_pre although z is compared.
        """
        if clean.statistics[l] is not None:
            mean, variance = clean.statistics[l]
            z_hat = (z_hat - mean) * tf.math.rsqrt(variance + EPSILON)
        # The mean over everything is the mean over the batch divided by the width m_l.
        return tf.reduce_mean(tf.math.squared_difference(clean.z[l], z_hat))

    def costs(self, x_labelled: tf.Tensor, y: tf.Tensor, x_unlabelled: tf.Tensor,
              key: tf.Tensor) -> tuple[dict[str, tf.Tensor], Path]:
        """The total cost C = C_c + C_d and its terms (Sec. 3.2, Eq. 2).

        Args:
          x_labelled: [labelled batch, *input_shape].
          y: labels, int [labelled batch].
          x_unlabelled: [unlabelled batch, *input_shape].
          key: key of the noise.

        Returns:
          A dict of scalars: 'loss', 'classification_cost', and 'denoising_cost_<l>' (without its
          multiplier) for every layer with one; and the clean path.
        """
        labelled_key, unlabelled_key = random.fold_in(key, 0), random.fold_in(key, 1)
        if self.lowest_decoded < len(self.layer_shapes):
            labelled, unlabelled, clean = self.encode(
                [x_labelled, x_unlabelled, x_unlabelled], [labelled_key, unlabelled_key, None])
        else:
            labelled, clean = self.encode([x_labelled, x_labelled], [labelled_key, None])
        total = classification_cost = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(y, labelled.logits))
        terms = {}
        if self.lowest_decoded < len(self.layer_shapes):
            z_hat = self.decode(unlabelled)
            for l, multiplier in enumerate(self.denoising_costs):
                if multiplier:
                    terms[f'denoising_cost_{l}'] = self.denoising_cost(l, clean, z_hat[l])
                    total += multiplier * terms[f'denoising_cost_{l}']
        return {'loss': total, 'classification_cost': classification_cost, **terms}, clean

    def update(self, data, key):
        (x_labelled, x_unlabelled), y = data
        with tf.GradientTape() as tape:
            costs, clean = self.costs(x_labelled, y, x_unlabelled, key)
        self.apply_gradients(tape, costs['loss'])
        for rung, (mean, variance) in zip(self.rungs, clean.statistics[1:]):
            for average, new in ((rung.mean, mean), (rung.variance, variance)):
                average.assign_add((1 - _STATISTICS_MOMENTUM) * (new - average))
        means = self.metrics[:-1]
        for mean in means:
            mean.update_state(costs[mean.name])
        return costs['loss'], {mean.name: mean.result() for mean in means}

    def call(self, x, training=None):
        del training  # The corrupted path has its own name.
        h = tf.cast(x, tf.float32)
        for l, rung in enumerate(self.rungs, 1):
            z_pre = tf.cast(rung.project(tf.cast(h, self.compute_dtype)), tf.float32)
            h = rung.affine((z_pre - rung.mean) * tf.math.rsqrt(rung.variance + EPSILON))
            if l < len(self.rungs):
                h = rung.activation(h)
        return tf.nn.softmax(h)

    def test_step(self, data):
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
                for rung, (mean, variance) in zip(self.rungs, clean.statistics[1:]):
                    rung.mean.assign_add((mean - rung.mean) / count)
                    rung.variance.assign_add((variance - rung.variance) / count)
            strategy.run(on_replica, args=(x, count))

        for count, x in enumerate(dataset, 1):
            accumulate(x, tf.constant(count, tf.float32))

    def denoise(self, x: tf.Tensor, key: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Corrupts inputs and denoises them, normalized as one unlabelled batch.

        Args:
          x: [batch, *input_shape].
          key: key of the noise; by default made from the seed.

        Returns:
          'clean', 'corrupted' and 'denoised', each of the shape of `x`.

        Raises:
          ValueError: if the model has no denoising cost at the input.
        """
        if self.lowest_decoded > 0:
            raise ValueError('denoising_costs[0] is 0: this model does not denoise its input.')
        x = tf.cast(x, tf.float32)
        key = random.make_key(self.seed) if key is None else key
        (corrupted,) = self.encode([x], [key])
        return {'clean': x, 'corrupted': corrupted.z[0], 'denoised': self.decode(corrupted)[0]}

    def get_config(self):
        return {
            'seed': self.seed,
            'encoder': tuple(type(rung).from_config(rung.get_config()) for rung in self.rungs),
            'input_shape': self.example_shape,
            'denoising_costs': self.denoising_costs,
            'noise_std': self.noise_std,
            'hidden_noise_std': self.hidden_noise_std,
            'denoiser': self.denoiser,
            'top_scale': self.top_scale,
            'noise_shards': self.noise_shards,
            'name': self.name,
        }
