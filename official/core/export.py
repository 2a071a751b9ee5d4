"""SavedModels with named signatures, which load where only TensorFlow is."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from official.core import files

# Name of a signature: its function and the specs of the function's arguments.
Signatures = Mapping[str, tuple[Callable, Sequence[tf.TensorSpec]]]


def save(model: tf.keras.Model, signatures: Signatures, path: str) -> str:
    """Writes a SavedModel; an older one at `path` stays until the new one is whole.

    Args:
      model: what the functions of the signatures use.
      signatures: name to (function, specs). A function takes tensors of those specs, named as in
        the specs, and returns a dict of tensors. The first is also `serving_default`.
      path: folder of the SavedModel.

    Returns:
      `path`.

    Raises:
      OSError: if it cannot be written, as on a full disk.
    """
    archive = tf.keras.export.ExportArchive()
    archive.track(model)
    for name, (function, specs) in signatures.items():
        archive.add_endpoint(name, function, input_signature=list(specs))
    partial, old = path + '.partial', path + '.old'
    for leftover in filter(tf.io.gfile.exists, (partial, old)):
        tf.io.gfile.rmtree(leftover)
    try:
        with files.writing(path), contextlib.redirect_stdout(io.StringIO()):
            archive.write_out(partial)  # It would print the temporary name.
    except OSError:
        if tf.io.gfile.exists(partial):
            tf.io.gfile.rmtree(partial)
        raise
    if tf.io.gfile.exists(path):
        tf.io.gfile.rename(path, old)
    tf.io.gfile.rename(partial, path)
    if tf.io.gfile.exists(old):
        tf.io.gfile.rmtree(old)
    return path
