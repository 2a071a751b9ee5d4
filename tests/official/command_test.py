"""The command of an installed wheel, and what `garden` shares with it."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import sys

import pytest

from official import command

ROOT = pathlib.Path(command.__file__).parent.parent
GIN = '--gin_file=gin_configs/ladder/digits_100.gin'


def test_flags_are_those_of_the_launcher():
    tree = ast.parse((ROOT / 'official/launch.py').read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    defined = {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr.startswith('DEFINE_')
    }
    assert defined == set(command.FLAGS)


def test_flags_of_absl_and_values_that_stand_apart():
    apart = ['-v', '1', '--gin_param', '-x', GIN]
    command.check_flags('arboretum', [*apart, '--nopdb', '--alsologtostderr'])
    command.check_flags('arboretum', [f'--flagfile={__file__}'])


def test_keras_2_is_asked_for_where_keras_3_is_tensorflows(monkeypatch):
    monkeypatch.delenv('TF_USE_LEGACY_KERAS', raising=False)
    assert 'TF_USE_LEGACY_KERAS' not in command.environ('3.11')
    assert command.environ('3.12')['TF_USE_LEGACY_KERAS'] == '1'
    assert command.environ('3.13')['TF_USE_LEGACY_KERAS'] == '1'
    monkeypatch.setenv('TF_USE_LEGACY_KERAS', '0')
    assert command.environ('3.13')['TF_USE_LEGACY_KERAS'] == '0'


@pytest.fixture
def arboretum(monkeypatch, capsys):
    """Returns a function that runs the command: what it would become, or its status and output."""

    class Became(Exception):
        pass

    def become(path, arguments, environ):
        raise Became(path, arguments)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['arboretum', *arguments])
        monkeypatch.setattr(os, 'execve', become)
        try:
            command.main()
        except Became as became:
            return became.args
        except SystemExit as stopped:
            return stopped.code, capsys.readouterr().err
        return 0, capsys.readouterr().out

    return run


@pytest.mark.parametrize('verb', command.LAUNCHED)
def test_verb_runs_the_launcher_with_the_same_python(arboretum, verb):
    mode = command.LAUNCHED[verb][0]
    launched = [sys.executable, '-P', '-m', 'official.launch', f'--mode={mode}', GIN]
    assert arboretum(verb, GIN) == (sys.executable, launched)


def test_list_has_a_line_for_every_table_and_single_experiment(arboretum):
    status, output = arboretum('list')
    files = [p for p in (ROOT / 'gin_configs').glob('*/*.gin') if not p.name.startswith('_')]
    assert status == 0 and len(output.splitlines()) == len(files) < 60
    assert re.search(r'^gin_configs/dqn/nature.gin +.* \(49 files\)$', output, re.MULTILINE)


def test_list_of_words_has_every_file_that_matches(arboretum):
    status, output = arboretum('list', 'DQN')
    files = [p for p in (ROOT / 'gin_configs/dqn').rglob('*.gin') if not p.name.startswith('_')]
    assert status == 0 and len(output.splitlines()) == len(files)
    status, output = arboretum('list', 'dqn', 'pong')
    assert [line.split()[0] for line in output.splitlines()] == [
        'gin_configs/dqn/double_three_step/pong.gin',
        'gin_configs/dqn/nature/pong.gin',
    ]
    assert arboretum('list', 'dqn', 'cora') == (
        2,
        "arboretum: no gin file matches 'dqn cora'; list without words shows tables\n",
    )


@pytest.mark.parametrize('arguments, says', [
    (('test',), "no verb 'test' (verbs: train, evaluate, export, report, list)"),
    (('train',), 'no gin file named: --gin_file=PATH; arboretum list shows what there is'),
])  # fmt: skip
def test_mistake_is_one_sentence(arboretum, arguments, says):
    assert arboretum(*arguments) == (2, f'arboretum: {says}\n')


@pytest.mark.parametrize('name', command.OTHER_OFFICIALS)
def test_other_package_of_the_name_official_is_noticed(arboretum, tmp_path, monkeypatch, name):
    info = tmp_path / f'{name.replace("-", "_")}-2.16.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 2.16.0\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert arboretum('train', GIN) == (
        2,
        f"arboretum: {name} is installed in this environment, and its package 'official' overwrites"
        " files of Arboretum's; install Arboretum into an environment of its own\n",
    )
