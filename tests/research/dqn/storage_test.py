"""Rings of frames in files: what survives a kill, and what is told of damage."""

import errno
import os

import numpy as np
import pytest

from research.dqn import replay, storage
from tests.research.dqn import plain_replay


def memory(directory, slack=10, slots=20):
    return replay.FrameReplay(
        2 * slots,
        (plain_replay.HEIGHT, plain_replay.WIDTH),
        num_streams=2,
        directory=str(directory),
        slack_frames=2 * slack,
    )


def batch(memory):
    return memory.sample(64, key=3)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def append(memory, first, slots, salt=0):
    """Appends slots from number `first` on; `salt` makes other ones."""
    for number in range(first, first + slots):
        memory.append(
            np.stack([plain_replay.frame(number + salt, stream) for stream in range(2)]),
            [number % 5, salt % 5],
            [1.0, -1.0],
            [1.0, float(number % 4 > 0)],
            [number % 6 == 0, number % 7 == 0],
        )


def fill(directory, slots=33):
    """A memory that was saved after `slots` slots, and what it is then."""
    first = memory(directory)
    for number in range(slots):
        append(first, number, 1)
        first.flush()
        first.commit()
    return first, first.state(), batch(first)


def test_what_was_appended_after_the_checkpoint_leaves_it_alone(tmp_path):
    first, state, saved = fill(tmp_path)
    append(first, 33, 10)  # All the slack; the process dies here.
    assert not same(batch(first), saved)
    second = memory(tmp_path)
    second.restore(state)
    assert len(second) == 40
    assert same(batch(second), saved)


def test_appending_goes_on_as_if_nothing_had_happened(tmp_path):
    first, state, _ = fill(tmp_path / 'killed')
    append(first, 33, 7, salt=40)
    second = memory(tmp_path / 'killed')
    second.restore(state)
    whole, _, _ = fill(tmp_path / 'whole')
    for each in (second, whole):
        append(each, 33, 9)
    assert same(batch(second), batch(whole))


def test_nothing_that_a_checkpoint_relies_on_is_overwritten(tmp_path):
    first, _, _ = fill(tmp_path)
    append(first, 33, 9)
    assert first.is_commit_due
    append(first, 42, 1)
    with pytest.raises(RuntimeError, match='no slack'):
        append(first, 43, 1)
    first.commit()
    assert not first.is_commit_due
    append(first, 43, 1)


@pytest.mark.parametrize('name', ['frames.bin', 'steps.bin', 'checksums.bin'])
def test_a_changed_byte_is_found(tmp_path, name):
    _, state, _ = fill(tmp_path, slots=15)
    with open(tmp_path / name, 'r+b') as file:
        file.seek(15)
        byte = file.read(1)
        file.seek(15)
        file.write(bytes([byte[0] ^ 4]))
    with pytest.raises(storage.DamagedReplay, match=r'slot \d+ of the replay memory is damaged'):
        memory(tmp_path).restore(state)


def test_an_older_checkpoint_does_not_take_younger_frames(tmp_path):
    first = memory(tmp_path)
    states = []
    for number in range(60):
        append(first, number, 1)
        first.flush()
        first.commit()
        states.append(first.state())
    second = memory(tmp_path)
    second.restore(states[49])  # The slack has kept its frames.
    with pytest.raises(
        storage.DamagedReplay,
        match=f'younger than the checkpoint.*Remove the folder {tmp_path} to go on with an empty',
    ):
        memory(tmp_path).restore(states[48])


def test_removing_leaves_what_is_not_its_own(tmp_path):
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'notes.txt').write_text('mine')
    fill(tmp_path)[0].remove()
    assert sorted(os.listdir(tmp_path)) == ['notes.txt', 'thesis']
    fill(tmp_path / 'replay')[0].remove()
    assert not (tmp_path / 'replay').exists()


def test_a_memory_without_a_folder_is_not_restored():
    with pytest.raises(ValueError, match='without a directory cannot be restored'):
        replay.FrameReplay(20, (3, 2)).restore({'count': np.array(3)})


def test_a_byte_outside_what_was_saved_does_not_matter(tmp_path):
    _, state, saved = fill(tmp_path, slots=15)
    with open(tmp_path / 'frames.bin', 'r+b') as file:
        file.seek(-1, os.SEEK_END)
        file.write(b'x')
    second = memory(tmp_path)
    second.restore(state)
    assert same(batch(second), saved)


def test_a_file_that_was_cut_short_is_named(tmp_path):
    fill(tmp_path, slots=15)
    size = os.path.getsize(tmp_path / 'frames.bin')
    os.truncate(tmp_path / 'frames.bin', size - 5)
    with pytest.raises(storage.DamagedReplay, match=f'frames.bin has {size - 5} bytes, not {size}'):
        memory(tmp_path)


def test_a_missing_file_is_damage(tmp_path):
    fill(tmp_path, slots=15)
    os.remove(tmp_path / 'steps.bin')
    with pytest.raises(storage.DamagedReplay, match='steps.bin is missing'):
        memory(tmp_path)


def test_another_layout_is_refused(tmp_path):
    fill(tmp_path, slots=15)
    with pytest.raises(storage.DamagedReplay, match='is of another replay memory'):
        memory(tmp_path, slots=21)


def test_the_room_of_the_files_is_reserved_at_the_start(tmp_path):
    """A hole in a mapped file ends the process when the disk has become full."""
    size = 10_500 * 84 * 84
    replay.FrameReplay(10_000, directory=str(tmp_path), slack_frames=500)
    stat = os.stat(tmp_path / 'frames.bin')
    assert stat.st_size == size <= stat.st_blocks * 512
    # So is that of a copy with holes.
    os.truncate(tmp_path / 'frames.bin', 0)
    os.truncate(tmp_path / 'frames.bin', size)
    assert os.stat(tmp_path / 'frames.bin').st_blocks == 0
    replay.FrameReplay(10_000, directory=str(tmp_path), slack_frames=500)
    assert os.stat(tmp_path / 'frames.bin').st_blocks * 512 >= size


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_the_files_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, number):
    def full(descriptor, start, size):
        if size > 1000:
            raise OSError(number, os.strerror(number))
        reserve(descriptor, start, size)

    reserve = os.posix_fallocate
    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(
        OSError,
        match=r'the replay memory needs 0\.00 GB here and .* of disk are '
        r'free; make room.*frames.bin',
    ):
        replay.FrameReplay(100, directory=str(tmp_path / 'replay'), slack_frames=5)
    assert not os.listdir(tmp_path / 'replay')


def test_the_memory_of_another_run_is_refused(tmp_path):
    """The same layout and as many frames, each with its checksum."""
    _, state, saved = fill(tmp_path / 'one')
    other = memory(tmp_path / 'other')
    append(other, 0, 10)
    other.commit()
    append(other, 10, 10, salt=40)
    other.commit()
    append(other, 20, 10)
    other.commit()
    append(other, 30, 3)
    other.flush()
    with pytest.raises(
        storage.DamagedReplay,
        match=f'{tmp_path}/other has the replay memory of another run than the checkpoint',
    ):
        memory(tmp_path / 'other').restore(state)
    os.rename(tmp_path / 'one', tmp_path / 'moved')
    again = memory(tmp_path / 'moved')
    again.restore(state)
    assert same(batch(again), saved)
    del state['fingerprint']  # Of a checkpoint of old.
    memory(tmp_path / 'other').restore(state)


def test_no_room_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, 'free_memory', lambda: 10**15)
    with pytest.raises(OSError, match=r'takes 7\d+\.\d\d GB and .* GB of disk are free'):
        replay.FrameReplay(10**9, directory=str(tmp_path / 'replay'), slack_frames=1)
    assert not (tmp_path / 'replay').exists()
    monkeypatch.setattr(storage, 'free_memory', lambda: 10**6)
    with pytest.raises(ValueError, match='choose a smaller FrameReplay.capacity_frames'):
        replay.FrameReplay(1000, directory=str(tmp_path / 'replay'), slack_frames=1)


def test_remote_folders_are_refused(monkeypatch):
    with pytest.raises(ValueError, match='has to be on a local disk'):
        replay.FrameReplay(1000, directory='gs://bucket/run/replay', slack_frames=1)


def test_free_memory_is_plausible():
    assert 10**8 < storage.free_memory() < 10**14
