"""The supervised convolutional networks with dropout that the Ladder network is measured against.

Springenberg et al. 2014, "Striving for Simplicity: The All Convolutional Net" (ConvPool-CNN-C:
Table 3's 9.31 %), and the all-label references of Rasmus et al. 2015, "Semi-Supervised Learning
with Ladder Networks" (Conv-Small, Table 2's 0.36 %; Conv-Large, Table 3's 9.27 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official.core import checks
from official.modeling import batch_statistics, random
from research.ladder import encoder as encoder_lib
from research.ladder import layers


class OverlappingMaxPoolRung(layers.Rung):
    """Max pooling of 3x3 windows with stride 2: height and width are halved, rounded up.

    Windows may reach over the border. There is no way down.

    Args:
      name: name of the layer.
    """

    def __init__(self, name: str | None = None):
        super().__init__(tf.identity, name)

    def create_mappings(
        self, below: tuple[int, ...], key: tf.Tensor, decode: bool
    ) -> tuple[int, ...]:
        return (-(-below[0] // 2), -(-below[1] // 2), below[2])

    def project(self, h: tf.Tensor) -> tf.Tensor:
        return tf.nn.max_pool2d(h, 3, 2, 'SAME')

    def get_config(self) -> dict[str, Any]:
        return {'name': self.name}


def conv_pool_cnn_c() -> tuple[layers.Rung, ...]:
    """ConvPool-CNN-C on images [32, 32, channels]: the left column of Rasmus et al.'s Table 4.

    12 layers with the sides 32, 32, 32, 16, 16, 16, 16, 8, 6, 6, 6; the mean over space.
    """
    return (
        *(layers.ConvRung(96, 3, padding=1) for _ in range(3)),
        OverlappingMaxPoolRung(),
        *(layers.ConvRung(192, 3, padding=1) for _ in range(3)),
        OverlappingMaxPoolRung(),
        layers.ConvRung(192, 3),
        layers.ConvRung(192, 1),
        layers.ConvRung(10, 1),
        layers.MeanPoolRung(scaled=False),
    )


class ConvPoolCNN(encoder_lib.EncoderNetwork):
    """A supervised convolutional network with pooling and dropout.

    The defaults are ConvPool-CNN-C: no batch normalization, dropout of the input and after each
    pooling layer. With `encoder` conv_small() or conv_large() of `research.ladder.architectures`
    and `batch_norm` it is the reference with all labels, "closer to the original ConvPool-CNN-C in
    the sense that dropout rather than additive Gaussian noise was used" (Sec. 4.2).

    - Rasmus et al. ran their references once and published neither code nor settings (footnotes 6
      and 7). Here dropout sits where Springenberg et al. have it, at their rates; with batch
      normalization it comes after the normalization of the pooling layer.
    - Where Springenberg et al. pad is not printed; these sides give the mean over 6 x 6 that they
      print. Without batch normalization weights start with variance 2 / fan-in (He et al. 2015),
      as ReLUs want, and the logits are the mean plus one bias a class.
    - Test statistics are gathered and recomputed on clean inputs, without dropout.

    `fit` takes (x, y), or ((x, x_unlabelled), y), of which x_unlabelled is not used. Call: x
    [batch, *input_shape] to class probabilities [batch, classes].

    Args:
      seed: source of initial weights and dropout.
      encoder: layers 1..L, the last the classes; None: conv_pool_cnn_c().
      input_shape: shape of one example.
      batch_norm: whether every layer is batch-normalized.
      top_scale: whether the softmax has the scale gamma; without batch normalization it has none.
      input_dropout: rate of dropout of the input.
      pool_dropout: rate of dropout after each pooling layer, the mean at the end excepted.
      weight_decay: multiplier of half the sum of the squared weights (not biases) in the loss.
      noise_shards: see `official.core.model.Model`.
      name: name of the model.
    """

    def __init__(
        self,
        seed: int = 0,
        encoder: Sequence[int | layers.Rung] | None = None,
        input_shape: Sequence[int] = (32, 32, 3),
        batch_norm: bool = False,
        top_scale: bool = True,
        input_dropout: float = 0.2,
        pool_dropout: float = 0.5,
        weight_decay: float = 0.0,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        checks.share('ConvPoolCNN', input_dropout=input_dropout, pool_dropout=pool_dropout)
        checks.within('ConvPoolCNN', 0, float('inf'), weight_decay=weight_decay)
        super().__init__(
            seed,
            conv_pool_cnn_c() if encoder is None else encoder,
            input_shape,
            top_scale=top_scale and batch_norm,
            noise_shards=noise_shards,
            name=name,
        )
        self.batch_norm = batch_norm
        self.input_dropout = input_dropout
        self.pool_dropout = pool_dropout
        self.weight_decay = weight_decay
        if not batch_norm:
            for rung in self._weighted_rungs():
                rung.w.assign(rung.w * 2**0.5)
        self._create_metrics(['loss', 'classification_cost'])

    def _weighted_rungs(self) -> list[layers.Rung]:
        return [rung for rung in self.rungs if hasattr(rung, 'w')]

    def normalize(self, z_pre: tf.Tensor) -> batch_statistics.Normalized:
        if self.batch_norm:
            return super().normalize(z_pre)
        z_pre = tf.cast(z_pre, tf.float32)  # The statistics stay as they begin.
        channels = z_pre.shape[-1:]
        return batch_statistics.Normalized(z_pre, tf.zeros(channels), tf.ones(channels))

    def corrupt(self, z: tf.Tensor, key: tf.Tensor, l: int) -> tf.Tensor:
        pools = (layers.MaxPoolRung, OverlappingMaxPoolRung)
        if l and not isinstance(self.rungs[l - 1], pools):
            return z
        # Pooling is linear and without bias, so its z is its output.
        rate = self.pool_dropout if l else self.input_dropout
        return random.dropout(random.fold_in(key, l), z, rate)

    def costs(
        self, x_labelled: tf.Tensor, y: tf.Tensor, x_unlabelled: tf.Tensor | None, key: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Any]:
        """Cross-entropy, 'classification_cost', and weight decay."""
        del x_unlabelled
        if self.batch_norm:
            path, clean = self.encode([x_labelled, x_labelled], [key, None])
        else:  # There is nothing to gather.
            (path,) = (clean,) = self.encode([x_labelled], [key])
        total = classification = self.classification_cost(y, path.logits)
        if self.weight_decay:
            total += self.weight_decay * tf.add_n(
                [tf.nn.l2_loss(rung.w) for rung in self._weighted_rungs()]
            )
        return {'loss': total, 'classification_cost': classification}, clean

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        x, y = data
        return super().update((x if isinstance(x, tuple) else (x, None), y), key)

    def get_config(self) -> dict[str, Any]:
        return {
            'seed': self.seed,
            'encoder': tf.keras.saving.serialize_keras_object(list(self.rungs)),
            'input_shape': self.example_shape,
            'batch_norm': self.batch_norm,
            'top_scale': self.top_scale,
            'input_dropout': self.input_dropout,
            'pool_dropout': self.pool_dropout,
            'weight_decay': self.weight_decay,
            'noise_shards': self.noise_shards,
            'name': self.name,
        }
