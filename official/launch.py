"""Runs the experiment that a gin file wires: python -m official.launch --gin_file=<file>.

A run that was begun needs no more than its folder: --model_dir=<run folder>.

What can be wrong with flags, gin file and run folder is found before TensorFlow is imported. Bad
input ends in one sentence: exit code 2 for a flag, 1 for what it names.
"""

from __future__ import annotations

import logging as python_logging
import os
import sys
import warnings
from typing import NoReturn

import gin
from absl import app, flags, logging

from official.compat import start_up
from official.core import config, distribution, errors, run_folder, runner

_LARGEST_SEED = 2**32 - 1  # Of NumPy's.
flags.DEFINE_string(
    'gin_file',
    None,
    'The gin file that wires the experiment; by default that of the run in --model_dir.',
)
flags.DEFINE_multi_string(
    'gin_param', [], 'Class.parameter=value, in place of what the gin file says; may be repeated.'
)
flags.DEFINE_enum(
    'mode',
    'train_and_evaluate',
    list(runner.MODES),
    'What to do; train_and_evaluate trains, evaluates, exports and reports.',
)
flags.DEFINE_string(
    'model_dir', None, 'The run folder; by default runs/<folder>/<name> of the gin file.'
)
flags.DEFINE_string(
    'data_dir',
    None,
    'The folder of the data, where it comes with no package; by default that of the run so far.',
)
flags.DEFINE_enum('strategy', 'one_device', distribution.STRATEGIES, 'What to run on.')
flags.DEFINE_string('tpu', None, "Name or address of the TPU, or 'local'; needs --strategy=tpu.")
flags.DEFINE_float(
    'wait_minutes',
    None,
    'How long to wait for the other workers, 60 by default; needs --strategy=multi_worker.',
)
flags.DEFINE_integer(
    'seed',
    None,
    'The seed, or the first of Run.num_seeds; by default that of the run in --model_dir, else 0.',
    lower_bound=0,
    upper_bound=_LARGEST_SEED,
)

_NOISE = (
    r'\s*TensorFlow Addons \(TFA\) has ended development',
    r'pkg_resources is deprecated as an API',
)


def parse_flags(arguments: list[str]) -> list[str]:
    """absl's parser, with a sentence for a mistake in place of a page; for `app.run`."""
    try:
        rest = flags.FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        near = errors.did_you_mean(f'--{error.flagname}', (f'--{name}' for name in flags.FLAGS))
        _stop(f'There is no flag --{error.flagname}{near}', 2)
    except flags.CantOpenFlagFileError as error:
        _stop(f'--flagfile names a file that cannot be read:{str(error).rpartition("]")[2]}.', 2)
    except flags.Error as error:
        _stop(' '.join(str(error).split()), 2)
    if flags.FLAGS['verbosity'].using_default_value:
        # Warnings; absl would make it 0 and show TensorFlow's notes. Its types are of reading only.
        flags.FLAGS.verbosity = -1  # type: ignore[assignment]
    if len(rest) > 1:
        hint = f'; did you mean --gin_file={rest[1]}?' if rest[1].endswith('.gin') else '.'
        _stop(f'{rest[1]!r} is no flag{hint}', 2)
    if not flags.FLAGS.gin_file and not flags.FLAGS.model_dir:
        _stop('--gin_file is needed, as in --gin_file=gin_configs/ladder/digits_100.gin.', 2)
    if not flags.FLAGS['verbosity'].present:  # TensorFlow tells much of an export at INFO.
        logging.set_verbosity(logging.WARNING)
    return rest


def launch(
    gin_file: str | None = None,
    gin_params: tuple[str, ...] = (),
    mode: str = 'train_and_evaluate',
    model_dir: str | None = None,
    data_dir: str | None = None,
    strategy: str = 'one_device',
    tpu: str | None = None,
    seed: int | None = None,
    wait_minutes: float | None = None,
) -> dict | None:
    """Runs what a gin file wires; the arguments are the flags.

    Without `gin_file` the run in `model_dir` goes on: its configuration, seed and data folder are
    those that it was begun with, where nothing else is said.

    Returns:
      The result, where the mode evaluates.

    Raises:
      ValueError, OSError: for bad input, with one sentence for the user.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise FileNotFoundError(
            'The current folder was removed; change to one that exists.'
        ) from None
    distribution.check(strategy, tpu, wait_minutes)
    if gin_file is None:
        gin_file, seed, data_dir = _of_run(model_dir, seed, data_dir)
    seed = seed or 0
    configuration = config.read(os.path.expanduser(gin_file), gin_params)
    run_dir = os.path.expanduser(model_dir or os.path.join('runs', configuration.name))
    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
        if os.path.isfile(data_dir):
            raise NotADirectoryError(f'--data_dir={data_dir} is a file, not a folder.')
    several = configuration.source.bindings.get(f'{config.RUN}.num_seeds')
    seeds = several.value if several and isinstance(several.value, int) else 1
    if seed + seeds - 1 > _LARGEST_SEED:
        raise ValueError(
            f'--seed={seed} is too large for the {seeds} seeds of Run.num_seeds: the '
            f'last would be beyond {_LARGEST_SEED}.'
        )
    if strategy != 'multi_worker' or distribution.cluster_task()[-1]:
        # Which bindings decide is known when their classes are imported; see `Run`.
        identity = run_folder.Identity(
            seed, bool(several and several.value != 1), configuration.bindings(), others=None
        )
        run_folder.check(run_dir, identity, starts='train' in mode)
    print(f'{mode}: {configuration.path} in {run_dir}', flush=True)
    _prepare_environment(strategy, tpu, (run_dir, data_dir or ''))
    start_up.import_tensorflow()
    # The strategy first: TensorFlow wants to know its devices before it runs anything.
    made = distribution.make_strategy(strategy, tpu, wait_minutes)
    config.load(configuration)
    return gin.get_configurable(runner.Run)()(mode, run_dir, seed, data_dir, made)


def _of_run(
    model_dir: str | None, seed: int | None, data_dir: str | None
) -> tuple[str, int, str | None]:
    """Returns gin file, seed and data folder of the run in a folder; arguments win."""
    if model_dir is None:
        raise ValueError('--gin_file or --model_dir is needed.')
    run_dir = os.path.expanduser(model_dir)
    there = run_folder.read(run_dir)
    path = os.path.join(run_dir, run_folder.CONFIG)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} does not exist; name the run by --gin_file.')
    found = there['seed'] if seed is None else seed
    return path, found, there.get('data_dir') if data_dir is None else data_dir


def main(arguments: list[str]) -> None:
    """For `app.run`: the flags to `launch`, bad input to a sentence."""
    del arguments
    values = flags.FLAGS
    try:
        launch(
            values.gin_file,
            tuple(values.gin_param),
            values.mode,
            values.model_dir,
            values.data_dir,
            values.strategy,
            values.tpu,
            values.seed,
            values.wait_minutes,
        )
    except KeyboardInterrupt:
        _stop('Interrupted; the same command goes on from the last checkpoint.', 130)
    except Exception as error:
        sentence = errors.sentence(error)
        if sentence is None and values.strategy == 'multi_worker':
            sentence = distribution.lost_worker(error)
        if sentence is None:
            raise
        _stop(sentence, 1)


def _prepare_environment(strategy: str, tpu: str | None, paths: tuple[str, ...]) -> None:
    """Keeps start-up notes of libraries from the user; variables that are set stay as they are."""
    # 3: at 2 every import of TensorFlow says that cuDNN and two more are registered twice.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', start_up.QUIET)
    on_google_cloud = strategy == 'tpu' or any(path.startswith('gs://') for path in paths)
    if not on_google_cloud:  # There, the metadata server gives the credentials.
        os.environ.setdefault('NO_GCE_CHECK', 'true')
    if strategy == 'tpu' and (tpu or os.environ.get('TPU_NAME')) != 'local':
        # The hosts of the pod drive their chips; this process must not take those beside it.
        os.environ.setdefault('TPU_LOAD_LIBRARY', '0')
    # Without a home to write to, it says where else it keeps its cache.
    python_logging.getLogger('matplotlib').setLevel(python_logging.ERROR)
    for message in _NOISE:
        warnings.filterwarnings('ignore', message=message)
    warnings.filterwarnings('ignore', category=SyntaxWarning, module='.*tf_agents')
    # The same in what AutoGraph makes of them.
    warnings.filterwarnings('ignore', message='"is( not)?" with', category=SyntaxWarning)
    try:
        from gym_notices import notices  # gym, which tf_agents imports, prints what stands here.

        notices.notices.clear()
    except ImportError:
        pass


def _stop(sentence: str, code: int) -> NoReturn:
    print(f'error: {sentence}', file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == '__main__':
    app.run(main, flags_parser=parse_flags)
