"""Rings of frames in memory or in files that survive a kill.

A ring in files has more room than it promises to keep. What was appended since the last commit
goes into that slack, so that all a checkpoint relies on is still there when the process dies before
the next one; a checkpoint needs to hold no frame, only how many had been appended.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zlib

import numpy as np

from official.core import files

STEP = np.dtype(
    [('action', np.int32), ('reward', np.float32), ('discount', np.float32), ('first', np.bool_)]
)
_LAYOUT = 'layout.json'
_ROOM = 'the replay memory', 'or name another folder with DqnExperiment.replay_dir'


class DamagedReplay(ValueError):
    """A replay memory in files that is not what was written; the message names the file."""


class Ring:
    """Slots of one frame and one step for each of several streams; a slot once full is overwritten.

    Slots have absolute numbers: the first ever appended is 0. `slots` of them are kept.

    Args:
      slots: how many slots are kept.
      slack: how many more can be appended after a commit before one that the commit relies on is
        overwritten.
      num_streams: frames in a slot.
      frame_shape: height and width of a frame.
      directory: folder of the files, made if missing; None keeps everything in memory. Their room
        on the disk is reserved at once: to write to a file that is mapped ends the process where
        the disk is full.

    Raises:
      ValueError: the ring does not fit into the memory that is free, or the folder has the files of
        a ring of another layout.
      OSError: it does not fit onto the disk.

    Attributes:
      is_new: whether there were no files of a ring in the folder.
    """

    def __init__(
        self,
        slots: int,
        slack: int,
        num_streams: int,
        frame_shape: tuple[int, int],
        directory: str | None,
    ):
        self.slots = slots
        self.count = 0  # Slots ever appended.
        self._committed = 0
        self._physical = slots + slack
        self.directory = directory
        shapes = {
            'frames': (np.dtype(np.uint8), (self._physical, num_streams, *frame_shape)),
            'steps': (STEP, (self._physical, num_streams)),
            'checksums': (np.dtype(np.uint32), (self._physical,)),
        }
        self.nbytes = sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in shapes.values())
        _check_room(self.nbytes, directory)
        self.is_new = True
        if directory is None:
            # Zeros that are not touched take no memory yet.
            arrays = {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}
        else:
            layout = {name: list(shape) for name, (_, shape) in shapes.items()}
            self.is_new = _is_new(directory, layout)
            try:
                arrays = {
                    name: _file(os.path.join(directory, name + '.bin'), dtype, shape, self.is_new)
                    for name, (dtype, shape) in shapes.items()
                }
            except OSError:
                if self.is_new:  # A part of the room is of no use.
                    for name in shapes:
                        with contextlib.suppress(OSError):
                            os.remove(os.path.join(directory, name + '.bin'))
                raise
            if self.is_new:  # Last: a folder with a layout has all its files.
                _write_layout(directory, layout)
        self._paths = [
            os.path.join(directory or '', name)
            for name in (*(f'{name}.bin' for name in shapes), _LAYOUT)
        ]
        self._files = [array for array in arrays.values() if isinstance(array, np.memmap)]
        # Plain views: every index into a memmap makes another memmap, which takes longer.
        self.frames = arrays['frames'].view(np.ndarray)
        self.steps = arrays['steps'].view(np.ndarray)
        self._checksums = arrays['checksums'].view(np.ndarray)

    @property
    def oldest(self) -> int:
        """Absolute number of the oldest slot that is kept."""
        return max(0, self.count - self.slots)

    def place(self, number: int | np.ndarray) -> int | np.ndarray:
        """Where in the arrays the slots of some absolute numbers are."""
        return number % self._physical

    @property
    def slack(self) -> int:
        """Slots that can be appended before the next commit has to come."""
        return self._physical - self.slots - (self.count - self._committed)

    def append(
        self,
        frames: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        discounts: np.ndarray,
        first: np.ndarray,
    ) -> None:
        """Appends a slot: arrays with a row for each stream.

        Raises:
          RuntimeError: it would overwrite a slot that the last commit relies on.
        """
        if self.directory and self.slack <= 0:
            raise RuntimeError(f'{self.directory}: no slack is left to append before a commit.')
        place = self.place(self.count)
        self.frames[place] = frames
        steps = self.steps[place]
        steps['action'], steps['reward'] = actions, rewards
        steps['discount'], steps['first'] = discounts, first
        if self.directory:
            self._checksums[place] = self._checksum(self.count)
        self.count += 1

    def _checksum(self, number: int) -> int:
        # With its number, so that a slot that was overwritten since is not taken for it.
        place = self.place(number)
        return zlib.crc32(
            self.steps[place].tobytes(),
            zlib.crc32(self.frames[place].data, zlib.crc32(number.to_bytes(8, 'little'))),
        )

    def flush(self) -> None:
        """Brings what was appended to the disk; what a checkpoint does before it is written."""
        for file in self._files:
            file.flush()

    def remove(self) -> None:
        """Removes the files, and the folder if nothing else is in it."""
        if self.directory:
            for path in self._paths:
                os.remove(path)
            with contextlib.suppress(OSError):
                os.rmdir(self.directory)

    def commit(self) -> None:
        """Says that a checkpoint relies on the slots there are now and no older one counts."""
        self._committed = self.count

    def fingerprint(self) -> int:
        """A checksum of all slots that are kept; 0 without a folder."""
        kept = self.place(np.arange(self.oldest, self.count))
        return zlib.crc32(self._checksums[kept]) if self.directory else 0

    def restore(self, count: int, fingerprint: int | None = None) -> None:
        """Goes back to the moment when `count` slots had been appended and committed.

        Args:
          count: slots.
          fingerprint: of them, to refuse those of another run; None takes any.

        Raises:
          ValueError: the ring has no folder.
          DamagedReplay: a slot is not what was written then, or the slots are of another run.
        """
        if not self.directory:
            raise ValueError('A replay memory without a directory cannot be restored.')
        if self.is_new and count:
            raise DamagedReplay(f'{self.directory} has no replay memory: it was removed.')
        self.count = self._committed = count
        for number in range(self.oldest, count):
            place = self.place(number)
            if self._checksums[place] != self._checksum(number):
                raise DamagedReplay(
                    f'{self.directory}: slot {place} of the replay memory is damaged, of another '
                    'run or younger than the checkpoint, its checksum is not that of frame '
                    f'{number} of each game. {_remedy(self.directory)}'
                )
        if fingerprint not in (None, self.fingerprint()):
            raise DamagedReplay(
                f'{self.directory} has the replay memory of another run than the checkpoint. '
                f'{_remedy(self.directory)}'
            )


def _file(path: str, dtype: np.dtype, shape: tuple[int, ...], is_new: bool) -> np.memmap:
    size = dtype.itemsize * int(np.prod(shape))
    if is_new:
        with open(path, 'wb') as file:
            files.reserve(file, size, *_ROOM)
    elif not os.path.exists(path):
        raise DamagedReplay(f'{path} is missing. {_remedy(os.path.dirname(path))}')
    elif os.path.getsize(path) != size:
        raise DamagedReplay(
            f'{path} has {os.path.getsize(path)} bytes, not {size}: it was cut short or changed. '
            f'{_remedy(os.path.dirname(path))}'
        )
    else:
        with open(path, 'r+b') as file:
            files.reserve(file, size, *_ROOM)  # A copy may have holes.
    return np.memmap(path, dtype, 'r+', shape=shape)


def _is_new(directory: str, layout: dict) -> bool:
    """Whether the folder has no memory yet; raises if it has one of another layout."""
    path = os.path.join(directory, _LAYOUT)
    if not os.path.exists(path):
        os.makedirs(directory, exist_ok=True)
        return True
    with open(path, encoding='utf-8') as file:
        try:
            there = json.load(file)
        except ValueError as error:
            raise DamagedReplay(
                f'{path} is not valid JSON: {error}. {_remedy(directory)}'
            ) from error
    if there != layout:
        raise DamagedReplay(f'{path} is of another replay memory: {there} there, {layout} here.')
    return False


def _remedy(directory: str) -> str:
    return f'Remove the folder {directory} to go on with an empty replay memory.'


def _write_layout(directory: str, layout: dict) -> None:
    path = os.path.join(directory, _LAYOUT)
    with open(path + '.partial', 'w', encoding='utf-8') as file:
        json.dump(layout, file)
    os.replace(path + '.partial', path)


def _check_room(nbytes: int, directory: str | None) -> None:
    free = free_memory()
    # What is in files and already in memory counts as free; that of other processes does, too.
    if free is not None and nbytes > free:
        raise ValueError(
            f'The replay memory takes {nbytes / 1e9:.2f} GB and {free / 1e9:.2f} GB of memory are '
            'free; choose a smaller FrameReplay.capacity_frames.'
        )
    if directory is None:
        return
    if '://' in directory:
        raise ValueError(
            f'{directory}: a replay memory has to be on a local disk; name one with '
            'DqnExperiment.replay_dir.'
        )
    there = os.path.abspath(directory)
    kept = 0
    if os.path.isdir(there):
        kept = sum(entry.stat().st_blocks * 512 for entry in os.scandir(there))
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    disk = shutil.disk_usage(there).free + kept
    if nbytes > disk:
        raise OSError(
            f'{directory}: the replay memory takes {nbytes / 1e9:.2f} GB and '
            f'{disk / 1e9:.2f} GB of disk are free.'
        )


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping, None where Linux does not say."""
    sizes = []
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            rows = dict(line.split(':') for line in file)
        sizes.append(int(rows['MemAvailable'].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pass
    try:  # The limit of a container.
        with open('/sys/fs/cgroup/memory.max', encoding='ascii') as file:
            limit = int(file.read())
        with open('/sys/fs/cgroup/memory.current', encoding='ascii') as file:
            used = int(file.read())
        with open('/sys/fs/cgroup/memory.stat', encoding='ascii') as file:
            cached = int(dict(line.split() for line in file)['file'])
        sizes.append(limit - used + cached)
    except (OSError, KeyError, ValueError):
        pass
    return min(sizes) if sizes else None
