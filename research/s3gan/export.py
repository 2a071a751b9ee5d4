"""What a client of an exported GAN can call."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.core import export
from research.s3gan import layers


def signatures(model: tf.keras.Model, data: Any) -> export.Signatures:
    """Signatures of the averaged generator and of the discriminator, for batches of any size.

    - generate (and serving_default): z float32 [batch, z_dim], label int32 [batch] to images
      float32 [batch, size, size, channels] in [0, 1].
    - generate_pixels: the same to pixels, uint8.
    - discriminate: images float32 [batch, size, size, channels] in [0, 1], label int32 [batch], to
      logits float32 [batch], high for real, and features float32 [batch, features].

    Each refuses labels of no class, other sizes, and numbers of labels that do not match.

    Args:
      model: an `S3GAN`.
      data: the `GanData` it was trained on.
    """
    del data
    net = model.generator
    z = tf.TensorSpec([None, net.z_dim], tf.float32, 'z')
    label = tf.TensorSpec([None], tf.int32, 'label')
    images = tf.TensorSpec(
        [None, net.image_size, net.image_size, net.channels], tf.float32, 'images'
    )

    def generate(z, label):
        with (
            layers.labels_are(0, label, net.num_classes),
            layers.shapes_are({'z': (z, (tf.size(label), net.z_dim))}),
        ):
            return {'images': net(tf.identity(z), label)}

    def generate_pixels(z, label):
        pixels = tf.round(generate(z, label)['images'] * 255)
        return {'pixels': tf.cast(pixels, tf.uint8)}

    def discriminate(images, label):
        size = (tf.size(label), net.image_size, net.image_size, net.channels)
        with (
            layers.labels_are(0, label, net.num_classes),
            layers.shapes_are({'images': (images, size)}),
        ):
            features = model.discriminator.features(layers.unit_images(tf.identity(images)))
            return {'logits': model.discriminator.logits(features, label), 'features': features}

    return {
        'generate': (generate, [z, label]),
        'generate_pixels': (generate_pixels, [z, label]),
        'discriminate': (discriminate, [images, label]),
    }
