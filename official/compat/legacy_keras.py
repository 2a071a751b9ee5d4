"""The choice of Keras behind `tf.keras`, which TensorFlow makes once per process."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys

VARIABLE = 'TF_USE_LEGACY_KERAS'
_ON = ('1', 'true', 'True')  # What TensorFlow takes for yes.


def choose() -> None:
    """Makes `tf.keras` Keras 2, where Keras 3 is installed as well; elsewhere changes nothing.

    From TensorFlow 2.16 on `tf.keras` is Keras 3, unless `TF_USE_LEGACY_KERAS=1` is set when it is
    first touched. The packages `official` and `research` call this when they are imported, so that
    a notebook or a script needs no variable. This is the one side effect of an import: later would
    be too late.

    Raises:
      ImportError: if `tf.keras` is Keras 3 already, or can only become Keras 3.
    """
    tf_keras = importlib.util.find_spec('tf_keras')
    if tf_keras is None:
        if _installed_keras().startswith('3.'):
            raise ImportError(
                'Arboretum is written for Keras 2, and the installed Keras is '
                f'{_installed_keras()}: install tf-keras in the version of TensorFlow.'
            )
        return
    if os.environ.setdefault(VARIABLE, '1') not in _ON:
        raise ImportError(
            f'Arboretum is written for Keras 2, and {VARIABLE}={os.environ[VARIABLE]} asks for '
            'Keras 3: unset it or set it to 1.'
        )
    # TensorFlow may have been imported before; its tf.keras is made when it is first touched.
    tensorflow = sys.modules.get('tensorflow')
    if tensorflow is not None and _is_keras_3(tensorflow):
        raise ImportError(
            'tf.keras is Keras 3 already, and Arboretum is written for Keras 2: import official or '
            f'research before tf.keras is used, or set {VARIABLE}=1 before TensorFlow is imported.'
        )
    if tensorflow is not None and tf_keras.origin:
        # `import tensorflow.keras` in other packages looks here, and would find Keras 3.
        folder = os.path.join(os.path.dirname(tf_keras.origin), 'api', '_v2')
        if folder not in tensorflow.__path__:
            tensorflow.__path__ = [folder, *tensorflow.__path__]


def _installed_keras() -> str:
    """Returns the version of the package keras, or '' where there is none."""
    try:
        return importlib.metadata.version('keras')
    except importlib.metadata.PackageNotFoundError:
        return ''


def _is_keras_3(tensorflow) -> bool:
    package = tensorflow.keras.Model.__module__.split('.')[0]
    return getattr(sys.modules[package], '__version__', '').startswith('3.')
