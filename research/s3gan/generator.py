"""The BigGAN generator (Lucic et al. 2019, Tables 6, 9 and 11)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.modeling import normalization, random, spectral
from research.s3gan import layers

# Widths in units of ch before the first block and after each block, and after which block the
# non-local block comes.
_WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
_ATTENTION = {32: None, 64: None, 128: 4, 256: 5}
_CHUNK = 20
_SEED_SIZE = 4


class Generator(tf.keras.Model):
    """z and a label to an image: without arguments the paper's, of 128 pixels (Table 6).

    z is cut into one chunk more than there are blocks. The first goes through a dense layer to
    4 x 4 x 16 ch, each other, beside the embedded label, conditions the batch norms of its block.
    Table 11 lists the variables: 70 433 988 numbers.

    - Images are in [0, 1], (tanh + 1) / 2, where Table 6 ends with tanh.
    - z has 20 numbers a chunk: 120 at 128 pixels, as the paper; 140 at 256.
    - At 32 and 64 pixels, of which the paper has no table, the widths are those of the authors'
      code, and there is no non-local block by default.
    - The initial weights are orthogonal (Brock et al. 2019); the paper does not say.

    Args:
      image_size: height and width of an image: 32, 64, 128 or 256.
      ch: the channel multiplier of Table 6.
      num_classes: labels.
      z_dim: size of z, a multiple of the number of blocks and one; by default 20 a chunk.
      channels: of an image, 1 or 3.
      attention_after: the block after which the non-local block comes, counted from 1; 0: none;
        by default 4 at 128 pixels, 5 at 256.
      embedding_size: size of the embedded label.
      unit_gain: see `ConditionalBatchNorm`.
      upsampling: see `SpectralConv2D`; the paper does not say.
      fused: see `SpectralConv2D`.
      spectral_norm: whether the layers but the label's embedding are spectrally normalized.
      decay: of the moving statistics of the batch norms.
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
        z_dim: int | None = None,
        channels: int = 3,
        attention_after: int | None = None,
        embedding_size: int = 128,
        unit_gain: bool = True,
        upsampling: str = spectral.NEAREST,
        fused: bool = True,
        spectral_norm: bool = True,
        decay: float = 0.9,
        seed: int = 0,
        name: str = 'generator',
    ):
        super().__init__(name=name, autocast=False)
        layers.check_architecture('Generator', image_size, ch, num_classes, channels, _WIDTHS)
        widths = [ch * width for width in _WIDTHS[image_size]]
        blocks = len(widths) - 1
        z_dim = _CHUNK * (blocks + 1) if z_dim is None else z_dim
        if z_dim < 1 or z_dim % (blocks + 1):
            raise ValueError(
                f'Generator.z_dim = {z_dim} is not a positive multiple of {blocks + 1}: one chunk '
                f'for the first layer and one for each of the {blocks} blocks of {image_size} '
                f'pixels.'
            )
        if attention_after is None:
            attention_after = _ATTENTION[image_size] or 0
        if attention_after not in range(blocks + 1):
            raise ValueError(
                f'Generator.attention_after = {attention_after} is outside [0, {blocks}].'
            )
        self._config = {
            'image_size': image_size,
            'ch': ch,
            'num_classes': num_classes,
            'z_dim': z_dim,
            'channels': channels,
            'attention_after': attention_after,
            'embedding_size': embedding_size,
            'unit_gain': unit_gain,
            'upsampling': upsampling,
            'fused': fused,
            'spectral_norm': spectral_norm,
            'decay': decay,
            'seed': seed,
            'name': name,
        }
        self.image_size, self.channels = image_size, channels
        self.num_classes, self.z_dim = num_classes, z_dim
        self.attention_after = attention_after
        key = random.make_key(seed)
        keys = [random.fold_in(key, number) for number in range(blocks + 5)]
        chunk = z_dim // (blocks + 1)
        with tf.name_scope(name):
            self.embed_y = spectral.SpectralDense(
                num_classes,
                embedding_size,
                keys[-1],
                use_bias=False,
                normalize=False,
                name='embed_y',
            )
            self.fc_noise = spectral.SpectralDense(
                chunk, widths[0] * _SEED_SIZE**2, keys[-2], normalize=spectral_norm, name='fc_noise'
            )
            self.blocks = [
                layers.GeneratorBlock(
                    widths[block],
                    widths[block + 1],
                    chunk + embedding_size,
                    keys[block],
                    unit_gain=unit_gain,
                    upsampling=upsampling,
                    fused=fused,
                    normalize=spectral_norm,
                    decay=decay,
                    name=f'B{block + 1}',
                )
                for block in range(blocks)
            ]
            self.non_local_block = (
                layers.NonLocalBlock(widths[attention_after], keys[-3], spectral_norm)
                if attention_after
                else None
            )
            self.final_norm = normalization.BatchNorm(widths[-1], decay=decay, name='final_norm')
            self.final_conv = spectral.SpectralConv2D(
                widths[-1], channels, keys[-4], normalize=spectral_norm, name='final_conv'
            )
        self.built = True

    def call(
        self, z: tf.Tensor, y: tf.Tensor, training: bool = False, frozen: bool = False
    ) -> tf.Tensor:
        """Makes images.

        Args:
          z: float32 [batch, z_dim], N(0, 1).
          y: labels, int [batch] or probabilities, float32 [batch, num_classes].
          training: normalize with the statistics of the batch, and move the averages and the
            vectors u of the spectral norms.
          frozen: while training, move nothing.

        Returns:
          float32 [batch, image_size, image_size, channels] in [0, 1].

        Raises:
          ValueError: z is of another size than `z_dim`; outside a graph also a label of no class.
        """
        layers.check_labels(y, self.num_classes)
        if z.shape[-1] != self.z_dim:
            raise ValueError(f'z of {z.shape[-1]} numbers; Generator.z_dim = {self.z_dim}.')
        moving = training and not frozen
        embedded = self.embed_y(layers.probabilities(y, self.num_classes))
        first, *chunks = tf.split(z, len(self.blocks) + 1, axis=1)
        x = tf.cast(self.fc_noise(first, training=moving), self.compute_dtype)
        x = tf.reshape(x, [-1, _SEED_SIZE, _SEED_SIZE, x.shape[-1] // _SEED_SIZE**2])
        for number, (block, chunk) in enumerate(zip(self.blocks, chunks, strict=True), 1):
            condition = tf.concat([chunk, embedded], axis=1)
            x = block(x, condition, training=training, frozen=frozen)
            if number == self.attention_after:
                x = self.non_local_block(x, training=moving)
        x = tf.nn.relu(self.final_norm(x, training=training, frozen=frozen))
        x = tf.cast(self.final_conv(x, training=moving), tf.float32)
        return (tf.tanh(x) + 1.0) / 2.0

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)
