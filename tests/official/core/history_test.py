import sys

import pytest
from tensorboard.backend.event_processing import event_accumulator

from official.core import history


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
        {'step': 10, 'loss': 0.1}, {'step': 20, 'loss': 0.05}, {'step': 30, 'loss': 7.0}]
    events = event_accumulator.EventAccumulator(
        str(tmp_path / 'summaries'), size_guidance={event_accumulator.TENSORS: 0}).Reload()
    assert [event.step for event in events.Tensors('loss')][-1] == 30


def test_who_is_not_the_chief_writes_nothing(tmp_path):
    history.History(str(tmp_path), last_step=0, write=False).add(1, {'loss': 1.0})
    assert list(tmp_path.iterdir()) == []


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
