"""What the tests of the gin files of research/geometric read in them."""

import ast
import functools
import glob
import os

from official.core import gin_source

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

    A reference is as the file spells it, '@module.Name()'.
    """

    def plain(value):
        if isinstance(value, gin_source.Reference):
            return repr(value)
        return tuple(map(plain, value)) if isinstance(value, tuple) else value

    found = {}
    for binding in source(name).bindings.values():
        scope = f'{binding.scope}/' if binding.scope else ''
        owner = binding.full.rpartition('.')[2]
        found[f'{scope}{owner}.{binding.parameter}'] = plain(binding.value)
    return found


def there(pattern):
    """Names of the files that match."""
    return {os.path.basename(file)[:-4] for file in glob.glob(os.path.join(FOLDER, pattern))}


def of_suite(name):
    """Names of the files that the suite `name` runs, in order."""
    files = values(name)['Suite.files']
    files = ast.literal_eval(files) if isinstance(files, str) else files
    return [os.path.basename(file)[:-4] for file in files]
