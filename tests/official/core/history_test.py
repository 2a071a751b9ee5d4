import shutil

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from official.core import history, run_folder


def test_rows_are_kept_cut_at_a_resume_and_seen_by_tensorboard(tmp_path):
    run_dir = str(tmp_path)
    first = history.History(run_dir, last_step=0)
    for step in (10, 20, 30):
        first.add(step, {'loss': 1.0 / step})
    # Killed in the middle of a line, and gone on from the checkpoint of step 20.
    with open(tmp_path / 'history.jsonl', 'a') as f:
        f.write('{"step": 40, "lo')
    assert [row['step'] for row in history.read(run_dir)] == [10, 20, 30]
    second = history.History(run_dir, last_step=20)
    second.add(30, {'loss': 7.0})
    assert history.read(run_dir) == [
        {'step': 10, 'loss': 0.1},
        {'step': 20, 'loss': 0.05},
        {'step': 30, 'loss': 7.0},
    ]
    events = event_accumulator.EventAccumulator(
        str(tmp_path / 'summaries'), size_guidance={event_accumulator.TENSORS: 0}
    ).Reload()
    assert [event.step for event in events.Tensors('loss')][-1] == 30


def test_who_is_not_the_chief_writes_nothing(tmp_path):
    history.History(str(tmp_path), last_step=0, write=False).add(1, {'loss': 1.0})
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / 'history.jsonl'
    for content, expected in (
        (b'\xff\n', 'is damaged: it is not a text in UTF-8'),
        (b'{"step": 1}\n[]\n', 'line 2, is not a JSON object'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f'history.jsonl.*{expected}'):
            history.read(str(tmp_path))
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match='history.jsonl is damaged: it is a folder, not a file'):
        history.read(str(tmp_path))


def test_rows_of_another_run_are_refused(tmp_path):
    for seed in (0, 1):
        folder = tmp_path / f'run_{seed}'
        folder.mkdir()
        with run_folder.claim(str(folder), run_folder.Identity(seed, False, {})):
            history.History(str(folder), last_step=0).add(10, {'loss': 1.0 + seed})
        assert history.read(str(folder)) == [{'step': 10, 'loss': 1.0 + seed}]
    # A folder of another name is the same run.
    (tmp_path / 'run_0').rename(tmp_path / 'moved')
    assert history.read(str(tmp_path / 'moved')) == [{'step': 10, 'loss': 1.0}]
    shutil.copy(tmp_path / 'run_1' / 'history.jsonl', tmp_path / 'moved' / 'history.jsonl')
    for function in (history.read, lambda folder: history.History(folder, last_step=10)):
        with pytest.raises(
            ValueError,
            match='history.jsonl belongs to another run .seed 1, .*, '
            'not to that of .*moved .seed 0, ',
        ):
            function(str(tmp_path / 'moved'))


def test_a_full_disk(tmp_path, monkeypatch):
    rows = history.History(str(tmp_path), last_step=0)

    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, 'No space left on device')

    monkeypatch.setattr(tf.io.gfile.GFile, 'write', full)
    with pytest.raises(OSError, match='history.jsonl cannot be written: the disk is full'):
        rows.add(10, {'loss': 1.0})
