"""Inception V3 as the features of FID and Inception Score, from weights that are at hand."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

# Where TensorFlow's authors keep the network of Heusel et al. 2017, whose scores papers print.
TF_GAN = 'https://tfhub.dev/tensorflow/tfgan/eval/inception/1'
_SIZE = 299
_HUB = '?tf-hub-format=compressed'


class InceptionV3(tf.keras.Model):
    """Images of any size to the 2048 features after pooling, and to class probabilities.

    Images are resized bilinearly to 299 pixels and scaled to [-1, 1]; grey ones become RGB.

    Args:
      network: called with float32 [n, 299, 299, 3] in [-1, 1], gives features [n, 2048] and logits
        [n, classes].
      about: says which weights they are.
    """

    def __init__(self, network: tf.keras.Model, about: str):
        super().__init__(name='inception_v3')
        self._network = network
        self.about = about

    def call(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [n, height, width, 1 or 3] in [0, 1] to [n, 2048] and [n, classes]."""
        if images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        # As TensorFlow 1 resized, whose corners the published scores have; no antialiasing.
        images = tf.raw_ops.ResizeBilinear(images=images, size=[_SIZE, _SIZE])
        features, logits = self._network(2.0 * images - 1.0)
        return features, tf.nn.softmax(tf.cast(logits, tf.float32))


def load(source: Any = None, weights: str = TF_GAN) -> InceptionV3:
    """Inception V3 from a file, a folder or an address.

    Args:
      source: not used; every maker of features takes the images' source.
      weights: a SavedModel with the outputs 'pool_3' and 'logits', as a folder or an address of
        TensorFlow Hub, such as `TF_GAN`, whose scores compare with published ones; or a file of
        Keras weights (`tf.keras.applications.InceptionV3`, with the top), whose do not.

    Returns:
      A model with the text `about`.

    Raises:
      FileNotFoundError: if there is nothing at `weights`, or no network to fetch it.
      ValueError: if what is there is no Inception V3.
    """
    del source
    if '://' in weights:
        return _saved_model(_fetched(weights), weights)
    if os.path.isdir(weights):
        return _saved_model(weights, weights)
    if not os.path.exists(weights):
        raise FileNotFoundError(
            f'{weights}: no such weights of Inception V3; {TF_GAN} has those of published scores.'
        )
    # Built in the middle of another model's policy, it would compute in bfloat16.
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy('float32')
    try:
        whole = tf.keras.applications.InceptionV3(weights=None, classifier_activation=None)
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
    try:
        whole.load_weights(weights)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f'{weights} holds no Keras weights of InceptionV3 ({error}).') from None
    network = tf.keras.Model(whole.inputs, [whole.get_layer('avg_pool').output, whole.output])
    network.trainable = False
    return InceptionV3(
        lambda images: network(images, training=False),
        f"Keras' Inception V3 ({os.path.basename(weights)}), whose scores do not "
        'compare with published ones',
    )


def _saved_model(folder: str, name: str) -> InceptionV3:
    try:
        loaded = tf.saved_model.load(folder)
        function = loaded if callable(loaded) else loaded.signatures['serving_default']
        outputs = function(tf.zeros([1, _SIZE, _SIZE, 3]))
        sizes = [np.prod(outputs[key].shape) for key in ('pool_3', 'logits')]
    except Exception as error:  # Whatever a folder of something else raises.
        raise ValueError(
            f"{name} is no SavedModel of Inception V3 with the outputs 'pool_3' and "
            f"'logits' ({type(error).__name__})."
        ) from None

    def network(images):
        outputs = function(images)
        return tf.reshape(outputs['pool_3'], [-1, sizes[0]]), outputs['logits']

    return InceptionV3(network, f'Inception V3 ({name})')


def _fetched(address: str) -> str:
    """Fetches and unpacks an archive once; returns its folder."""
    name = 'inception_' + ''.join(c if c.isalnum() else '_' for c in address.partition('://')[2])
    folder = os.path.join(os.path.expanduser('~'), '.keras', 'arboretum', name)
    if os.path.isdir(folder):
        return folder
    import tarfile

    query = _HUB if 'tfhub.dev' in address and '?' not in address else ''
    try:
        archive = tf.keras.utils.get_file(f'{name}.tar.gz', address + query)
    except Exception as error:
        raise FileNotFoundError(
            f'{address} cannot be fetched ({error}); give a folder or file '
            'with weights of Inception V3 in its place.'
        ) from None
    partial = folder + '.partial'
    try:
        with tarfile.open(archive) as file:
            file.extractall(partial, filter='data')
    except tarfile.TarError as error:
        raise ValueError(f'{address} is no archive of a SavedModel ({error}).') from None
    os.replace(partial, folder)
    return folder
