"""The configuration of a Match R-CNN's parts, with which Keras saves and loads the model."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def config_of(owner: str, part: Any) -> dict | None:
    """Returns what makes a part again, in Keras' format, of plain values only.

    Args:
      owner: name of the argument, for the error.
      part: an object with `get_config`, such as a layer; None gives None.

    Raises:
      NotImplementedError: if the part has no `get_config`.
    """
    if part is None:
        return None
    try:
        return tf.keras.utils.serialize_keras_object(part)
    except (NotImplementedError, TypeError) as error:
        raise NotImplementedError(
            f'{owner} is a {type(part).__name__} without get_config, by which Keras saves a model; '
            'weights can be saved without it.'
        ) from error


def maker(config: dict, without: tuple[str, ...] = ()) -> Callable:
    """Returns a function that makes the part of a configuration.

    Args:
      config: see `config_of`.
      without: arguments that the caller of the function gives.

    Raises:
      ValueError: if there is no such class.
    """
    name, module = config['class_name'], config['module']
    # The name under which `custom_objects` or Keras' decorator has it goes first.
    found = tf.keras.utils.get_registered_object(config.get('registered_name') or name)
    if found is None:
        found = getattr(importlib.import_module(module), name, None)
    # A file names what is called here: nothing else than a part may be.
    if not (isinstance(found, type) and hasattr(found, 'get_config')):
        raise ValueError(f'{module}.{name} is no class with get_config.')
    arguments = {
        key: tf.keras.utils.deserialize_keras_object(value)
        for key, value in config['config'].items()
        if key not in without
    }
    return functools.partial(found, **arguments)
