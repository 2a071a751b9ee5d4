"""pyproject.toml: the wheel, what it asks for, and its command in an environment of one's own."""

from __future__ import annotations

import email
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = pathlib.Path(__file__).parent.parent
FILES = ('pyproject.toml', 'requirements.in', 'requirements_dev.in', 'LICENSE')
BUILD = """
import sys
from setuptools import build_meta
print(build_meta.build_wheel(sys.argv[1]))
"""


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """A folder with the wheel unpacked, as an install does, and nothing of the checkout."""
    source = tmp_path_factory.mktemp('source')
    for name in FILES:
        shutil.copy(ROOT / name, source)
    (source / 'README.md').write_text('Read me.')
    ignore = shutil.ignore_patterns('__pycache__')
    for folder in ('official', 'gin_configs', 'research', 'tools'):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    made = tmp_path_factory.mktemp('made')
    subprocess.run(
        [sys.executable, '-I', '-c', BUILD, made],
        cwd=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (wheel,) = made.glob('arboretum-*.whl')
    site = tmp_path_factory.mktemp('site')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


@pytest.fixture(scope='module')
def metadata(site):
    (info,) = site.glob('*.dist-info')
    return email.message_from_string((info / 'METADATA').read_text())


def requirements(metadata, version, extra=''):
    found = map(Requirement, metadata.get_all('Requires-Dist'))
    place = {'python_version': version, 'extra': extra}
    return {r.name: str(r.specifier) for r in found if not r.marker or r.marker.evaluate(place)}


def test_metadata(metadata):
    assert metadata['Name'] == 'arboretum'
    assert metadata['License-Expression'] == 'Apache-2.0'
    pythons = SpecifierSet(metadata['Requires-Python'])
    fitting = [v for v in ('3.10', '3.11', '3.12', '3.13', '3.14') if v in pythons]
    assert fitting == ['3.11', '3.12', '3.13']
    named = [c.rpartition(' ')[2] for c in metadata.get_all('Classifier') if ':: 3.' in c]
    assert named == fitting


def test_requirements_follow_the_python(metadata):
    first, *later = (requirements(metadata, v) for v in ('3.11', '3.12', '3.13'))
    assert first['tensorflow'] == '==2.15.1' and 'tf-keras' not in first
    for second in later:
        assert second['tensorflow'] == second['tf-keras'] == '==2.21.0'
        # pip has no way around what it pins there.
        assert not {'tf-agents', 'tensorflow-addons', 'dm-reverb'} & set(second)
    assert 'pytest' not in first
    assert requirements(metadata, '3.11', 'dev')['pytest'] == '==9.2.0'


def test_wheel_holds_the_packages_and_the_gin_files(site):
    tops = {path.name for path in site.iterdir() if not path.name.endswith('.dist-info')}
    assert tops == {'gin_configs', 'official', 'research'}
    for folder, pattern in (
        ('gin_configs', '*.gin'), ('official', '*.py'), ('research', '*.py'),
        ('research', '*.csv'), ('research', '*.json'),
    ):  # fmt: skip
        expected = {path.relative_to(ROOT) for path in (ROOT / folder).rglob(pattern)}
        assert expected and expected == {
            path.relative_to(site) for path in (site / folder).rglob(pattern)
        }


def run(site, cwd, *arguments):
    """Runs the command of the wheel with the tests' own packages, in the folder `cwd`."""
    (info,) = site.glob('*.dist-info')
    script = (info / 'entry_points.txt').read_text()
    assert script.split() == ['[console_scripts]', 'arboretum', '=', 'official.command:main']
    # As the script that pip writes; ROOT is no place to import from.
    code = (
        f'import sys; sys.path.insert(0, {str(site)!r}); from official.command import main; main()'
    )
    return subprocess.run(
        [sys.executable, '-P', '-c', code, *arguments],
        cwd=cwd, env={'PYTHONPATH': str(site), 'HOME': str(cwd)}, capture_output=True, text=True,
    )  # fmt: skip


def test_command_lists_the_gin_files_of_the_wheel(site, tmp_path):
    result = run(site, tmp_path, 'list')
    assert result.returncode == 0, result.stderr
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert 'gin_configs/ladder/digits_100.gin' in names
    assert all((site / name).is_file() for name in names)


def test_command_trains_with_a_gin_file_of_the_wheel(site, tmp_path):
    result = run(
        site, tmp_path, 'train', '--gin_file=gin_configs/ladder/digits_100.gin', '--mode=train',
        '--gin_param=KerasExperiment.train_steps=2', '--gin_param=KerasExperiment.baseline=None',
        '--gin_param=KerasExperiment.save_every_steps=2',
        '--gin_param=KerasExperiment.steps_per_execution=2',
        '--gin_param=KerasExperiment.calibrate=False',
        '--gin_param=KerasExperiment.monitor_split=None',
        '--gin_param=LadderNetwork.encoder=(40, 10)',
        '--gin_param=LadderNetwork.denoising_costs=(100.0, 1.0, 0.1)',
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith('train: ') and 'gin_configs/ladder/digits_100.gin in runs/' in (
        result.stdout
    )
    assert (tmp_path / 'runs/ladder/digits_100').is_dir()
    # No environment of garden's.
    assert [path.name for path in tmp_path.iterdir() if 'venv' in path.name] == []
