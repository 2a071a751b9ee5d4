"""The package chooses Keras 2 by itself; where that cannot be, one sentence says so."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import types

import pytest

from official.compat import legacy_keras

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
KERAS_3_INSTALLED = importlib.util.find_spec('tf_keras') is not None


def _python(code, **environment):
    kept = {name: value for name, value in os.environ.items() if name != legacy_keras.VARIABLE}
    return subprocess.run(
        [sys.executable, '-c', code],
        env={**kept, 'PYTHONPATH': ROOT, 'TF_CPP_MIN_LOG_LEVEL': '3', **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize('package', ['official.modeling.optimizers', 'research.ladder.model'])
def test_a_notebook_may_import_tensorflow_before(package):
    done = _python(
        f'import tensorflow as tf\nimport {package}\n'
        # As packages do that are imported later.
        'import tensorflow.keras\nfrom tensorflow.keras.layers import Dense\n'
        'assert issubclass(Dense, tf.keras.layers.Layer)\n'
        'module = tf.keras.layers.Layer.__module__\nprint(module)\n'
        'import sys\n'
        'print(sys.modules[module.split(".")[0]].__version__)'
    )
    module, version = done.stdout.split()
    assert module.split('.')[0] == ('tf_keras' if KERAS_3_INSTALLED else 'keras'), done.stderr
    assert version.startswith('2.')


@pytest.mark.skipif(not KERAS_3_INSTALLED, reason='this stack has no Keras but Keras 2')
@pytest.mark.parametrize('package', ['official', 'research'])
def test_keras_3_in_use_is_one_sentence(package):
    done = _python(f'import tensorflow as tf\ntf.keras.layers.Dense(1)\nimport {package}')
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        'ImportError: tf.keras is Keras 3 already, and Arboretum is written for Keras 2: import '
        'official or research before tf.keras is used, or set TF_USE_LEGACY_KERAS=1 before '
        'TensorFlow is imported.'
    )


def _stack(monkeypatch, tf_keras=True, keras='3.15.1', variable=None, in_use=None):
    """Makes it look as if such packages were installed and in use."""
    spec = types.SimpleNamespace(origin='/packages/tf_keras/__init__.py') if tf_keras else None
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: spec)
    monkeypatch.setattr(importlib.metadata, 'version', lambda name: keras)
    # Set first, so that what the choice sets is undone.
    monkeypatch.setenv(legacy_keras.VARIABLE, '')
    monkeypatch.delenv(legacy_keras.VARIABLE)
    if variable is not None:
        monkeypatch.setenv(legacy_keras.VARIABLE, variable)
    monkeypatch.delitem(sys.modules, 'tensorflow', raising=False)
    if in_use:
        module = 'keras.src.models.model' if in_use[0] == '3' else 'tf_keras.src.engine.training'
        model = type('Model', (), {'__module__': module})
        tensorflow = types.SimpleNamespace(
            keras=types.SimpleNamespace(Model=model), __path__=['/packages/tensorflow']
        )
        monkeypatch.setitem(sys.modules, 'tensorflow', tensorflow)
        package = types.SimpleNamespace(__version__=in_use)
        monkeypatch.setitem(sys.modules, module.split('.')[0], package)


@pytest.mark.parametrize('variable', [None, '1', 'true'])
def test_tf_keras_is_chosen_where_it_is_installed(monkeypatch, variable):
    _stack(monkeypatch, variable=variable, in_use='2.21.0')
    legacy_keras.choose()
    assert os.environ[legacy_keras.VARIABLE] == (variable or '1')


def test_keras_2_without_tf_keras_stays_as_it_is(monkeypatch):
    _stack(monkeypatch, tf_keras=False, keras='2.15.0')
    legacy_keras.choose()
    assert legacy_keras.VARIABLE not in os.environ


@pytest.mark.parametrize(
    'stack, sentence',
    [
        ({'tf_keras': False}, 'the installed Keras is 3.15.1: install tf-keras'),
        ({'variable': '0'}, 'TF_USE_LEGACY_KERAS=0 asks for Keras 3: unset it or set it to 1'),
        ({'in_use': '3.15.1'}, 'tf.keras is Keras 3 already'),
    ],
)
def test_what_cannot_work_is_one_sentence(monkeypatch, stack, sentence):
    _stack(monkeypatch, **stack)
    with pytest.raises(ImportError, match=sentence) as raised:
        legacy_keras.choose()
    assert '\n' not in str(raised.value)
