"""What was wrong with data and was dealt with: counted, named, and told at the end.

A loader or pipeline that can go on although a file is not as it should be counts what it met here
instead of printing a line a file; what it cannot go on from it raises.
"""

from __future__ import annotations

import collections
import sys
import threading
from typing import TextIO

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
NO_MASK = 'item without a segmentation (its mask is empty)'
TOO_MANY = 'image with more items than fit a batch (the largest are used)'


class Problems:
    """A thread-safe count of problems by kind, with the names of the first files of each.

    Args:
      name: of the data; the lines of a summary begin with it.
      kept: how many different file names are kept of a kind.
    """

    def __init__(self, name: str = '', kept: int = 3):
        self.name = name
        self.kept = kept
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()
        self._files: dict[str, list[str]] = {}

    def add(self, kind: str, file: str = '', count: int = 1) -> None:
        """Counts `count` more of a kind, met in `file`."""
        with self._lock:
            self._add(kind, [str(file)] if file else [], count)

    def _add(self, kind, files, count):
        if count < 1:
            return
        self._counts[kind] += count
        known = self._files.setdefault(kind, [])
        for file in files:
            if len(known) < self.kept and file not in known:
                known.append(file)

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
            return {kind: {'count': count, 'files': list(self._files[kind])}
                    for kind, count in self._counts.items()}

    def print_summary(self, file: TextIO | None = None) -> None:
        """Prints one line a kind on standard error, or `file`; nothing where there is nothing."""
        for kind, found in self.as_dict().items():
            start = f'{self.name}: ' if self.name else ''
            line = f'{start}{found["count"]} x {kind}'
            if found['files']:
                more = ', ...' if found['count'] > len(found['files']) else ''
                line += f': {", ".join(found["files"])}{more}'
            print(line, file=file or sys.stderr, flush=True)
