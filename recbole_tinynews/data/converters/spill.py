"""What has to wait, on disk instead of in memory."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["Spill"]


class Spill:
    """A queue of objects in a temporary file (in ``TMPDIR``), which the system removes with the process at the latest.

    Examples
    --------
    >>> waiting = Spill()
    >>> waiting.add([1, 2])
    >>> waiting.add("three")
    >>> list(waiting.take())
    [[1, 2], 'three']
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed when nothing holds it any more
        self._count = 0

    def add(self, value: Any) -> None:
        """Append an object."""
        pickle.dump(value, self._file, protocol=5)
        self._count += 1

    def take(self) -> Iterator[Any]:
        """Yield all, in order, and close the file; nothing can be added or taken afterwards."""
        with self._file:
            self._file.seek(0)
            for _ in range(self._count):
                yield pickle.load(self._file)
