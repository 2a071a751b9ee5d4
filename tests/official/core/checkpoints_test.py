import errno
import os
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from official.core import checkpoints, errors, run_folder


def make(directory, value=0.0, **kwargs):
    variable = tf.Variable(value)
    return variable, checkpoints.Checkpoints(
        str(directory), {'holder': _holder(variable)}, **kwargs
    )


def _holder(variable):
    module = tf.Module()
    module.variable = variable
    return module


def test_saved_is_restored_and_only_the_last_and_the_kept_stay(tmp_path):
    variable, saved = make(tmp_path / 'c')
    assert saved.steps() == []
    for step in (1, 2, 3, 4):
        variable.assign(float(step))
        saved.save(step, keep={2})
    assert saved.steps() == [2, 4]
    other, again = make(tmp_path / 'c')
    for step in (2, 4):
        again.restore(step)
        assert float(other) == step


def test_what_a_kill_left_is_not_seen_and_is_cleaned_up(tmp_path):
    variable, saved = make(tmp_path, 1.0)
    saved.save(1, keep=set())
    # Killed while writing: files under the temporary name. Killed on a file system whose rename
    # is not atomic: a folder without its manifest, which is written last.
    os.makedirs(tmp_path / '00000002.partial')
    (tmp_path / '00000002.partial' / 'weights.index').write_bytes(b'half')
    os.makedirs(tmp_path / '00000003')
    (tmp_path / '00000003' / 'weights.index').write_bytes(b'half')
    assert saved.steps() == [1]
    variable.assign(3.0)
    saved.save(3, keep=set())
    assert sorted(os.listdir(tmp_path)) == ['00000003']
    other, again = make(tmp_path)
    again.restore(3)
    assert float(other) == 3.0


def test_a_process_killed_before_the_rename_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    _, saved = make(tmp_path, 1.0)
    saved.save(1, keep=set())

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.io.gfile, 'rename', killed)
    with pytest.raises(KeyboardInterrupt):
        saved.save(2, keep=set())
    assert saved.steps() == [1]


def test_a_step_that_is_saved_is_not_written_again(tmp_path):
    _, saved = make(tmp_path, 1.0)
    path = saved.save(1, keep=set())
    before = os.stat(os.path.join(path, 'manifest.json')).st_mtime_ns
    saved.save(1, keep=set())
    assert os.stat(os.path.join(path, 'manifest.json')).st_mtime_ns == before


def test_a_step_can_be_replaced(tmp_path):
    variable, saved = make(tmp_path)
    for value, replace in ((1.0, False), (2.0, False), (3.0, True)):
        variable.assign(value)
        saved.save(7, keep=set(), replace=replace)
        other, again = make(tmp_path)
        again.restore(7)
        assert float(other) == {1.0: 1.0, 2.0: 1.0, 3.0: 3.0}[value]
    assert [path.name for path in tmp_path.iterdir()] == ['00000007']


def test_a_worker_that_is_not_the_chief_writes_nothing(tmp_path):
    _, saved = make(tmp_path / 'c', write=False)
    assert saved.save(1, keep=set()).endswith('00000001')
    assert not os.path.exists(tmp_path / 'c')


def test_other_shapes_are_another_model(tmp_path):
    _, saved = make(tmp_path)
    saved.save(1, keep=set())
    wider = checkpoints.Checkpoints(str(tmp_path), {'holder': _holder(tf.Variable([1.0, 2.0]))})
    with pytest.raises(checkpoints.CheckpointError, match='00000001 is of another model'):
        wider.restore(1)


def _manifest(path):
    return os.path.join(path, 'manifest.json')


@pytest.mark.parametrize(
    'text, expected',
    [
        ('{', 'manifest.json is not a checkpoint manifest'),
        ('null', 'manifest.json is not a checkpoint manifest'),
        ('[]', 'manifest.json is not a checkpoint manifest'),
        ('{"step": 1, "files": []}', 'manifest.json is not a checkpoint manifest'),
        (
            '{"step": 1, "files": {"weights.index": 3}}',
            'manifest.json is not a checkpoint manifest',
        ),
        ('{"step": 1, "files": {}}', 'manifest.json is damaged: it does not list the files'),
        (
            '{"step": 1, "files": {"weights.index": {"bytes": 1, "sha256": ""}}}',
            'manifest.json is damaged: it does not list the files',
        ),
        (None, 'manifest.json is not a checkpoint manifest'),
    ],
)
def test_damaged_manifests_are_named(tmp_path, text, expected):
    variable, saved = make(tmp_path, 1.0)
    path = _manifest(saved.save(1, keep=set()))
    os.remove(path)
    if text is None:
        os.mkdir(path)
    else:
        with open(path, 'w') as f:
            f.write(text)
    variable.assign(2.0)
    with pytest.raises(checkpoints.CheckpointError, match=expected) as caught:
        saved.restore(1)
    assert errors.sentence(caught.value)
    assert float(variable) == 2.0


def test_a_folder_that_was_renamed_is_not_another_step(tmp_path):
    _, saved = make(tmp_path)
    os.rename(saved.save(1, keep=set()), saved.path(20))
    assert saved.steps() == [20]
    with pytest.raises(checkpoints.CheckpointError, match='00000020 is of step 1, not 20: its fol'):
        saved.restore(20)


def test_a_file_for_the_folder(tmp_path):
    (tmp_path / 'checkpoints').write_text('')
    _, saved = make(tmp_path / 'checkpoints')
    for call in (saved.steps, lambda: saved.save(1, keep=set())):
        with pytest.raises(checkpoints.CheckpointError, match='checkpoints is a file, and the fol'):
            call()


def test_checkpoints_of_another_seed_are_not_taken(tmp_path):
    for seed in (0, 1):
        run_dir = str(tmp_path / f'seed_{seed}')
        with run_folder.claim(run_dir, run_folder.Identity(seed, False, {'a': '1'})):
            make(os.path.join(run_dir, 'checkpoints'))[1].save(5, keep=set())
    shutil.rmtree(tmp_path / 'seed_0' / 'checkpoints')
    shutil.copytree(tmp_path / 'seed_1' / 'checkpoints', tmp_path / 'seed_0' / 'checkpoints')
    _, own = make(tmp_path / 'seed_1' / 'checkpoints')
    own.restore(5)
    _, foreign = make(tmp_path / 'seed_0' / 'checkpoints')
    with pytest.raises(
        checkpoints.CheckpointError,
        match=(
            r'00000005 belongs to another run \(seed 1, [0-9a-f]{12}\), not to that of .*seed_0 '
            r'\(seed 0, [0-9a-f]{12}\)\.$'
        ),
    ):
        foreign.restore(5)


def _full(*args, **kwargs):
    raise tf.errors.ResourceExhaustedError(None, None, 'x.data; No space left on device')


@pytest.mark.parametrize('where', ['weights', 'manifest', 'fsync'])
def test_a_full_disk(tmp_path, monkeypatch, where):
    variable, saved = make(tmp_path, 1.0)
    good = saved.save(1, keep=set())
    if where == 'weights':

        def write(prefix):
            with open(prefix + '.data', 'w') as f:  # What there was room for.
                f.write('half')
            _full()

        monkeypatch.setattr(saved._checkpoint, 'write', write)
    elif where == 'manifest':
        monkeypatch.setattr(tf.io.gfile.GFile, 'write', _full)
    else:

        def fsync(descriptor):
            raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(os, 'fsync', fsync)
    variable.assign(2.0)
    with pytest.raises(
        OSError,
        match=(
            f'^{saved.path(2)} cannot be written: the disk is full, .* are free. The last good '
            f'checkpoint is {good}.$'
        ),
    ) as caught:
        saved.save(2, keep=set())
    assert errors.sentence(caught.value)
    assert os.listdir(tmp_path) == ['00000001']  # No part of the other keeps the disk full.
    monkeypatch.undo()
    saved.restore(1)
    assert float(variable) == 1.0


@pytest.mark.skipif(sys.platform != 'linux' or os.geteuid() != 0, reason='mounts a small disk')
def test_a_disk_that_is_really_full(tmp_path):
    if subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', tmp_path], capture_output=True
    ).returncode:
        pytest.skip('this container may not mount')
    try:
        _, saved = make(tmp_path, [1.0] * 50_000)
        good = saved.save(1, keep=set())
        _, other = make(tmp_path, [1.0] * 500_000)
        with pytest.raises(OSError, match=f'the disk is full, .*B are free. The last .*{good}'):
            other.save(2, keep=set())
        assert saved.steps() == [1] and os.listdir(tmp_path) == ['00000001']
        saved.restore(1)
    finally:
        subprocess.run(['umount', tmp_path], check=True)
