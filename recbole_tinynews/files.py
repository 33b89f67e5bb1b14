"""Files that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from types import TracebackType

import numpy as np

from recbole_tinynews.errors import InputError

__all__ = ["GrowingArray", "check_file", "check_writable", "replacing", "replacing_folder"]


def check_writable(folder: Path, what: str) -> None:
    """Make a folder, and see that files can be written there: better now than after hours.

    Raises
    ------
    InputError
        If not; it says that ``what`` cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{what} cannot be written: {error.strerror}", path=folder) from None


def check_file(path: Path, what: str) -> None:
    """Make a file's folder, and see that the file can be written there.

    Raises
    ------
    InputError
        If not, or if a folder has that name.
    """
    check_writable(path.parent, what)
    if path.is_dir():
        raise InputError(f"{what} must be a file, not a folder", path=path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give another name to write to, which becomes ``path`` at the end; after an error ``path`` is as it was.

    The name has the same suffix and is another one each time.
    """
    part = path.with_name(f".{token_hex(8)}.{path.name}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut could leave the new name on an empty file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder to write into, which becomes ``folder`` at the end, unless another process was faster."""
    part = folder.with_name(f".{token_hex(8)}.{folder.name}")  # ids of processes repeat on other machines
    part.mkdir()
    try:
        yield part
        try:
            part.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


class GrowingArray:
    """A ``.npy`` file whose array gets longer by parts, as a context manager; it is whole when that ends.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._length = 0
        self._dtype: np.dtype = np.dtype(np.int8)

    def __enter__(self) -> GrowingArray:
        return self

    def append(self, values: np.ndarray) -> None:
        """Add values behind the others, of the same type as these; shape (n,)."""
        if not self._file.tell():
            self._dtype = values.dtype
            self._write_header()
        values.tofile(self._file)
        self._length += len(values)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._file:
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        """Write numpy's header, which leaves room for any length."""
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._file, header)
