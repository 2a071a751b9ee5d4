"""The Ladder network (Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import batch_statistics, random
from research.ladder import denoisers as denoisers_lib
from research.ladder import encoder as encoder_lib
from research.ladder import layers


class LadderNetwork(encoder_lib.EncoderNetwork):
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
      ValueError: if `denoising_costs` does not have one number for each of the layers 0..L, or a
        number is out of range.
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
        name: str | None = None,
    ):
        if len(denoising_costs) != len(encoder) + 1:
            raise ValueError(
                f'denoising_costs has {len(denoising_costs)} numbers; an encoder of {len(encoder)} '
                f'layers needs {len(encoder) + 1}, one for the input and one a layer.'
            )
        checks.within(
            'LadderNetwork',
            0,
            float('inf'),
            **{f'denoising_costs[{l}]': cost for l, cost in enumerate(denoising_costs)},
        )
        costly = [l for l, cost in enumerate(denoising_costs) if cost]
        super().__init__(
            seed,
            encoder,
            input_shape,
            noise_std,
            hidden_noise_std,
            top_scale,
            lowest_decoded=min(costly, default=None),
            noise_shards=noise_shards,
            name=name,
        )
        self.denoising_costs = tuple(float(cost) for cost in denoising_costs)
        self.denoiser = denoiser
        self.denoisers = [
            denoiser(shape[-1]) if l >= self.lowest_decoded else None
            for l, shape in enumerate(self.layer_shapes)
        ]
        self._create_metrics(
            ['loss', 'classification_cost', *(f'denoising_cost_{l}' for l in costly)]
        )

    def decode(self, corrupted: encoder_lib.Path) -> list[tf.Tensor | None]:
        """z_hat^(l) for l = 0..L, None below the lowest layer with a cost (Sec. 3.3)."""
        z_hat: list[tf.Tensor | None] = [None] * len(self.layer_shapes)
        for l in range(len(self.rungs), self.lowest_decoded - 1, -1):
            if l == len(self.rungs):
                projection = tf.nn.softmax(corrupted.logits)
            else:
                projection = self.rungs[l].reverse(tf.cast(z_hat[l + 1], self.compute_dtype))
            u = batch_statistics.normalize(projection, encoder_lib.EPSILON).z
            z_hat[l] = self.denoisers[l](corrupted.z[l], u)
        return z_hat

    def denoising_cost(self, l: int, clean: encoder_lib.Path, z_hat: tf.Tensor) -> tf.Tensor:
        """C_d^(l) of Eq. (2), without its multiplier: a scalar.

        z_hat is scaled as z_pre was, so that the target is z_pre although z is compared.
        """
        if clean.statistics[l] is not None:
            mean, variance = clean.statistics[l]
            z_hat = (z_hat - mean) * tf.math.rsqrt(variance + encoder_lib.EPSILON)
        # The mean over everything is the mean over the batch divided by the width m_l.
        return tf.reduce_mean(tf.math.squared_difference(clean.z[l], z_hat))

    def costs(
        self, x_labelled: tf.Tensor, y: tf.Tensor, x_unlabelled: tf.Tensor | None, key: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Any]:
        """The total cost C = C_c + C_d and its terms (Sec. 3.2, Eq. 2).

        The terms are 'classification_cost' and 'denoising_cost_<l>', without its multiplier, of
        every layer that has one; see `EncoderNetwork.costs`.
        """
        labelled_key, unlabelled_key = random.fold_in(key, 0), random.fold_in(key, 1)
        if self.lowest_decoded < len(self.layer_shapes):
            labelled, unlabelled, clean = self.encode(
                [x_labelled, x_unlabelled, x_unlabelled], [labelled_key, unlabelled_key, None]
            )
        else:
            # Apart: in one product with the other, the clean path would get a gradient of zeros.
            (labelled,) = self.encode([x_labelled], [labelled_key])
            (clean,) = self.encode([x_labelled], [None])
        total = classification_cost = self.classification_cost(y, labelled.logits)
        terms = {}
        if self.lowest_decoded < len(self.layer_shapes):
            z_hat = self.decode(unlabelled)
            for l, multiplier in enumerate(self.denoising_costs):
                if multiplier:
                    terms[f'denoising_cost_{l}'] = self.denoising_cost(l, clean, z_hat[l])
                    total += multiplier * terms[f'denoising_cost_{l}']
        return {'loss': total, 'classification_cost': classification_cost, **terms}, clean

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

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> LadderNetwork:
        denoiser = layers.of_name(config['denoiser'])
        config = {name: value for name, value in config.items() if name != 'denoiser'}
        config = tf.keras.saving.deserialize_keras_object(config, custom_objects)
        return cls(denoiser=denoiser, **config)

    def get_config(self) -> dict[str, Any]:
        return {
            'seed': self.seed,
            'encoder': tf.keras.saving.serialize_keras_object(list(self.rungs)),
            'input_shape': self.example_shape,
            'denoising_costs': self.denoising_costs,
            'noise_std': self.noise_std,
            'hidden_noise_std': self.hidden_noise_std,
            'denoiser': layers.named(self.denoiser),
            'top_scale': self.top_scale,
            'noise_shards': self.noise_shards,
            'name': self.name,
        }
