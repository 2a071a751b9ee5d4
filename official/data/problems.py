"""What was wrong with data and was dealt with: counted, named, and told at the end.

A loader or pipeline that can go on although a file is not as it should be counts what it met here
instead of printing a line a file; what it cannot go on from it raises.
"""

from __future__ import annotations

import collections
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TextIO

# The kinds that several readers meet. Any other text is a kind as well.
NO_ITEM = 'image without an item (kept)'
NO_IMAGE = 'annotation without its image (skipped)'
NO_ANNOTATION = 'image without annotation (skipped)'
HIDDEN = 'hidden folder or file (left out)'
DAMAGED = 'image that cannot be read (skipped)'
CLIPPED = 'box partly outside its image (clipped)'
TURNED = 'image stored turned, by its EXIF orientation (turned upright)'
CONVERTED = 'image that is not 8-bit RGB (converted)'
OTHER_SIZE = 'image larger or smaller than its annotation says (annotation scaled)'
OTHER_SHAPE = 'image of another shape than its annotation says (skipped)'
NO_PARTNER = 'item of a pair without a partner (not used for pairs)'
NO_AREA = 'box of no area (skipped)'
SAME_ID = 'item whose id another has (all items numbered anew)'
MASK_OUTSIDE = 'segmentation outside its box (its mask is empty)'
MASK_FLAT = 'segmentation of no area (its mask is empty)'
MASK_CLIPPED = 'polygon far outside its image (clipped)'
SHORT_POLYGON = 'polygon of fewer than 3 points (left out)'
NO_MASK = 'item without a segmentation (its mask is empty)'
NO_MIRROR = 'category of which no two landmarks are named left and right (mirroring exchanges none)'
TOO_MANY = 'image with more items than fit a batch (the largest are used)'
# The kinds of what cannot be right: an error, or skipped where a reader is asked to.
BAD_ENTRY = 'entry that cannot be right (skipped)'
BAD_BOX = 'box that cannot be right (skipped)'
BAD_MASK = 'segmentation that cannot be right (skipped)'
BAD_LANDMARKS = 'landmarks that cannot be right (skipped)'
BAD_CATEGORY = 'category that cannot be right (skipped)'
BAD_FIELD = 'field that cannot be right (skipped)'
_SKIPPED = '(skipped)'
_NAMED = 20  # Of each kind, in an error.
_IN_A_LINE = 3  # Files of a kind, in a summary.


class Malformed(ValueError):
    """Values of one entry of a file that cannot be right.

    Args:
      faults: (kind, sentence) of each, the sentence with file, entry and value.
    """

    def __init__(self, *faults: tuple[str, str]):
        super().__init__('\n'.join(sentence for _, sentence in faults))
        self.faults = faults

    @classmethod
    def of(cls, errors: Sequence[Malformed]) -> Malformed:
        """Several as one."""
        return cls(*(fault for error in errors for fault in error.faults))


class Problems:
    """A thread-safe count of problems by kind, with the names of the first files of each.

    Args:
      name: of the data; the lines of a summary begin with it.
      kept: how many different file names are kept of a kind.
      kept_skipped: the same of kinds that were skipped; None: `kept`.
    """

    def __init__(self, name: str = '', kept: int = _IN_A_LINE, kept_skipped: int | None = None):
        self.name = name
        self.kept = kept
        self._kept_skipped = kept if kept_skipped is None else kept_skipped
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()
        self._files: dict[str, dict[str, None]] = {}  # Dictionaries for their order.

    def add(self, kind: str, file: str = '', count: int = 1) -> None:
        """Counts `count` more of a kind, met in `file`."""
        with self._lock:
            self._add(kind, [str(file)] if file else [], count)

    def _add(self, kind, files, count):
        if count < 1:
            return
        self._counts[kind] += count
        known = self._files.setdefault(kind, {})
        kept = self._kept_skipped if kind.endswith(_SKIPPED) else self.kept
        for file in files:
            if len(known) < kept:
                known.setdefault(file)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind, in the order in which the kinds were met."""
        with self._lock:
            return dict(self._counts)

    def files(self, kind: str) -> list[str]:
        """The first files of a kind, without repetition."""
        with self._lock:
            return list(self._files.get(kind, ()))

    def as_dict(self) -> dict[str, dict]:
        """{kind: {'count': int, 'files': [str, ...]}}, for JSON."""
        with self._lock:
            return {
                kind: {'count': count, 'files': list(self._files[kind])}
                for kind, count in self._counts.items()
            }

    def print_summary(self, file: TextIO | None = None) -> None:
        """Prints one line a kind on standard error, or `file`; nothing where there is nothing.

        Where more than 3 files of a kind are kept, each has a line of its own.
        """
        for kind, found in self.as_dict().items():
            start = f'{self.name}: ' if self.name else ''
            line = f'{start}{found["count"]} x {kind}'
            if found['files']:
                files = found['files'] + ['...'] * (found['count'] > len(found['files']))
                few = len(found['files']) <= _IN_A_LINE
                line += f': {", ".join(files)}' if few else ''.join(f'\n  {name}' for name in files)
            print(line, file=file or sys.stderr, flush=True)


class Faults:
    """Takes what is malformed in a whole set: counted and skipped, or all of it refused at the end.

    Args:
      problems: where it is counted; its name begins the error.
      skip: count it; else `check` raises. None: the reader has no such option, of which the error
        would speak.
    """

    def __init__(self, problems: Problems, skip: bool | None = None):
        self._skip = skip
        self._found = problems if skip else Problems(problems.name, _NAMED)

    def add(self, error: Malformed) -> None:
        """Takes the faults of an entry, which the caller leaves out."""
        for kind, sentence in error.faults:
            self._found.add(kind, sentence)

    def call(self, function: Callable, *args: Any, **options: Any) -> Any:
        """Returns the result of a function, or None where it raises `Malformed`, which is kept."""
        try:
            return function(*args, **options)
        except Malformed as error:
            self.add(error)
            return None

    def check(self) -> None:
        """Raises ValueError with all that was taken and not skipped, by kind."""
        found = {} if self._skip else self._found.as_dict()
        total = sum(one['count'] for one in found.values())
        if total == 1:
            raise ValueError(next(iter(found.values()))['files'][0])
        if total:
            way_out = '' if self._skip is None else '; skip_malformed = True leaves them out'
            lines = [f'{self._found.name}: {total} values cannot be right{way_out}:']
            for kind, one in found.items():
                lines.append(f'{one["count"]} x {kind.removesuffix(f" {_SKIPPED}")}:')
                lines += [f'  {sentence}' for sentence in one['files']]
                lines += ['  ...'] * (one['count'] > len(one['files']))
            raise ValueError('\n'.join(lines))
