"""A copy of the repository, and one whose environment is made."""

import shutil

import pytest

from tests.tools import copies


@pytest.fixture
def repository(tmp_path):
    return copies.plant(tmp_path)


@pytest.fixture(scope='module')
def made_once(tmp_path_factory):
    made = copies.plant(tmp_path_factory.mktemp('made_once'))
    assert made.run('python', '-c', '')[0] == 0
    return made


@pytest.fixture
def ready(made_once, tmp_path):
    """A copy of the repository with its environment made."""
    made = copies.plant(tmp_path)
    # Zip files hold times: each wheel's digest is its own, and the stamp is the lock's.
    shutil.copytree(made_once.wheels, made.wheels, dirs_exist_ok=True)
    for lock in made_once.root.glob('requirements*.lock'):
        shutil.copy(lock, made.root)
    shutil.copytree(made_once.venv, made.venv, symlinks=True)
    return made
