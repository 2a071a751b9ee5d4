"""The environment of every process of tests, whichever tests are collected with each other.

Set before TensorFlow's first op, which may be at a test's import.
"""

import os

# As many processes as processors run tests; threads of each would wait for those of the others.
for variable in ('OMP_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS'):
    os.environ.setdefault(variable, '1')
# As the command garden sets them: no start-up notes, no metadata server asked.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('NO_GCE_CHECK', 'true')

import contextlib  # noqa: E402  (the environment comes first)
import ctypes  # noqa: E402
import gc  # noqa: E402

import pytest  # noqa: E402

from official.core import distribution  # noqa: E402

distribution.virtual_cpu_devices(2)


def pytest_addoption(parser):
    parser.addoption(
        '--quick', action='store_true', help='run only what takes seconds, not the tests marked slow'
    )


def pytest_xdist_auto_num_workers(config):
    """No workers for single files, as each takes seconds to start; else one per processor."""
    paths = [argument.partition('::')[0] for argument in config.args]
    return None if any(map(os.path.isdir, paths)) else 0


def pytest_collection_modifyitems(config, items):
    """Leaves out slow tests where asked to; else begins with their files, so that none ends last."""
    slow = {item for item in items if item.get_closest_marker('slow')}
    if config.getoption('quick'):
        config.hook.pytest_deselected(items=[item for item in items if item in slow])
        items[:] = [item for item in items if item not in slow]
        return
    files = {item.path for item in slow}
    items.sort(key=lambda item: item.path not in files)


def pytest_collection_finish():
    """What is imported by now stays; the collector need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='module')
def _memory_is_given_back():
    """TensorFlow keeps the graphs of a module's tests until they are cleared."""
    yield
    import tensorflow as tf

    tf.keras.backend.clear_session()
    gc.collect()
    with contextlib.suppress(AttributeError):  # Only the GNU C library has it.
        ctypes.CDLL(None).malloc_trim(0)
