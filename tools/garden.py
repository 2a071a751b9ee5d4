"""The verbs of `garden`: says what there is, makes the environment, hands over to the launcher.

Standard library only, and for any Python from 3.9 on: the list and every mistake are answered
before there is an environment.
"""

from __future__ import annotations

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from official import command  # noqa: E402  (the path comes first)

OTHERS = {
    **command.LIST,
    'python': "the environment's Python, with the project importable",
    'test': 'the test suite; arguments go to pytest',
}


def environment_python() -> tuple[str, str]:
    """Returns the path of the environment's Python, made where needed, and its version."""
    from tools import environment  # Only POSIX has what it needs; the list does without.

    try:
        given = os.environ.get('ARBORETUM_VENV')
        if given:
            return environment.given(given)
        choice = environment.choose(ROOT)
        environment.ensure(choice, tell)
    except environment.EnvironmentFailure as failure:
        raise SystemExit(f'garden: {failure}') from None
    return str(environment.python_of(choice.folder)), choice.version


def tell(sentence: str) -> None:
    """Prints a sentence for the user."""
    command.tell('garden', sentence)


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


def called(verb: str, arguments: list[str]) -> list[str]:
    """Returns what the environment's Python is to be called with for `verb`."""
    if verb == 'python':
        return arguments
    if verb == 'test':
        return ['-P', '-m', 'pytest', *pytest_arguments(arguments)]
    return command.launcher(verb, arguments)


def main(arguments: list[str]) -> None:
    """Carries out a command line: prints, or becomes the environment's Python."""
    asked = command.answer('./garden', arguments, OTHERS)
    if asked is None:
        return
    python, version = environment_python()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    # Before the folder changes: the paths of tests are relative to the user's.
    rest = called(*asked)
    if asked[0] == 'test':
        os.chdir(ROOT)
    os.execve(python, [python, *rest], {**command.environ(version), 'PYTHONPATH': path})


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except command.UsageError as error:
        tell(str(error))
        sys.exit(2)
    except BrokenPipeError:  # `./garden list | head`
        sys.stderr.close()
    except KeyboardInterrupt:
        tell('interrupted.')
        sys.exit(130)
