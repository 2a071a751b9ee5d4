"""The verbs and flags of the launcher, and the command `arboretum` of an installed wheel.

`garden` shares them, and runs under any Python from 3.9 on before there is an environment: standard
library only, and quick.  The list and every mistake are answered without importing TensorFlow.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import os
import pathlib
import sys

from official import listing

# The folder that holds official and gin_configs: a checkout, or site-packages.
ROOT = pathlib.Path(__file__).resolve().parent.parent

# The verbs that the launcher carries out: verb -> its --mode, what the verb does.
LAUNCHED = {
    'train': ('train_and_evaluate', 'train, evaluate, export and report what a gin file describes'),
    'evaluate': ('evaluate', 'evaluate the checkpoint of a run'),
    'export': ('export', 'write the SavedModel of a run'),
    'report': ('report', 'write the report.html of a run'),
}
LIST = {
    'list': 'the experiments and tables; with words, such as dqn pong, the gin files that match'
}
# The launcher's flags, all with a value; a test compares them with official/launch.py.
FLAGS = {
    'gin_file': 'the gin file of the experiment; a run that was begun needs only --model_dir',
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
# From Python 3.12 on TensorFlow's own Keras is Keras 3; this gives it Keras 2, which comes apart.
KERAS_2 = {'TF_USE_LEGACY_KERAS': '1'}
# Distributions that hold another package `official`, and overwrite files of this one.
OTHER_OFFICIALS = ('tf-models-official', 'tf-models-nightly', 'tf-models-no-deps')


class UsageError(Exception):
    """A command line that cannot be carried out; the message is one sentence for the user."""


def usage(called: str, others: dict[str, str]) -> str:
    """Returns the page that says what there is.

    Args:
        called: name of the command.
        others: verbs besides those of the launcher, and what each does.
    """
    verbs = {**{verb: does for verb, (_, does) in LAUNCHED.items()}, **others}
    lines = [
        'Arboretum: landmark papers as code that runs.',
        '',
        f'usage: {called} VERB [flags]',
        '',
        *(f'  {verb:9} {does}' for verb, does in verbs.items()),
        '',
        'flags of train, evaluate, export and report:',
        *(f'  {"--" + name + "=":13} {does}' for name, does in FLAGS.items()),
        '',
        f'to begin with: {called} train --gin_file=gin_configs/ladder/digits_100.gin',
    ]
    return '\n'.join(lines) + '\n'


def answer(
    called: str, arguments: list[str], others: dict[str, str]
) -> tuple[str, list[str]] | None:
    """Checks a command line, and prints what needs no TensorFlow.

    Args:
        called: name of the command.
        arguments: command line.
        others: verbs besides those of the launcher, and what each does.

    Returns:
        The verb and its arguments, or None where the answer is printed.

    Raises:
        UsageError: the command line cannot be carried out.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError('the current folder was removed; change to one that exists') from None
    if not arguments or arguments[0] in ('help', *HELP):
        print(usage(called, others), end='')
        return None
    verb, *rest = arguments
    verbs = [*LAUNCHED, *others]
    if verb not in verbs:
        raise UsageError(f'no verb {verb!r}{_nearest(verb, verbs)} (verbs: {", ".join(verbs)})')
    if verb in (*LAUNCHED, *LIST) and any(flag in HELP for flag in rest):
        print(usage(called, others), end='')
        return None
    if verb == 'list':
        print(listing.table(_listed(rest)), end='')
        return None
    if verb in LAUNCHED:
        check_flags(called, rest)
    return verb, rest


def _listed(words: list[str]) -> list[tuple[str, str]]:
    """Returns the gin files that `list WORDS` shows: without words one line per table.

    Raises:
        UsageError: no file matches.
    """
    rows = listing.entries(ROOT)
    if not words:
        return listing.overview(rows)
    found = listing.matching(rows, words)
    if not found:
        raise UsageError(
            f'no gin file matches {" ".join(words)!r}; list without words shows tables'
        )
    return found


def check_flags(called: str, arguments: list[str]) -> None:
    """Raises UsageError where `arguments` holds what the launcher would not take.

    The launcher would say so itself, but only after the environment is made and TensorFlow is up.
    """
    rest = list(arguments)
    named = False
    hint = f'; {called} list shows what there is'
    while rest:
        argument = rest.pop(0)
        if not argument.startswith('-') or argument in ('-', '--'):
            raise UsageError(f'{argument!r} is no flag; a gin file is named by --gin_file=PATH')
        name, equals, value = argument.lstrip('-').partition('=')
        if name in ABSL_SWITCHES or (name.startswith('no') and name[2:] in ABSL_SWITCHES):
            continue
        if name not in FLAGS and name not in ABSL_FLAGS:
            near = _nearest('--' + name, ['--' + flag for flag in FLAGS])
            flags = ', '.join('--' + flag for flag in FLAGS)
            raise UsageError(f'no flag --{name}{near or "; there are " + flags}')
        if not equals:
            if not rest:
                raise UsageError(f'--{name} needs a value: --{name}=VALUE')
            value = rest.pop(0)
        named = named or name in ('gin_file', 'flagfile', 'model_dir')
        if name == 'gin_file':
            _check_gin_file(value, hint)
        if name == 'flagfile' and not os.path.isfile(os.path.expanduser(value)):
            raise UsageError(f'--flagfile={value} names no file')
    if not named:
        raise UsageError(f'no gin file named: --gin_file=PATH{hint}')


def _check_gin_file(path: str, hint: str) -> None:
    expanded = os.path.expanduser(path)
    # The launcher looks in the current folder, then in the project's.
    if os.path.isfile(expanded) or (ROOT / expanded).is_file():
        return
    known = [name for name, _ in listing.entries(ROOT)]
    raise UsageError(f'no gin file {path}{_nearest(path, known) or hint}')


def _nearest(word: str, known: list[str]) -> str:
    """Returns '; did you mean ...?' for the words of `known` that are like `word`, or ''."""
    near = difflib.get_close_matches(word, known, n=3)
    return f'; did you mean {" or ".join(near)}?' if near else ''


def launcher(verb: str, arguments: list[str]) -> list[str]:
    """Returns the arguments of Python that carry out a verb of the launcher."""
    # -P: the folder of the user is not a place to import from.
    return ['-P', '-m', 'official.launch', f'--mode={LAUNCHED[verb][0]}', *arguments]


def environ(version: str) -> dict[str, str]:
    """Returns the environment variables of a run; the user's own stay as they are.

    Args:
        version: Python that runs, such as '3.13'.
    """
    return {**QUIET, **({} if version == '3.11' else KERAS_2), **os.environ}


def tell(called: str, sentence: str) -> None:
    """Prints a sentence for the user where errors go, so that output stays clean."""
    print(f'{called}: {sentence}', file=sys.stderr, flush=True)


def _check_installed() -> None:
    """Raises UsageError where another distribution has a package `official` here, too."""
    for name in OTHER_OFFICIALS:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        raise UsageError(
            f"{name} is installed in this environment, and its package 'official' overwrites files"
            " of Arboretum's; install Arboretum into an environment of its own"
        )


def main() -> None:
    """Carries out the command line of `arboretum` with the Python that it is installed for."""
    try:
        asked = answer('arboretum', sys.argv[1:], LIST)
        if asked:
            _check_installed()
            version = f'{sys.version_info[0]}.{sys.version_info[1]}'
            rest = launcher(*asked)
            os.execve(sys.executable, [sys.executable, *rest], environ(version))
    except UsageError as error:
        tell('arboretum', str(error))
        sys.exit(2)
    except BrokenPipeError:  # `arboretum list | head`
        sys.stderr.close()


if __name__ == '__main__':
    main()
