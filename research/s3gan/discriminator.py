"""The BigGAN discriminator with its heads (Lucic et al. 2019, Tables 7, 8 and 10)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.modeling import random, spectral
from research.s3gan import layers

# Widths in units of ch after each block, and after which block the non-local block comes.
_WIDTHS = {
    32: (2, 2, 2, 2),
    64: (2, 4, 8, 16, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}
_ATTENTION = {32: None, 64: None, 128: 1, 256: 2}
NUM_ROTATIONS = 4


class Discriminator(tf.keras.Model):
    """An image and a label to a number, high for real (Sec. 3): without arguments the paper's.

    D(x, y) = c_rf(D~(x)) + P(D~(x), y) with the projection P(x~, y) = x~^T W y (Miyato & Koyama
    2018). Table 10 lists the variables: 87 982 370 numbers.

    - Heads for rotations (Sec. 3.3) and for labels (Sec. 3.2) are linear and spectrally
      normalized as all other layers; the paper does not list their tensors.
    - A block has a shortcut where the number of channels changes (`DiscriminatorBlock`): at 32
      pixels only the first. The paper has no table of 256 pixels; the rule gives the number of
      parameters that the authors' code states, 98 635 298. At 32 and 64 pixels see `Generator`.

    Args:
      image_size: height and width of an image: 32, 64, 128 or 256.
      ch: the channel multiplier of Table 7.
      num_classes: labels.
      channels: of an image, 1 or 3.
      projection: whether there is a projection; SINGLE LABEL has none.
      rotation_head: whether there is c_R, for the self-supervision of Sec. 3.3.
      label_head: whether there is c_CT, which predicts labels, for the co-training of Sec. 3.2.
      attention_after: the block after which the non-local block comes, counted from 1; 0: none;
        by default 1 at 128 pixels, 2 at 256.
      fused: see `SpectralConv2D`.
      spectral_norm: whether the layers are spectrally normalized.
      seed: of the initial weights.
      name: name of the model, and the scope of its variables.

    Raises:
      ValueError: if an argument is none of those above.
    """

    def __init__(
        self,
        image_size: int = 128,
        ch: int = 96,
        num_classes: int = 1000,
        channels: int = 3,
        projection: bool = True,
        rotation_head: bool = False,
        label_head: bool = False,
        attention_after: int | None = None,
        fused: bool = True,
        spectral_norm: bool = True,
        seed: int = 0,
        name: str = 'discriminator',
    ):
        super().__init__(name=name, autocast=False)
        layers.check_architecture('Discriminator', image_size, ch, num_classes, channels, _WIDTHS)
        widths = [ch * width for width in _WIDTHS[image_size]]
        blocks = len(widths)
        if attention_after is None:
            attention_after = _ATTENTION[image_size] or 0
        if attention_after not in range(blocks + 1):
            raise ValueError(
                f'Discriminator.attention_after = {attention_after} is outside [0, {blocks}].'
            )
        self._config = {
            'image_size': image_size,
            'ch': ch,
            'num_classes': num_classes,
            'channels': channels,
            'projection': projection,
            'rotation_head': rotation_head,
            'label_head': label_head,
            'attention_after': attention_after,
            'fused': fused,
            'spectral_norm': spectral_norm,
            'seed': seed,
            'name': name,
        }
        self.image_size, self.channels, self.num_classes = image_size, channels, num_classes
        self.attention_after = attention_after
        # Not the keys of the generator of the same seed.
        key = random.fold_in(random.make_key(seed), 1)
        keys = [random.fold_in(key, number) for number in range(blocks + 5)]

        def head(number, outputs, scope, part):
            with tf.name_scope(scope):
                return spectral.SpectralDense(
                    widths[-1], outputs, keys[number], normalize=spectral_norm, name=part
                )

        with tf.name_scope(name):
            self.blocks = [
                layers.DiscriminatorBlock(
                    channels if not block else widths[block - 1],
                    widths[block],
                    keys[block],
                    down=block < blocks - 1,
                    fused=fused,
                    normalize=spectral_norm,
                    name=f'B{block + 1}',
                )
                for block in range(blocks)
            ]
            self.non_local_block = (
                layers.NonLocalBlock(widths[attention_after - 1], keys[-1], spectral_norm)
                if attention_after
                else None
            )
            self.final_fc = spectral.SpectralDense(
                widths[-1], 1, keys[-2], normalize=spectral_norm, name='final_fc'
            )
        self.projection = self.rotation = self.labels = None
        if projection:
            self.projection = spectral.SpectralDense(
                num_classes,
                widths[-1],
                keys[-3],
                use_bias=False,
                normalize=spectral_norm,
                initializer=random.glorot_normal,
                name='discriminator_projection',
            )
        if rotation_head:
            self.rotation = head(-4, NUM_ROTATIONS, 'discriminator_rotation', 'score_classify')
        if label_head:
            self.labels = head(-5, num_classes, 'discriminator_predictor', 'predictor_linear')
        self.built = True

    def features(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The representation D~(x).

        Args:
          x: float32 [batch, image_size, image_size, channels] in [0, 1].
          training: move the vectors u of the spectral norms.

        Returns:
          float32 [batch, features], 16 ch of them at 128 pixels.
        """
        x = tf.cast(x, self.compute_dtype)
        for number, block in enumerate(self.blocks, 1):
            x = block(x, training=training)
            if number == self.attention_after:
                x = self.non_local_block(x, training=training)
        return tf.reduce_sum(tf.cast(tf.nn.relu(x), tf.float32), [1, 2])

    def logits(self, features: tf.Tensor, y: tf.Tensor | None, training: bool = False) -> tf.Tensor:
        """D(x, y) of D~(x), float32 [batch].

        Args:
          features: float32 [batch, features].
          y: labels, int [batch] or probabilities, float32 [batch, num_classes]; not used without a
            projection.
          training: see `features`.

        Raises:
          ValueError: There is a projection and `y` is None, or, outside a graph, a label of no
            class.
        """
        logits = self.final_fc(features, training=training)[:, 0]
        if self.projection is None:
            return logits
        if y is None:
            raise ValueError('This discriminator has a projection: y must be given.')
        layers.check_labels(y, self.num_classes)
        embedded = self.projection(layers.probabilities(y, self.num_classes), training=training)
        return logits + tf.reduce_sum(embedded * features, axis=1)

    def call(self, x: tf.Tensor, y: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """D(x, y), float32 [batch]; see `features` and `logits`."""
        return self.logits(self.features(x, training), y, training)

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)
