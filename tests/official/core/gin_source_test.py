import os
import re
import subprocess
import sys

import pytest

from official.core import gin_source
from tests.official.core import toy


def _read(tmp_path, text='', params=(), name='toy.gin'):
    return gin_source.read(toy.write_gin(tmp_path, text, name), params)


def _message(tmp_path, text='', params=()):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        _read(tmp_path, text, params)
    message = str(caught.value)
    assert '\n' not in message
    return message.replace(f'{tmp_path}/', '')


def test_reads_bindings_with_full_names(tmp_path):
    source = _read(
        tmp_path, 'toy.Model.layers = (1, @small/toy.Model())\nsmall/toy.Model.units=2\n'
    )
    full = 'tests.official.core.toy'
    assert list(source.bindings) == [
        'official.core.runner.Run.experiment',
        f'{full}.Toy.model',
        f'{full}.Model.layers',
        f'small/{full}.Model.units',
    ]
    assert source.bindings[f'{full}.Model.layers'].line() == (
        'toy.Model.layers = (1, @small/toy.Model())'
    )
    assert source.head == ['# A toy, to be run in no time.', '# Second line.']
    assert 'toy.Toy.model = @toy.Model\n' in source.text()


def test_blocks_and_macros(tmp_path):
    source = _read(tmp_path, 'width = 3\ntoy.Model:\n  units = %width\n  noise_std = 0.5\n')
    assert source.text().endswith(
        'width = 3\ntoy.Model.units = %width\ntoy.Model.noise_std = 0.5\n'
    )


@pytest.mark.parametrize(
    'text, expected',
    [
        (
            'toy.Model.units = \n',
            "toy.gin:8: cannot read 'toy.Model.units =' (Unable to parse value.).",
        ),
        (
            'toy.Model.units = four\n',
            "toy.gin:8: cannot read the value four in 'toy.Model.units = four'; a text needs "
            'quotes, a class an @, a macro a %.',
        ),
        (
            'toy.Model.layers = (1,\n',
            'toy.gin:8: the text ends within a statement.',
        ),
        (
            "toy.Model.name = '''a\n\n\n",
            'toy.gin:10: the text ends within a string.',
        ),
        (
            "toy.Model.name = 'a\ntoy.Model.units = 3\n",
            'toy.gin:8: cannot read "toy.Model.name = \'a" (Unable to parse value.).',
        ),
        (
            'toy.Model.units 3\n',
            "toy.gin:8: cannot read 'toy.Model.units 3' (Couldn't parse statement, "
            "expected ':' or '='.).",
        ),
        (
            'from official.core import runer\n',
            "toy.gin:8: official.core has no module 'runer'; did you mean runner?",
        ),
        (
            'from offical.core import runner\n',
            "toy.gin:8: there is no module 'offical'; did you mean official?",
        ),
        (
            'from tests.official.core import toy_keras as toy\n',
            "toy.gin:8: 'toy' is tests.official.core.toy already; import "
            'tests.official.core.toy_keras with `as`.',
        ),
        (
            'toys.Model.units = 3\n',
            "toy.gin:8: 'toys' of 'toys.Model' is not imported; did you mean toy?",
        ),
        (
            'toy.Model.inner = @tooy.Model\n',
            "toy.gin:8: 'tooy' of 'tooy.Model' is not imported; did you mean toy?",
        ),
        (
            'toy.Model.units = 3\n\ntoy.Model.units = 4\n',
            'toy.gin:10: tests.official.core.toy.Model.units is bound a second time (first at '
            'toy.gin:8).',
        ),
        (
            'depth = 2\ntoy.Model.units = %deph\n',
            'toy.gin:9: no line defines the macro %deph; did you mean depth?',
        ),
        (
            'toy.Model.inner = @small/toy.Model\nsmal/toy.Model.units = 2\n',
            "toy.gin:9: no reference @smal/... opens the scope 'smal'; did you mean small?",
        ),
        (
            'toy.Model.units = %gin.REQUIRED\n',
            'toy.gin:8: a value is needed: --gin_param=toy.Model.units=...',
        ),
        ("include 'other.gin'\n", 'toy.gin:8: an include must stand before the first binding.'),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, expected):
    assert _message(tmp_path, text) == expected


def test_the_first_statement_is_dynamic_registration(tmp_path):
    path = tmp_path / 'x.gin'
    path.write_text('# Head.\n\nfrom official.core import runner\n')
    with pytest.raises(ValueError, match='x.gin:3: the first statement must be "from __gin__ im'):
        gin_source.read(str(path))


def test_missing_files_name_those_near(tmp_path, monkeypatch):
    toy.write_gin(tmp_path, name='digits_100.gin')
    monkeypatch.chdir(tmp_path)
    expected = 'digits_10.gin does not exist; did you mean digits_100.gin?'
    with pytest.raises(FileNotFoundError, match=re.escape(expected)):
        gin_source.read('digits_10.gin')
    with pytest.raises(FileNotFoundError, match='is a folder, not a gin file'):
        gin_source.read(str(tmp_path))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / 'x.gin'
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='x.gin is not a text file in UTF-8'):
        gin_source.read(str(path))


def test_paths_from_the_projects_folder(tmp_path, monkeypatch):
    # Not in the current folder, so looked for in the project's.
    monkeypatch.setattr(gin_source, 'ROOT', str(tmp_path))
    os.makedirs(tmp_path / 'gin_configs')
    path = toy.write_gin(tmp_path / 'gin_configs')
    assert gin_source.read('gin_configs/toy.gin').path == path


def test_packages_without_init(tmp_path, monkeypatch):
    (tmp_path / 'bare' / 'inner').mkdir(parents=True)
    (tmp_path / 'bare' / 'inner' / 'model.py').write_text('raise AssertionError')
    monkeypatch.syspath_prepend(str(tmp_path))
    source = _read(tmp_path, 'from bare.inner import model\ntoy.Model.inner = @model.Net\n')
    assert source.imports['model'].module == 'bare.inner.model'
    assert _message(tmp_path, 'from bare.inner import modle\n') == (
        "toy.gin:8: bare.inner has no module 'modle'; did you mean model?"
    )


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def values(path):
    bindings = gin_source.read(path).bindings
    return {key.removeprefix('tests.official.core.'): b.value for key, b in bindings.items()}


def test_a_file_replaces_what_it_includes_and_a_later_include_an_earlier_one(tmp_path):
    base = toy.write_gin(tmp_path, 'toy.Model.units = 3\ntoy.Model.noise_std = 0.1\n', 'base.gin')
    wide = write(tmp_path, 'wide.gin', f"# Wide.\ninclude '{base}'\ntoy.Model.units = 8\n")
    quiet = write(tmp_path, 'quiet.gin', f"include '{base}'\ntoy.Model.noise_std = 0.0\n")
    both = write(tmp_path, 'both.gin', f"# Both.\ninclude '{wide}'\ninclude '{quiet}'\n")
    # base.gin, which both include, is read once: it does not take the 8 back.
    assert values(both)['toy.Model.units'] == 8 and values(both)['toy.Model.noise_std'] == 0.0
    loud = write(tmp_path, 'loud.gin', f"include '{base}'\ntoy.Model.noise_std = 2.0\n")
    last = f"include '{quiet}'\ninclude '{loud}'\n"
    assert values(write(tmp_path, 'last.gin', last))['toy.Model.noise_std'] == 2.0
    own = write(tmp_path, 'own.gin', f"include '{both}'\ntoy.Model.noise_std = 1.0\n")
    assert values(own)['toy.Model.noise_std'] == 1.0 and values(own)['toy.Model.units'] == 8
    source = gin_source.read(own)
    assert source.head == [] and gin_source.read(both).head == ['# Both.']
    assert 'include' not in source.text() and source.text().startswith('from __gin__ import')


def test_a_file_may_import_what_it_includes_too(tmp_path):
    base = toy.write_gin(tmp_path, 'toy.Model.units = 3\n', 'base.gin')
    text = f"include '{base}'\nfrom tests.official.core import toy as t\nt.Model.units = 5\n"
    assert values(write(tmp_path, 'x.gin', text))['toy.Model.units'] == 5


def test_includes_that_cannot_be_read(tmp_path):
    first = write(tmp_path, 'first.gin', f"include '{tmp_path}/second.gin'\n")
    second = write(tmp_path, 'second.gin', f"# Second.\ninclude '{tmp_path}/first.gin'\n")
    with pytest.raises(ValueError, match='second.gin:2: .*first.gin includes itself.'):
        gin_source.read(first)
    with pytest.raises(ValueError, match='first.gin:1: .*second.gin includes itself.'):
        gin_source.read(second)
    outer = write(tmp_path, 'outer.gin', "# Outer.\ninclude 'nowhere.gin'\n")
    with pytest.raises(FileNotFoundError, match='outer.gin:2: nowhere.gin does not exist'):
        gin_source.read(outer)
    bare = write(tmp_path, 'bare.gin', 'toy.Model.units = 3\n')
    outer = write(tmp_path, 'outer.gin', f"include '{bare}'\n")
    with pytest.raises(ValueError, match='bare.gin:1: '):
        gin_source.read(outer)


@pytest.mark.parametrize(
    'param',
    [
        'Model.units=9',
        'toy.Model.units = 9',
        'core.toy.Model.units=9',
        'tests.official.core.toy.Model.units=9',
    ],
)
def test_overrides_by_any_end_of_the_name(tmp_path, param):
    source = _read(tmp_path, 'toy.Model.units = 3\n', (param,))
    assert source.bindings['tests.official.core.toy.Model.units'].value == 9
    assert source.text().count('toy.Model.units = 9') == 1
    assert 'toy.Model.units = 3' not in source.text()


def test_overrides_of_what_the_file_leaves_out_of_scopes_and_of_macros(tmp_path):
    text = 'depth = 2\ntoy.Model.layers = %depth\ntoy.Model.inner = @small/toy.Model\n'
    source = _read(tmp_path, text, ('Toy.bias=2.5', 'small/Model.units=1', 'depth=4'))
    assert source.bindings['tests.official.core.toy.Toy.bias'].value == 2.5
    assert source.bindings['small/tests.official.core.toy.Model.units'].value == 1
    assert source.bindings['depth'].value == 4


def test_an_override_may_bring_in_a_class_that_a_later_one_names(tmp_path):
    source = _read(tmp_path, params=('Toy.model=@toy.Forwarding', 'Forwarding.width=2'))
    assert source.bindings['tests.official.core.toy.Forwarding.width'].value == 2


@pytest.mark.parametrize(
    'param, expected',
    [
        ('Modle.units=9', "the file does not use 'Modle'; did you mean toy.Model?"),
        ('units=9', "the file has no macro 'units'; did you mean toy.Model.units?"),
        (
            'Kept.model=@toy.Model',
            "the file does not use 'Kept'; there is runner.Run, toy.Model, toy.Toy.",
        ),
        ('Model.units', 'an override is one Class.parameter=value.'),
        ('Model.units=', "cannot read 'Model.units=' (Unable to parse value.)."),
        (
            'Model.units=big',
            "cannot read the value big in 'Model.units=big'; a text needs quotes, a "
            'class an @, a macro a %.',
        ),
        ('import os', 'an override is one Class.parameter=value.'),
        ('Toy.model=@tooy.Model', "'tooy' of 'tooy.Model' is not imported; did you mean toy?"),
    ],
)
def test_mistakes_in_an_override(tmp_path, param, expected):
    message = _message(tmp_path, 'toy.Model.units = 3\n', (param,))
    assert message == f'--gin_param={param}: {expected}'


def test_an_override_that_may_be_two_classes(tmp_path):
    path = tmp_path / 'x.gin'
    path.write_text(
        toy.GIN + 'from tests.official.core import toy_keras\ntoy.Model.inner = @toy_keras.Model\n'
    )
    with pytest.raises(ValueError, match="'Model' may be toy.Model or toy_keras.Model"):
        gin_source.read(str(path), ('Model.units=3',))


def test_reading_imports_nothing_that_the_file_names(tmp_path):
    text = 'from official.core import keras_experiment\nimport tensorflow as tf\n'
    path = toy.write_gin(tmp_path, text)
    code = (
        'import sys\nfrom official.core import gin_source\n'
        f'gin_source.read({path!r})\n'
        "named = ('tensorflow', 'tests', 'official.core.keras_experiment')\n"
        'print([module for module in sys.modules if module.startswith(named)])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        cwd=gin_source.ROOT,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))},
        check=True,
    )
    assert done.stdout.strip() == '[]'


@pytest.mark.parametrize(
    'text, expected',
    [
        ('toy.Toy.bias = 1e999\n', 'toy.gin:8: toy.Toy.bias = inf is not a finite number.'),
        (
            'toy.Model.layers = (1, [-1e999])\n',
            'toy.gin:8: toy.Model.layers = -inf is not a finite number.',
        ),
        ('rate = 1e999\n', 'toy.gin:8: rate = inf is not a finite number.'),
        (
            f'toy.Model.units = 1\ntoy.Model.layers = {"(" * 3000}{")" * 3000}\n',
            'toy.gin:9: brackets are nested too deeply to be read.',
        ),
    ],
)
def test_values_that_cannot_be_written_again(tmp_path, text, expected):
    assert _message(tmp_path, text) == expected


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / 'x.gin'
    path.write_text(toy.GIN, encoding='utf-8-sig')
    source = gin_source.read(str(path))
    assert source.head[0] == '# A toy, to be run in no time.' and len(source.bindings) == 2
