"""Text files as people have them: plain, gzip, xz, zstd or inside a zip; read line by line, never whole."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from recbole_tinynews.data.converters.faults import Faults
from recbole_tinynews.errors import InputError

__all__ = ["TextFile"]

_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)
_OPEN: dict[str, Any] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": lambda path: pa.input_stream(pa.OSFile(str(path)), compression="zstd"),
}


def _buffered(stream: Any) -> IO[bytes]:
    # the decompressors' own readline is several times slower
    return io.BufferedReader(stream, 1 << 20)


@dataclass(frozen=True)
class TextFile:
    """A UTF-8 file that can be read line by line; its ``str`` is its name in messages.

    Parameters
    ----------
    path : Path
        The file; ``.gz``, ``.xz`` and ``.zst`` are decompressed on the fly.
    member : str, optional
        Name inside ``path`` if that is a zip.
    faults : Faults
        What happens to a broken line.
    """

    path: Path
    member: str | None = None
    faults: Faults = field(default_factory=Faults, compare=False)

    @classmethod
    def find(cls, place: str | Path, name: str, faults: Faults | None = None) -> TextFile:
        """Return the file ``name`` (or ``name.gz`` and the like) of a folder, or the one anywhere in a zip.

        Raises
        ------
        InputError
            If there is none.
        """
        place, faults = Path(place), faults or Faults()
        if place.is_dir():
            for suffix in ("", *_OPEN):
                if (place / (name + suffix)).is_file():
                    return cls(place / (name + suffix), None, faults)
            raise InputError(f"no {name} (or {name}.gz) in this folder", place)
        if not place.is_file():
            raise InputError("no such folder or zip file", place)
        if not zipfile.is_zipfile(place):
            raise InputError("expected a folder or a whole zip file", place)
        with zipfile.ZipFile(place) as archive:
            members = [m for m in archive.namelist() if Path(m).name == name and not m.startswith("__MACOSX")]
        if len(members) != 1:
            raise InputError(f"expected one {name} in this zip, found {len(members)}", place)
        return cls(place, members[0], faults)

    def __str__(self) -> str:
        return str(self.path if self.member is None else self.path / self.member)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line's number (from 1) and text without its line end; a byte-order mark is left out.

        Raises
        ------
        InputError
            If the file is missing, empty, cut off, not UTF-8, or holds a NUL byte.
        """
        for number, raw in enumerate(self._raw_lines(), self.first_line):
            text = self._decode(raw, number)
            if text is not None:
                yield number, text

    @property
    def first_line(self) -> int:
        """Number of the first line."""
        return 1

    def _raw_lines(self) -> Iterator[bytes]:
        return self._parts(lambda stream: stream)

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the file in blocks of whole lines, of about so many bytes; errors as for :meth:`lines`."""

        def cut(stream: IO[bytes]) -> Iterator[bytes]:
            while block := stream.read(size):
                yield block + stream.readline()

        return self._parts(cut)

    def _parts(self, cut: Callable[[IO[bytes]], Iterable[bytes]]) -> Iterator[bytes]:
        number, part = 0, b""
        try:
            with self._open() as stream:
                for part in cut(stream):
                    yield part
                    number += part.count(b"\n")
        except _DAMAGED as error:
            raise InputError(f"the compressed file is damaged or cut off ({error})", self, number + 1) from error
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", self) from error
        if number == 0 and not part:
            raise InputError("the file is empty", self)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                yield _buffered(stream)
        elif self.path.suffix in _OPEN:
            with _OPEN[self.path.suffix](self.path) as stream:
                yield _buffered(stream)
        else:
            with open(self.path, "rb") as stream:
                yield stream

    def _decode(self, raw: bytes, number: int) -> str | None:
        """Text of a line; None if it is broken and left out."""
        if b"\0" in raw:
            self.faults.report(InputError("holds a NUL byte: not a UTF-8 text file, or damaged", self, number))
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            what = f"not UTF-8: byte 0x{raw[error.start]:02x} at column {error.start + 1}"
            self.faults.report(InputError(what, self, number))
            return None
        if number == 1:
            text = text.removeprefix("\ufeff")
        return text.removesuffix("\n").removesuffix("\r")
