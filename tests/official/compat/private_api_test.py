"""Private APIs of Keras and TensorFlow are used in official/compat only, and Keras as tf.keras."""

import ast
import functools
import glob
import importlib
import inspect
import os
import pkgutil
import re
import sys
import types

import pytest

import official
import research
from official.core import callbacks

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FOLDERS = ('official', 'research', 'benchmarks', 'tests', 'tools')
ALLOWED = os.path.join('official', 'compat', '')
# Methods of named tuples, which are public in spite of their names.
NAMED_TUPLE = {'_asdict', '_fields', '_replace'}
# Private names of other packages, and where; the reasons are beside the lines.
OTHERS = {
    ('research/dqn/agent.py', '_target_q_network'),  # tf-agents': what a subclass is to use.
    ('research/dqn/agent.py', '_epsilon_greedy'),
    ('benchmarks/dqn_torch.py', '_n_updates'),  # Stable-Baselines3
    ('benchmarks/s3gan_torch.py', '_foreach_lerp_'),  # PyTorch
    ('tests/research/geometric/datasets/restricted_pickle_test.py', '_private'),  # NumPy
}
STANDARD = sys.stdlib_module_names  # Such as sys._base_executable.
NAMED = ('getattr', 'hasattr', 'setattr', 'delattr')  # Functions that take a name.


def _is_private(name):
    return name == '__internal__' or (name.startswith('_') and not name.startswith('__'))


def _defined(tree):
    """Private names that a module gives to something of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in ('self', 'cls')
        ):
            yield node.attr


def _imports(node):
    """The modules that an import statement names, with what it takes from them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [f'{node.module}.{alias.name}' for alias in node.names]
    return []


def _is_private_module(name):
    package, *parts = name.split('.')
    if package in ('keras', 'tf_keras'):  # Which Keras that is depends on the stack.
        return True
    return package == 'tensorflow' and any(
        part in ('python', 'core', 'compiler', 'keras') or _is_private(part) for part in parts
    )


def uses(path, text, ours):
    """Yields each use of a package's private name that is not of `ours`, as 'path:line: it'."""
    for node in ast.walk(ast.parse(text)):
        for module in filter(_is_private_module, _imports(node)):
            yield f'{path}:{node.lineno}: {module}'
        names = []
        if isinstance(node, ast.Attribute):
            of_python = isinstance(node.value, ast.Name) and node.value.id in STANDARD
            names += [] if of_python else [node.attr]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            second = node.args[1:2] if node.func.id in NAMED else []
            names += [name.value for name in second if isinstance(name, ast.Constant)]
        for name in names:
            known = name in ours or name in NAMED_TUPLE or (path, name) in OTHERS
            if _is_private(str(name)) and not known:
                yield f'{path}:{node.lineno}: {name}'


@functools.cache
def _sources():
    found = {}
    for folder in FOLDERS:
        for path in glob.glob(os.path.join(ROOT, folder, '**', '*.py'), recursive=True):
            with open(path, encoding='utf-8') as f:
                found[os.path.relpath(path, ROOT)] = f.read()
    return found


@functools.cache
def _ours():
    here = os.path.relpath(__file__, ROOT)  # It plants some.
    texts = (text for path, text in _sources().items() if path != here)
    return {name for text in texts for name in _defined(ast.parse(text))}


def test_private_apis_are_in_compat_only():
    found = {path: list(uses(path, text, _ours())) for path, text in _sources().items()}
    inside = [use for path, some in found.items() if path.startswith(ALLOWED) for use in some]
    outside = [use for path, some in found.items() if not path.startswith(ALLOWED) for use in some]
    assert not outside, '\n'.join(outside)
    # It does look: these are the ones of compat.
    names = {use.rpartition(' ')[2] for use in inside}
    assert {
        '__internal__',
        '_index_dict',
        '_SEED_GENERATOR',
        '_tf_api_names',
        '_velocities',
    } <= names
    assert 'tensorflow.python.ops.control_flow_util' in names


@pytest.mark.parametrize(
    'line',
    [
        'import keras',
        'from keras import layers',
        'from tf_keras.src import backend',
        'from tensorflow.keras import layers',
        'from tensorflow.python.ops import control_flow_util',
        'from tensorflow import python',
        'tf.__internal__.tracking.no_automatic_dependency_tracking',
        'tf.keras.__internal__.utils',
        'optimizer._index_dict[key]',
        'super()._trackable_children()',
        'layer._dtype_policy = None',
        "getattr(model, '_is_compiled', False)",
        "hasattr(layer, '_keras_history')",
    ],
)
def test_a_planted_use_is_named(line):
    planted = list(uses('research/planted.py', f'x = 1\n{line}\n', _ours()))
    assert planted and planted[0].startswith('research/planted.py:2: '), planted


@pytest.mark.parametrize(
    'line',
    [
        'self._steps',
        'sys._base_executable',
        'pair._replace(x=1)',
        'tf.keras.layers.Dense(1)._name_of_ours',
        'x.__class__',
    ],
)
def test_what_is_ours_or_public_is_not(line):
    assert not list(uses('research/planted.py', line, {*_ours(), '_name_of_ours'}))


def test_gin_files_name_keras_as_tensorflow_does():
    wrong = re.compile(
        r'^(from|import) (keras|tf_keras|tensorflow\.(keras|python))\b', re.MULTILINE
    )
    paths = glob.glob(os.path.join(ROOT, 'gin_configs', '**', '*.gin'), recursive=True)
    assert len(paths) > 100
    for path in paths:
        with open(path, encoding='utf-8') as f:
            assert not wrong.search(f.read()), path


def test_what_the_second_stack_lacks_is_needed_nowhere():
    """tensorflow-addons nowhere, dm-reverb only where one sentence says that it is missing."""
    found = {
        (module.split('.')[0], path)
        for path, text in _sources().items()
        if path.startswith(('official', 'research', 'benchmarks'))
        for node in ast.walk(ast.parse(text))
        for module in _imports(node)
    }
    assert ('tensorflow', 'official/core/model.py') in found
    lacking = {use for use in found if use[0] in ('tensorflow_addons', 'reverb')}
    assert lacking == {('reverb', 'official/compat/reverb_server.py')}


# What a subclass gives a name that its base class has, by accident or to change it.


def _modules():
    for package in (official, research):
        for module in pkgutil.walk_packages(package.__path__, f'{package.__name__}.'):
            # Main modules define flags; reverb is not on every stack.
            if 'reverb' not in module.name and not module.name.endswith('__main__'):
                yield importlib.import_module(module.name)


def _names_in(cls):
    """Names of methods, and of attributes that methods set."""
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        source = ''
    return {*vars(cls), *re.findall(r'self\.(_\w+)(?:: [^=\n]+)? = ', source)}


def overridden(cls):
    """Private names of a class that a base class of Keras or TensorFlow uses, too."""
    bases = [
        base
        for base in cls.__mro__[1:]
        if base.__module__.split('.')[0] in ('keras', 'tf_keras', 'tensorflow')
    ]
    theirs = set().union(*map(_names_in, bases)) - {'_abc_impl'}
    return {name for name in _names_in(cls) & theirs if _is_private(name)}


def test_no_class_overrides_a_private_name_of_a_base_class():
    classes = {
        value
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.split('.')[0] in ('official', 'research')
    }
    assert len(classes) > 300 and callbacks.Progress in classes
    found = {cls.__qualname__: names for cls in classes if (names := overridden(cls))}
    assert found == {'TensorLogsCallback': {'_supports_tf_logs'}}


def test_a_planted_override_is_named():
    base = types.new_class('Dense', (callbacks.keras_private.tf.keras.layers.Dense,))

    class Planted(base):
        def __init__(self):
            self._metrics = []

        def _trackable_children(self):
            return {}

    assert overridden(Planted) == {'_metrics', '_trackable_children'}
