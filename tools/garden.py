"""The verbs of `garden`: says what there is, makes the environment, hands over to the launcher.

Standard library only and quick: the list and every mistake are answered before there is an
environment, and without importing TensorFlow.
"""

from __future__ import annotations

import difflib
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import listing  # noqa: E402  (the path comes first)

# The verbs that the launcher carries out: verb -> its --mode, what the verb does.
LAUNCHED = {
    'train': ('train_and_evaluate', 'train, evaluate, export and report what a gin file describes'),
    'evaluate': ('evaluate', 'evaluate the checkpoint of a run'),
    'export': ('export', 'write the SavedModel of a run'),
    'report': ('report', 'write the report.html of a run'),
}
OTHERS = {
    'list': 'every gin file and what it is for',
    'python': "the environment's Python, with the project importable",
    'test': 'the test suite; arguments go to pytest',
}
# The launcher's flags, all with a value; a test compares them with official/launch.py.
FLAGS = {
    'gin_file': 'the gin file that wires the experiment',
    'gin_param': "a binding that overrides the file's, such as 'Class.argument = 3' (repeatable)",
    'mode': 'train, evaluate, train_and_evaluate, export or report, in place of the verb',
    'model_dir': "the run's folder",
    'data_dir': 'the folder of the data sets',
    'strategy': 'one_device, mirrored, multi_worker or tpu',
    'tpu': 'the address of the TPU',
    'wait_minutes': 'how long multi_worker waits for the other workers (60)',
    'seed': 'the seed of the whole run',
}
# absl's own, which the launcher takes too: those with a value, and the switches.
ABSL_FLAGS = {
    'flagfile', 'log_dir', 'logger_levels', 'profile_file', 'stderrthreshold', 'undefok', 'v',
    'verbosity',
}  # fmt: skip
ABSL_SWITCHES = {
    'alsologtostderr', 'logtostderr', 'only_check_args', 'pdb', 'pdb_post_mortem', 'run_with_pdb',
    'run_with_profiling', 'showprefixforinfo', 'use_cprofile_for_profiling',
}  # fmt: skip
HELP = ('-h', '-help', '--help', '--helpfull', '--helpshort')
# Set where the user has not: no start-up notes of TensorFlow, no metadata server asked by TFDS.
QUIET = {'TF_CPP_MIN_LOG_LEVEL': '3', 'NO_GCE_CHECK': 'true'}


class UsageError(Exception):
    """A command line that cannot be carried out; the message is one sentence for the user."""


def usage() -> str:
    """Returns the page that says what there is."""
    verbs = {**{verb: does for verb, (_, does) in LAUNCHED.items()}, **OTHERS}
    lines = [
        'Arboretum: landmark papers as code that runs.',
        '',
        'usage: ./garden VERB [flags]',
        '',
        *(f'  {verb:9} {does}' for verb, does in verbs.items()),
        '',
        'flags of train, evaluate, export and report:',
        *(f'  {"--" + name + "=":13} {does}' for name, does in FLAGS.items()),
        '',
        'to begin with: ./garden train --gin_file=gin_configs/ladder/digits_100.gin',
    ]
    return '\n'.join(lines) + '\n'


def _nearest(word: str, known: list[str]) -> str:
    """Returns '; did you mean ...?' for the words of `known` that are like `word`, or ''."""
    near = difflib.get_close_matches(word, known, n=3)
    return f'; did you mean {" or ".join(near)}?' if near else ''


def check_flags(arguments: list[str]) -> None:
    """Raises UsageError where `arguments` holds what the launcher would not take.

    The launcher would say so itself, but only after the environment is made and TensorFlow is up.
    """
    rest = list(arguments)
    named = False
    while rest:
        argument = rest.pop(0)
        if not argument.startswith('-') or argument in ('-', '--'):
            raise UsageError(f'{argument!r} is no flag; a gin file is named by --gin_file=PATH')
        name, equals, value = argument.lstrip('-').partition('=')
        if name in ABSL_SWITCHES or name.removeprefix('no') in ABSL_SWITCHES:
            continue
        if name not in FLAGS and name not in ABSL_FLAGS:
            near = _nearest('--' + name, ['--' + flag for flag in FLAGS])
            flags = ', '.join('--' + flag for flag in FLAGS)
            raise UsageError(f'no flag --{name}{near or "; there are " + flags}')
        if not equals:
            if not rest:
                raise UsageError(f'--{name} needs a value: --{name}=VALUE')
            value = rest.pop(0)
        named = named or name in ('gin_file', 'flagfile')
        if name == 'gin_file':
            _check_gin_file(value)
        if name == 'flagfile' and not os.path.isfile(os.path.expanduser(value)):
            raise UsageError(f'--flagfile={value} names no file')
    if not named:
        raise UsageError('no gin file named: --gin_file=PATH; ./garden list shows what there is')


def _check_gin_file(path: str) -> None:
    expanded = os.path.expanduser(path)
    # The launcher looks in the current folder, then in the project's.
    if os.path.isfile(expanded) or (ROOT / expanded).is_file():
        return
    known = [name for name, _ in listing.entries(ROOT)]
    near = _nearest(path, known) or '; ./garden list shows what there is'
    raise UsageError(f'no gin file {path}{near}')


def environment_python() -> str:
    """Returns the path of the environment's Python, making the environment where needed."""
    given = os.environ.get('ARBORETUM_VENV')
    if given:
        return os.path.join(os.path.abspath(given), 'bin', 'python')
    from tools import environment  # Only POSIX has what it needs; the list does without.

    folder = ROOT / '.venv'
    try:
        environment.ensure(folder, ROOT / 'requirements.lock', tell)
    except environment.EnvironmentFailure as failure:
        raise SystemExit(f'garden: {failure}') from None
    return str(environment.python_of(folder))


def tell(sentence: str) -> None:
    """Prints a sentence for the user where errors go, so that output stays clean."""
    print(f'garden: {sentence}', file=sys.stderr, flush=True)


def pytest_arguments(arguments: list[str]) -> list[str]:
    """Returns `arguments` for a pytest in ROOT: paths made absolute, all tests by default."""
    made = []
    paths = 0
    for argument in arguments:
        path, colons, test = argument.partition('::')
        if not path.startswith('-') and os.path.exists(path):
            paths += 1
            argument = os.path.abspath(path) + colons + test
        made.append(argument)
    return made if paths else [*made, str(ROOT / 'tests')]


def command(verb: str, arguments: list[str]) -> list[str]:
    """Returns what the environment's Python is to be called with for `verb`."""
    if verb == 'python':
        return arguments
    # -P: the folder of the user is not a place to import from; PYTHONPATH names the project.
    if verb == 'test':
        return ['-P', '-m', 'pytest', *pytest_arguments(arguments)]
    return ['-P', '-m', 'official.launch', f'--mode={LAUNCHED[verb][0]}', *arguments]


def main(arguments: list[str]) -> None:
    """Carries out a command line: prints, or becomes the environment's Python."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError('the current folder was removed; change to one that exists') from None
    if not arguments or arguments[0] in ('help', *HELP):
        print(usage(), end='')
        return
    verb, *rest = arguments
    verbs = [*LAUNCHED, *OTHERS]
    if verb not in verbs:
        raise UsageError(f'no verb {verb!r}{_nearest(verb, verbs)} (verbs: {", ".join(verbs)})')
    if verb not in ('python', 'test') and any(flag in HELP for flag in rest):
        print(usage(), end='')
        return
    if verb == 'list':
        if rest:
            raise UsageError('list takes no arguments')
        print(listing.table(listing.entries(ROOT)), end='')
        return
    if verb in LAUNCHED:
        check_flags(rest)
    python = environment_python()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    environ = QUIET | os.environ | {'PYTHONPATH': path}
    called = [python, *command(verb, rest)]
    if verb == 'test':
        os.chdir(ROOT)
    os.execve(python, called, environ)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except UsageError as error:
        tell(str(error))
        sys.exit(2)
    except BrokenPipeError:  # `./garden list | head`
        sys.stderr.close()
    except KeyboardInterrupt:
        tell('interrupted.')
        sys.exit(130)
