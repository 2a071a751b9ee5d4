"""`garden` as a user starts it: what it says, which Python it takes, what it calls."""

from __future__ import annotations

import ast
import shutil
import subprocess
import time
import zipfile

import pytest

from official import command
from tests.tools.copies import BASE, GIN, ROOT, VERSION, one_sentence, python_mirror
from tools import garden, installer

# What there is.


@pytest.mark.parametrize('arguments', [(), ('help',), ('--help',), ('train', '--help')])
def test_says_what_there_is(repository, arguments):
    status, output, errors = repository.run(*arguments)
    assert (status, errors) == (0, '')
    for word in ('train', 'evaluate', 'export', 'report', 'list', 'python', 'test', '--gin_file='):
        assert f'  {word} ' in output
    assert not repository.venv.exists()


def test_example_that_is_shown_exists():
    assert (ROOT / GIN.partition('=')[2]).exists()
    assert GIN in command.usage('./garden', garden.OTHERS)


def test_list_is_quick_and_needs_no_environment(repository):
    seconds = []
    for _ in range(3):  # The least of three: other work may share the machine.
        begin = time.monotonic()
        status, output, errors = repository.run('list')
        seconds.append(time.monotonic() - begin)
    assert min(seconds) < 1
    assert (status, output, errors) == (0, 'gin_configs/ladder/digits_100.gin  The tour.\n', '')
    assert not repository.venv.exists()


def test_list_from_another_folder_through_a_link(repository, tmp_path):
    (tmp_path / 'link').symlink_to(repository.root / 'garden')
    result = subprocess.run(
        [tmp_path / 'link', 'list'], env=repository.environ(), capture_output=True, text=True
    )
    assert result.stdout.startswith('gin_configs/ladder/digits_100.gin')


@pytest.mark.parametrize('arguments, says', [
    (('trian',), "no verb 'trian'; did you mean train? (verbs: train, evaluate, export, "),
    (('xyz',), "no verb 'xyz' (verbs: train, evaluate, export, report, list, python, test)"),
    (('train', '--gin_fil=x'), 'no flag --gin_fil; did you mean --gin_file'),
    (('train', '-sed', '1'), 'no flag --sed; did you mean --seed'),
    (('train', '--xyz'), 'no flag --xyz; there are --gin_file, --gin_param, --mode'),
    (('train', '--gin_file'), '--gin_file needs a value'),
    (('train', '--seed=1'), 'no gin file named'),
    (('evaluate', 'digits.gin'), "'digits.gin' is no flag; a gin file is named by --gin_file="),
    (
        ('train', '--gin_file=gin_configs/ladder/digit_100.gin'),
        'no gin file gin_configs/ladder/digit_100.gin; did you mean '
        'gin_configs/ladder/digits_100.gin?',
    ),
    (('list', 'no such'), "no gin file matches 'no such'; list without words shows tables"),
    (('train', '--flagfile=missing'), '--flagfile=missing names no file'),
])  # fmt: skip
def test_mistake_is_answered_before_an_environment_is_made(repository, arguments, says):
    status, output, errors = repository.run(*arguments)
    assert (status, output) == (2, '')
    assert one_sentence(errors).startswith('garden: ' + says)
    assert not repository.venv.exists()


# Which Python.


def test_list_while_the_environment_is_half_made(repository):
    subprocess.run([BASE, '-I', '-m', 'venv', '--without-pip', repository.venv], check=True)
    assert repository.run('list')[:2] == (0, 'gin_configs/ladder/digits_100.gin  The tour.\n')


def test_old_python_lists_and_finds_mistakes(repository):
    (repository.bin / f'python{VERSION}').unlink()
    repository.python('python3', '3.10')
    assert repository.run('list')[:2] == (0, 'gin_configs/ladder/digits_100.gin  The tour.\n')
    assert repository.run('trian')[0] == 2


@pytest.mark.parametrize('path', [
    'tools/garden.py', 'tools/environment.py', 'tools/installer.py', 'official/command.py',
    'official/listing.py', 'official/__init__.py',
])  # fmt: skip
def test_what_any_python_runs_is_written_for_3_9(path):
    ast.parse((ROOT / path).read_text(), feature_version=(3, 9))


def test_packages_of_the_users_python_are_not_looked_at(repository):
    # official/__init__.py checks which Keras is installed: not there.
    (repository.root / 'official/__init__.py').write_text('import sys; assert sys.flags.no_site')
    assert repository.run('list')[0] == 0


def test_broken_python_is_passed_over(ready):
    ready.program('python3', 'echo "no such version" >&2; exit 127\n')
    status, output, _ = ready.run('train', GIN)
    assert (status, output.splitlines()[0]) == (0, f'launch|--mode=train_and_evaluate|{GIN}')


def test_arboretum_venv_is_used_as_it_is(repository, tmp_path):
    folder = tmp_path / 'theirs'
    subprocess.run([BASE, '-I', '-m', 'venv', '--without-pip', folder], check=True)
    code = 'import sys; print(sys.prefix)'
    status, output, errors = repository.run('python', '-c', code, ARBORETUM_VENV=str(folder))
    assert (status, output, errors) == (0, f'{folder}\n', '')
    assert not repository.venv.exists()


def test_arboretum_venv_that_is_none(repository, tmp_path):
    status, _, errors = repository.run('python', ARBORETUM_VENV=str(tmp_path))
    assert status == 1
    assert one_sentence(errors) == (
        f'garden: ARBORETUM_VENV names {tmp_path}, which is no environment of Python 3.11, 3.12 or'
        ' 3.13.'
    )


def machine_without_python(repository):
    """Leaves on PATH what a machine without Python has, and the real uv's stand-in."""
    (repository.bin / f'python{VERSION}').unlink()
    for name in ('mkdir', 'tail'):
        (repository.bin / name).symlink_to(shutil.which(name, path='/usr/bin:/bin'))
    with zipfile.ZipFile(repository.wheels / 'uv-1.0-py3-none-any.whl') as archive:
        repository.program('uv', archive.read('uv-1.0.data/scripts/uv').decode())


@pytest.mark.skipif(VERSION != '3.11', reason='The Python that is downloaded is always 3.11.')
def test_machine_without_python(repository, tmp_path):
    machine_without_python(repository)
    mirror = python_mirror(tmp_path, '3.11')
    status, output, errors = repository.run('train', GIN, **mirror)
    assert status == 0, errors
    assert output.startswith('launch|')
    first, second, _ = errors.splitlines()
    assert first == 'garden: there is no Python; uv gets a Python 3.11 ...'
    assert second.startswith('garden: making the environment')
    # The next one needs none: the environment's own does.
    assert repository.run('train', GIN, UV_PYTHON_DOWNLOADS='never')[2] == ''


@pytest.mark.parametrize('name', ['ARBORETUM_PYTHON', 'ARBORETUM_VENV'])
def test_machine_with_no_python_but_the_named_one(ready, name):
    (ready.bin / f'python{VERSION}').unlink()
    moved = ready.root / 'moved'
    ready.venv.rename(moved)
    value = BASE if name == 'ARBORETUM_PYTHON' else str(moved)
    assert ready.run('train', GIN, **{name: value})[0] == 0


def test_machine_without_python_and_network(repository, tmp_path):
    machine_without_python(repository)
    mirror = python_mirror(tmp_path, '3.11')
    shutil.rmtree(tmp_path / 'mirror')
    status, _, errors = repository.run('train', GIN, **mirror)
    assert status == 1
    told, sentence = errors.splitlines()
    assert told.startswith('garden: there is no Python; uv gets')
    assert sentence.startswith('garden: there is no Python, and uv could not get one (')
    assert sentence.endswith(f'; {installer.INSTALL}.')


def test_machine_without_python_and_uv(repository):
    machine_without_python(repository)
    (repository.bin / 'uv').unlink()
    (repository.bin / 'rm').symlink_to('/bin/rm')
    sentence = repository.run('train', GIN)[2].splitlines()[1]
    assert sentence.startswith('garden: there is no Python, and uv cannot be had (https://')
    assert ': there is no curl, wget or python3 to download it with); install ' in sentence
    assert sentence.endswith(f'; {installer.INSTALL}.')


@pytest.mark.parametrize('harm', ['ARBORETUM_VENV', 'ARBORETUM_PYTHON'])
def test_variable_of_the_user_is_checked_before_anything_is_made(repository, harm):
    status, _, errors = repository.run('train', GIN, **{harm: '/nowhere'})
    assert status == 1
    assert one_sentence(errors).startswith(f'garden: {harm} names /nowhere')
    assert not repository.venv.exists()


# What is called.


def test_gin_file_of_the_project_from_another_folder(ready, tmp_path):
    status, output, errors = ready.run('train', GIN, cwd=tmp_path)
    assert (status, errors) == (0, '')
    assert output.splitlines()[0] == f'launch|--mode=train_and_evaluate|{GIN}'


def test_a_removed_folder(repository, tmp_path):
    gone = tmp_path / 'gone'
    gone.mkdir()
    result = subprocess.run(
        [
            '/bin/sh',
            '-c',
            f'cd {gone} && /bin/rmdir {gone} && exec "{repository.root}/garden" list',
        ],
        env=repository.environ(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        'garden: the current folder was removed; change to one that exists'
    )


@pytest.mark.parametrize('verb, mode', [
    ('train', 'train_and_evaluate'), ('evaluate', 'evaluate'), ('export', 'export'),
    ('report', 'report'),
])  # fmt: skip
def test_verb_becomes_the_mode_of_the_launcher(ready, verb, mode):
    rest = [GIN, "--gin_param=f.x = 'two words'", '--mode=train']
    status, output, _ = ready.run(verb, *rest)
    assert status == 0
    called, cwd, quiet = output.splitlines()
    # The user's own --mode comes last and so counts.
    assert called == '|'.join(['launch', f'--mode={mode}', *rest])
    assert cwd == f'cwd|{ready.root}'
    assert quiet == f'quiet|3|true|{None if VERSION == "3.11" else 1}'


def test_python_finds_the_project_from_anywhere(ready, tmp_path):
    code = 'import official, os; print(official.__file__, os.getcwd(), os.environ["PYTHONPATH"])'
    status, output, _ = ready.run('python', '-c', code, cwd=tmp_path, PYTHONPATH='/mine')
    assert status == 0
    root = ready.root
    assert output == f'{root}/official/__init__.py {tmp_path} {root}:/mine\n'


def test_launcher_is_not_shadowed_by_the_folder_of_the_user(ready, tmp_path):
    (tmp_path / 'official').mkdir()
    (tmp_path / 'official/__init__.py').write_text('raise SystemExit("shadow")')
    gin = f'--gin_file={ready.root}/gin_configs/ladder/digits_100.gin'
    status, output, errors = ready.run('train', gin, cwd=tmp_path)
    assert status == 0, errors
    assert output.splitlines()[:2] == [f'launch|--mode=train_and_evaluate|{gin}', f'cwd|{tmp_path}']


def test_test_runs_pytest_in_the_root(ready, tmp_path):
    root = ready.root
    _, output, _ = ready.run('test', '-k', 'noise', cwd=tmp_path)
    assert output.splitlines() == [f'pytest|-k|noise|{root}/tests', f'cwd|{root}']
    (tmp_path / 'some_test.py').write_text('')
    _, output, _ = ready.run('test', 'some_test.py::test_a', '-x', cwd=tmp_path)
    assert output.splitlines()[0] == f'pytest|{tmp_path}/some_test.py::test_a|-x'


def test_variables_of_the_user_stay(ready):
    _, output, _ = ready.run('train', GIN, TF_CPP_MIN_LOG_LEVEL='0')
    assert output.splitlines()[-1].startswith('quiet|0|true|')
