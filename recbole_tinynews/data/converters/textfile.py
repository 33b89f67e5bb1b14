"""Text files, plain or compressed, in checked blocks."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from tqdm import tqdm

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.errors import InputError

__all__ = ["TextFile"]

_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)
_PACKED: dict[str, Any] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": lambda raw: pa.CompressedInputStream(raw, "zstd"),
}
_BLOCK = 16 << 20
_LONGEST_ROW = 64 << 20


@dataclass(frozen=True)
class TextFile:
    """A UTF-8 file that can be read block by block; its ``str`` is its name in messages.

    Parameters
    ----------
    path : Path
        The file; ``.gz``, ``.xz`` and ``.zst`` are decompressed on the fly.
    member : str, optional
        Name inside ``path`` if that is a zip.
    """

    path: Path
    member: str | None = None

    @classmethod
    def find(cls, place: str | Path, name: str) -> TextFile:
        """Return the file ``name`` (perhaps compressed) of a folder, or the one anywhere in a zip.

        Raises
        ------
        InputError
            If there is none.
        """
        place = Path(place)
        if place.is_dir():
            for suffix in ("", *_PACKED):
                if (place / (name + suffix)).is_file():
                    return cls(place / (name + suffix))
            raise InputError(f"no {name} (or {name}.gz) in this folder", place)
        if not place.is_file():
            raise InputError("no such folder or zip file", place)
        if not zipfile.is_zipfile(place):
            raise InputError("expected a folder or a whole zip file", place)
        with zipfile.ZipFile(place) as archive:
            members = [m for m in archive.namelist() if Path(m).name == name and not m.startswith("__MACOSX")]
        if len(members) != 1:
            raise InputError(f"expected one {name} in this zip, found {len(members)}", place)
        return cls(place, members[0])

    def __str__(self) -> str:
        return str(self.path if self.member is None else self.path / self.member)

    @property
    def kind(self) -> str:
        """Suffix that tells the format, e.g. ``.csv`` of ``log.csv.gz``."""
        path = Path(str(self))
        return Path(path.stem if path.suffix in _PACKED else path.name).suffix.lower()

    def blocks(self, bad: BadRows, quoted: bool = False) -> Iterator[tuple[int, bytes]]:
        r"""Yield blocks of whole rows, each with the number of its first line (from 1).

        Lines end with ``\n`` whatever they end with in the file, and a byte-order mark is left out. Lines that
        are not UTF-8 or hold a NUL byte are bad rows; where these are skipped they become blank.

        Parameters
        ----------
        bad : BadRows
            What to do with bad rows.
        quoted : bool, default False
            Whether a line's end inside double quotes ends no row.

        Raises
        ------
        InputError
            If the file is missing, empty or cut off, or a row never ends.
        """
        number, rest = 1, b""
        try:
            with self._open() as stream:
                while chunk := stream.read(_BLOCK):
                    rest += chunk
                    end = _end_of_rows(rest, quoted)
                    if end:
                        yield number, self._checked(rest[:end], number, bad)
                        number += rest.count(b"\n", 0, end)
                        rest = rest[end:]
                    elif len(rest) > _LONGEST_ROW:
                        raise InputError("a row of more than 64 MB; is a quote not closed?", self, number)
        except _DAMAGED as error:
            at = number + rest.count(b"\n")
            raise InputError(f"the compressed file is damaged or cut off ({error})", self, at) from error
        except OSError as error:
            what = (
                "cannot be read" if error.errno else "the compressed file is damaged or cut off"
            )  # arrow's has no number
            raise InputError(f"{what} ({error.strerror or error})", self) from error
        if rest:
            rest += b"\n"
            if not _end_of_rows(rest, quoted):
                raise InputError("broken quoting: a quote is not closed", self, number)
            yield number, self._checked(rest, number, bad)
        elif number == 1:
            raise InputError("the file is empty", self)

    @contextmanager
    def _open(self) -> Iterator[_Watched]:
        with ExitStack() as stack:
            raw = stack.enter_context(open(self.path, "rb"))
            size, name = self.path.stat().st_size, self.path.name
            bar = stack.enter_context(tqdm(total=size, unit="B", unit_scale=True, desc=name, leave=False, disable=None))
            stream: Any = raw
            if self.member is not None:
                stream = stack.enter_context(stack.enter_context(zipfile.ZipFile(raw)).open(self.member))
            elif self.path.suffix in _PACKED:
                stream = stack.enter_context(_PACKED[self.path.suffix](raw))
            yield _Watched(stream, raw, bar)

    def _checked(self, block: bytes, number: int, bad: BadRows) -> bytes:
        if number == 1:
            block = block.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in block:
            # what stands alone is no line's end here, but would be one for other readers
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b" ")
        if _fault(block) is None:
            return block
        lines = block.split(b"\n")
        for row, line in enumerate(lines):
            if fault := _fault(line):
                bad.add(*fault, self, number + row)
                lines[row] = b""
        return b"\n".join(lines)


class _Watched(io.RawIOBase):
    """A stream that moves a progress bar by the place in the file below."""

    def __init__(self, stream: Any, raw: IO[bytes], bar: tqdm) -> None:
        self._stream, self._raw, self._bar = stream, raw, bar

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self._bar.update(self._raw.tell() - self._bar.n)
        return chunk


def _end_of_rows(text: bytes, quoted: bool) -> int:
    """Where the last whole row ends: behind the last line's end that no open quote stands before."""
    end = text.rfind(b"\n") + 1
    if quoted and end:
        quotes = text.count(b'"', 0, end)
        while end and quotes % 2:
            before = text.rfind(b"\n", 0, end - 1) + 1
            quotes -= text.count(b'"', before, end)
            end = before
    return end


def _fault(text: bytes) -> tuple[str, str] | None:
    if b"\0" in text:
        return "NUL byte", "holds a NUL byte: not a UTF-8 text file, or damaged"
    if text.isascii():  # much faster than to decode
        return None
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return "not UTF-8", f"not UTF-8: byte 0x{text[error.start]:02x} at column {error.start + 1}"
    return None
