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
# Of XLA's work the passes over its own graphs are tested; LLVM's on each kernel take the time.
os.environ['XLA_FLAGS'] = f'--xla_backend_optimization_level=0 {os.environ.get("XLA_FLAGS", "")}'

import collections  # noqa: E402  (the environment comes first)
import contextlib  # noqa: E402
import ctypes  # noqa: E402
import gc  # noqa: E402
import pathlib  # noqa: E402

import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from official.compat import kept  # noqa: E402
from official.core import distribution  # noqa: E402

# Test functions that take more than SLOW_SECONDS over all their parameters, one per line.
SLOW = pathlib.Path(__file__).resolve().with_name('slow.txt')
SLOW_SECONDS = 1.0
# Growth of a process, in bytes, after which what a test leaves is collected.
GROWTH = 100_000_000
HELD = pytest.StashKey[int]()

distribution.virtual_cpu_devices(2)


def pytest_addoption(parser):
    group = parser.getgroup('speed')
    group.addoption('--quick', action='store_true', help=f'leave out the tests in {SLOW.name}')
    group.addoption(
        '--find-slow',
        action='store_true',
        help=f'write {SLOW.name} anew, with the test functions that took over {SLOW_SECONDS:g} s',
    )


def pytest_configure(config):
    if config.getoption('find_slow') and not hasattr(config, 'workerinput'):
        config.pluginmanager.register(FindSlow(config.getoption('quick')))


def pytest_xdist_auto_num_workers(config):
    """No workers for single files, as each takes seconds to start; else three per two processors.

    Tests wait for processes that they start, and what XLA has compiled stays in a worker's memory.
    """
    paths = [argument.partition('::')[0] for argument in config.args]
    return os.cpu_count() * 3 // 2 if any(map(os.path.isdir, paths)) else 0


def function_of(nodeid: str) -> str:
    """Returns the name of a test function, without its parameters."""
    return nodeid.partition('[')[0]


def pytest_collection_modifyitems(config, items):
    """Leaves out slow tests for --quick; workers begin with files that have some of them."""
    quick = config.getoption('quick')
    if not quick and not hasattr(config, 'workerinput'):
        return
    slow = set(SLOW.read_text().splitlines())
    if quick:
        left_out = [item for item in items if function_of(item.nodeid) in slow]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if function_of(item.nodeid) not in slow]
    else:
        # The files with the most slow tests first: a long one at the end would keep one worker.
        numbers = collections.Counter(name.partition('::')[0] for name in slow)
        items.sort(key=lambda item: -numbers[item.nodeid.partition('::')[0]])


class FindSlow:
    """Adds up the seconds of each test function, and writes those that are slow.

    Args:
      quick: the functions that the file names have not been run, and stay.
    """

    def __init__(self, quick: bool):
        self._slow = set(SLOW.read_text().splitlines()) if quick else set()
        self._seconds = collections.Counter()

    def pytest_runtest_logreport(self, report):
        self._seconds[function_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self):
        found = {name for name, seconds in self._seconds.items() if seconds > SLOW_SECONDS}
        SLOW.write_text(''.join(f'{name}\n' for name in sorted(self._slow | found)))


def pytest_collection_finish():
    """Keeps what is imported by now, which the collector need not look at again.

    Nor need it look so often: tracing a training step makes millions of objects that stay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def resident_bytes() -> int:
    """Returns the memory that this process holds."""
    with open('/proc/self/statm', encoding='ascii') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Frees the graphs of a test, which together would fill gigabytes."""
    kept.forget_custom_gradients()
    kept.forget_functions_of_strategies()
    if nextitem is None or nextitem.path != item.path:
        tf.keras.backend.clear_session()
    held = item.session.stash.get(HELD, 0)
    # A look at all objects takes a tenth of a second, and most tests make few.
    if resident_bytes() > held + GROWTH:
        gc.collect()
        with contextlib.suppress(AttributeError):  # Only the GNU C library has it.
            ctypes.CDLL(None).malloc_trim(0)
        item.session.stash[HELD] = resident_bytes()
