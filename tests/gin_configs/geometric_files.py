"""What the tests of the gin files of research/geometric read in them."""

import functools
import glob
import os

from official.core import gin_source, suite

FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 'geometric')


def path(name):
    """Path of the file `name`.gin."""
    return os.path.join(FOLDER, f'{name}.gin')


@functools.cache
def source(name):
    """The file `name`.gin with what it includes."""
    return gin_source.read(path(name))


def values(name):
    """Class.parameter to value of what a file binds without a scope."""
    return {
        '.'.join(full.rsplit('.', 2)[-2:]): binding.value
        for full, binding in source(name).bindings.items()
        if not binding.scope
    }


def bindings(name):
    """scope/Class.parameter to value of all that a file binds, its includes too.

    A reference is as the file spells it, '@module.Name()'; a macro has its value.
    """

    macros = {b.scope: b.value for b in source(name).bindings.values() if not b.selector}

    def plain(value):
        if isinstance(value, gin_source.Macro):
            return plain(macros[value.name])
        if isinstance(value, gin_source.Reference):
            return repr(value)
        return tuple(map(plain, value)) if isinstance(value, tuple) else value

    found = {}
    for binding in source(name).bindings.values():
        if not binding.selector:
            continue
        scope = f'{binding.scope}/' if binding.scope else ''
        owner = binding.full.rpartition('.')[2]
        found[f'{scope}{owner}.{binding.parameter}'] = plain(binding.value)
    return found


def there(pattern):
    """Names of the listed files that match, such as 'table1/cora_gcn_fixed'."""
    found = glob.glob(os.path.join(FOLDER, pattern))
    return {
        os.path.relpath(file, FOLDER)[:-4]
        for file in found
        if not os.path.basename(file).startswith('_')
    }


def of_suite(name):
    """Names of the files that the suite `name` runs, in order."""
    files = suite.matching(values(name)['Suite.files'])
    return [os.path.relpath(file, 'gin_configs/geometric')[:-4] for file in files]
