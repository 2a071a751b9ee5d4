"""The ordinary autoencoder that the Ladder network is compared with.

Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks", Appendix B, "Results".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.modeling import random
from research.ladder import encoder as encoder_lib
from research.ladder import layers


class Autoencoder(encoder_lib.EncoderNetwork):
    """The supervised network with a decoder attached to one hidden layer (Appendix B).

    The decoder goes from h^(k), k = `attach_to`, through layers of the encoder's sizes back to the
    input, without lateral connections; its last activation is the sigmoid, its target the clean
    input. The cost is the weighted sum of reconstruction and classification. The paper found none
    of these, whatever k, significantly better than the supervised network.

    The paper says no more. This project's choices:

    - The encoder is the supervised baseline's: batch normalization, Gaussian noise, ReLU. The
      labelled and the unlabelled half of a batch are corrupted and normalized apart.
    - The decoder starts from the corrupted h^(k) of the unlabelled half. Its hidden layers are
      batch-normalized, with bias and ReLU, as the encoder's, but without noise of their own; the
      layer with the sigmoid has a bias and no normalization.
    - The reconstruction cost is the squared error a pixel, as Eq. (2) has it for the input.

    `fit`, `predict` and `calibrate` are as the `LadderNetwork`'s.

    Args:
      seed: source of initial weights and noise.
      units: widths of the layers 1..L, the last the classes.
      input_shape: shape of one example, whose values lie in [0, 1].
      attach_to: the hidden layer k that the decoder starts from, 1 to L - 1.
      reconstruction_weight: multiplier of the reconstruction cost.
      noise_std: standard deviation of the noise on the input.
      hidden_noise_std: standard deviation of the noise on every layer above.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.

    Raises:
      ValueError: if `attach_to` is not a hidden layer.
    """

    def __init__(
        self,
        seed: int = 0,
        units: Sequence[int] = (1000, 500, 250, 250, 250, 10),
        input_shape: Sequence[int] = (784,),
        attach_to: int = 1,
        reconstruction_weight: float = 1000.0,
        noise_std: float = 0.3,
        hidden_noise_std: float = 0.5,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        if not 1 <= attach_to < len(units):
            raise ValueError(
                f'attach_to = {attach_to} must be a hidden layer, 1 to {len(units) - 1}.'
            )
        super().__init__(
            seed,
            units,
            input_shape,
            noise_std,
            hidden_noise_std,
            noise_shards=noise_shards,
            name=name,
        )
        self.attach_to = attach_to
        self.reconstruction_weight = reconstruction_weight
        key = random.fold_in(random.make_key(seed), len(self.layer_shapes))
        # Rung l of the decoder leads down to layer l; the last of them is the input.
        self.decoder = [
            layers.DenseRung(math.prod(shape), tf.nn.relu if l else tf.sigmoid)
            for l, shape in enumerate(self.layer_shapes[:attach_to])
        ]
        for l, rung in enumerate(self.decoder):
            (width,) = rung.create_mappings(
                self.layer_shapes[l + 1], random.fold_in(key, l), decode=False
            )
            rung.beta = rung.add_weight('beta', (width,), initializer='zeros')
        self._create_metrics(['loss', 'classification_cost', 'reconstruction_cost'])

    def decode(self, corrupted: encoder_lib.Path) -> tf.Tensor:
        """The reconstruction, [batch, *input_shape], of the input of a pass of the encoder."""
        h = self._activate(self.attach_to, corrupted.z[self.attach_to])
        for l in reversed(range(self.attach_to)):
            rung = self.decoder[l]
            z = tf.cast(rung.project(tf.cast(h, self.compute_dtype)), tf.float32)
            h = rung.activation(rung.affine(self.normalize(z).z if l else z))
        return tf.reshape(h, [-1, *self.example_shape])

    def costs(
        self, x_labelled: tf.Tensor, y: tf.Tensor, x_unlabelled: tf.Tensor | None, key: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Any]:
        """The weighted sum and its terms, 'classification_cost' and 'reconstruction_cost'."""
        labelled, unlabelled, clean = self.encode(
            [x_labelled, x_unlabelled, x_unlabelled],
            [random.fold_in(key, 0), random.fold_in(key, 1), None],
        )
        classification = self.classification_cost(y, labelled.logits)
        reconstruction = tf.reduce_mean(
            tf.math.squared_difference(clean.z[0], self.decode(unlabelled))
        )
        return {
            'loss': classification + self.reconstruction_weight * reconstruction,
            'classification_cost': classification,
            'reconstruction_cost': reconstruction,
        }, clean

    def denoise(self, x: tf.Tensor, key: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Corrupts inputs and reconstructs them, normalized as one unlabelled batch.

        Args:
          x: [batch, *input_shape].
          key: key of the noise; by default made from the seed.

        Returns:
          'clean', 'corrupted' and 'denoised', each of the shape of `x`.
        """
        x = tf.cast(x, tf.float32)
        (corrupted,) = self.encode([x], [random.make_key(self.seed) if key is None else key])
        return {'clean': x, 'corrupted': corrupted.z[0], 'denoised': self.decode(corrupted)}

    def get_config(self) -> dict[str, Any]:
        return {
            'seed': self.seed,
            'units': tuple(rung.units for rung in self.rungs),
            'input_shape': self.example_shape,
            'attach_to': self.attach_to,
            'reconstruction_weight': self.reconstruction_weight,
            'noise_std': self.noise_std,
            'hidden_noise_std': self.hidden_noise_std,
            'noise_shards': self.noise_shards,
            'name': self.name,
        }
