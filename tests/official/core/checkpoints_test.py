import os
import sys

import pytest
import tensorflow as tf

from official.core import checkpoints


def make(directory, value=0.0, **kwargs):
    variable = tf.Variable(value)
    return variable, checkpoints.Checkpoints(
        str(directory), {'holder': _holder(variable)},
        **kwargs)


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
    variable, saved = make(tmp_path, 1.0)
    saved.save(1, keep=set())

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.io.gfile, 'rename', killed)
    with pytest.raises(KeyboardInterrupt):
        saved.save(2, keep=set())
    assert saved.steps() == [1]


def test_a_step_that_is_saved_is_not_written_again(tmp_path):
    variable, saved = make(tmp_path, 1.0)
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


def test_a_damaged_manifest_is_named(tmp_path):
    _, saved = make(tmp_path)
    path = saved.save(1, keep=set())
    with open(os.path.join(path, 'manifest.json'), 'w') as f:
        f.write('{')
    with pytest.raises(checkpoints.CheckpointError, match='manifest.json is not a checkpoint'):
        saved.restore(1)


def test_other_shapes_are_another_model(tmp_path):
    _, saved = make(tmp_path)
    saved.save(1, keep=set())
    wider = checkpoints.Checkpoints(str(tmp_path), {'holder': _holder(tf.Variable([1.0, 2.0]))})
    with pytest.raises(checkpoints.CheckpointError, match='00000001 is of another model'):
        wider.restore(1)


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
