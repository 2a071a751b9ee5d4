"""Looks whether data are what an `S3GAN` can be trained on, before it is."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from official.data import image_sources
from research.s3gan import rotations


def check_data(model: tf.keras.Model, data: Any) -> None:
    """Raises ValueError unless `data`, a `GanData`, fit `model`, an `S3GAN`."""
    net = model.generator
    image_sources.check_fits(data.source, net.image_size, net.channels)
    if data.num_labels != net.num_classes:
        raise ValueError(
            f'Generator.num_classes = {net.num_classes}, and the labels of the '
            f'data are {data.num_labels}.'
        )
    if data.discriminator_steps != model.discriminator_steps:
        raise ValueError(
            f'GanData.discriminator_steps = {data.discriminator_steps} and '
            f'S3GAN.discriminator_steps = {model.discriminator_steps} differ.'
        )
    if model.label_loss is not None and data.labelling.labels.ndim == 2:
        raise ValueError(
            'S3GAN.label_loss needs labels with -1 for none, and the labels of '
            'the data are probabilities.'
        )
    if model.label_loss is None and (data.labelling.labels < 0).any():
        raise ValueError(
            'The data have images without a label, which only co-training '
            '(S3GAN.label_loss) can use.'
        )
    if model.rotation_losses:
        rotations.chosen(data.batch_size, model.rotated_share)  # Raises what it would later.


def check_batch(model: tf.keras.Model, data: Any) -> None:
    """Raises ValueError unless `S3GAN.update` can take a batch; costs nothing in a graph.

    Args:
      model: An `S3GAN`.
      data: What Keras gives to a training step.
    """
    if not isinstance(data, tuple) or len(data) != 2:
        raise ValueError(
            'The data must be pairs (images, labels); of SINGLE LABEL all labels are 0.'
        )
    net, (images, labels) = model.generator, data
    if images.dtype not in (tf.uint8, tf.float32):
        raise ValueError(
            f'images of type {images.dtype.name}; they must be uint8, or float32 in [0, 1].'
        )
    size = (net.image_size, net.image_size, net.channels)
    if images.shape[0] is None:
        raise ValueError(
            'Batches must be all of one size that is known: batch the data with '
            'drop_remainder=True, and compile the model again before it is '
            'trained with batches of another size.'
        )
    if images.shape[1:] != size:
        raise ValueError(
            f'images of {tuple(images.shape[1:])}; the networks are for {size}: '
            'height, width, channels.'
        )
    if labels.shape[0] != images.shape[0]:
        raise ValueError(f'{images.shape[0]} images and {labels.shape[0]} labels.')
    if images.shape[0] % model.discriminator_steps:
        raise ValueError(
            f'A batch of {images.shape[0]} images cannot be divided among '
            f'S3GAN.discriminator_steps = {model.discriminator_steps} updates.'
        )
    if model.rotation_losses:
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context else 1
        rotations.chosen(
            images.shape[0] // model.discriminator_steps * replicas, model.rotated_share, replicas
        )
    if len(labels.shape) == 2 and labels.shape[1] != net.num_classes:
        raise ValueError(
            f'labels of {labels.shape[1]} probabilities; the networks have '
            f'num_classes = {net.num_classes}.'
        )
