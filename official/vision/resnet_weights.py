"""Weights of residual networks of `tf.keras.applications`, from files that are at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence

import h5py
import numpy as np
import tensorflow as tf

Layers = dict[str, dict[str, np.ndarray]]


def layer_names(blocks: Sequence[int]) -> list[str]:
    """Names of the layers with weights of a network with bottlenecks, in Keras' order.

    Keras sorts layers by how far they are from the end: the convolution of a shortcut, 0_conv,
    stands beside the last of the block, 3_conv.

    Args:
      blocks: bottlenecks in each stage.
    """
    names = ['conv1_conv', 'conv1_bn']
    for stage, count in enumerate(blocks, 2):
        for block in range(1, count + 1):
            for places in ((1,), (2,), (0, 3) if block == 1 else (3,)):
                names += [
                    f'conv{stage}_block{block}_{place}_{kind}'
                    for kind in ('conv', 'bn')
                    for place in places
                ]
    return names


def read(path: str, names: Sequence[str]) -> Layers:
    """Convolutions and batch norms of a file; a classifier on top is left out.

    Args:
      path: a file of weights (.h5, as Keras downloads it), a whole model (.h5 or .keras), or the
        folder of a SavedModel that Keras wrote.
      names: of the layers with weights, in Keras' order. A file without the first of them, but with
        as many layers, is taken to have them in this order under other names, as Keras takes it.

    Returns:
      For each layer its tensors: 'kernel', 'bias', 'gamma', 'beta', 'moving_mean' and
      'moving_variance', those that it has.

    Raises:
      FileNotFoundError: if there is nothing at `path`.
      ValueError: if it is none of those files.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{path}: there is no such file of weights; the class in '
            'tf.keras.applications, with include_top=False, downloads one.'
        )
    try:
        layers = _from_h5(path) if h5py.is_hdf5(path) else _from_model(path)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f'{path} is damaged, or none of those files: {error}.') from error
    layers = {
        name: tensors
        for name, tensors in layers.items()
        if tensors and tensors.get('kernel', np.zeros(())).ndim != 2
    }
    if names[0] not in layers and len(layers) == len(names):
        layers = dict(zip(names, layers.values(), strict=True))
    return layers


def _from_h5(path):
    with h5py.File(path, 'r') as file:
        group = file.get('model_weights', file)
        layers = {}
        for layer in _attribute(group, 'layer_names'):
            layers[layer] = {
                _short(name): group[layer][name][()]
                for name in _attribute(group[layer], 'weight_names')
            }
    if not layers:
        raise ValueError(
            f'{path} has no layers of Keras (no attribute layer_names): it is no .h5 '
            'file of the weights of a network of tf.keras.applications.'
        )
    return layers


def _attribute(group, name):
    """A list of names; Keras writes one that is too long for HDF5 in parts, name0, name1, ..."""
    parts = [name]
    if name not in group.attrs:
        parts = [
            f'{name}{number}'
            for number in range(len(group.attrs))
            if f'{name}{number}' in group.attrs
        ]
    return [
        entry.decode() if isinstance(entry, bytes) else str(entry)
        for part in parts
        for entry in group.attrs[part]
    ]


def _from_model(path):
    try:
        model = tf.keras.models.load_model(path, compile=False)
        return {
            layer.name: {_short(v.name): v.numpy() for v in layer.weights} for layer in model.layers
        }
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f'{path} is neither an .h5 file nor a model that Keras saved: {error}'
        ) from error


def _short(name):
    return name.split('/')[-1].split(':')[0]


def tensor(path: str, layers: Layers, layer: str, name: str, shape: Sequence[int]) -> np.ndarray:
    """One tensor of those that `read` returned.

    Args:
      path: of the file, for what is told.
      layers: see `read`.
      layer: its name.
      name: of the tensor in the layer.
      shape: what it must be of.

    Raises:
      ValueError: if it is not there or not of `shape`.
    """
    have = f'{layer}/{name}'
    if name not in layers.get(layer, {}):
        raise ValueError(f'{path} has no tensor {have}: it is of another network.')
    value = layers[layer][name]
    if value.shape != tuple(shape):
        raise ValueError(
            f'{path}: {have} is {list(value.shape)} and this network has '
            f'{list(shape)}: it is of another network.'
        )
    return value


def check_none_left(path: str, layers: Layers, names: Sequence[str]) -> None:
    """Raises ValueError if the file has layers that are not among `names`."""
    left = [layer for layer in layers if layer not in set(names)]
    if left:
        raise ValueError(
            f'{path} has {left[0]}/{next(iter(layers[left[0]]))}, which this network '
            f'has not: it is of another network.'
        )
