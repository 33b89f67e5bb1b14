"""Columns of CSV, TSV, JSON Lines and Parquet files, a batch of rows at a time."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.cells import (
    Column,
    as_text,
    field,
    from_python,
    leads_somewhere,
    path_of,
    value_inside,
)
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

__all__ = ["Rows", "Table"]

_ID_NAMES = {"id", "news_id", "newsid", "item_id", "itemid", "nid", "doc_id", "impression_id", "impressionid"}
_JSON = (".jsonl", ".ndjson", ".json")
_ROWS_AT_ONCE = 50_000


class Rows(NamedTuple):
    """Some rows of a table.

    Parameters
    ----------
    lines : ndarray of int64
        Where each row stands in the file: its line, or in Parquet its number, from 1.
    columns : list of pyarrow.Array
        The wanted columns, each of text or of lists of text; empty texts where a column or a value is missing.
    """

    lines: np.ndarray
    columns: list[pa.Array]


@dataclass(frozen=True)
class Table:
    """A file with columns. Its suffix tells the format: ``.csv``, ``.jsonl``, ``.parquet``, or TSV for all others.

    Parameters
    ----------
    file : TextFile
        Where it lies.
    separator : str, optional
        One character between columns; by default a comma for ``.csv`` files and a tab for all others. With a
        tab nothing is quoted: quotes are text. With any other separator cells may be quoted as in CSV.
    header : bool, default False
        Whether the first line names the columns.
    widths : tuple of int, optional
        The numbers of columns that are allowed; by default any, as long as all rows have the same.
    form : str, optional
        The suffix whose format it has, for files whose own says nothing.
    """

    file: TextFile
    separator: str | None = None
    header: bool = False
    widths: tuple[int, ...] = ()
    form: str | None = None

    def read(self, columns: Sequence[Column], bad: BadRows) -> Iterator[Rows]:
        """Yield the wanted columns, batch by batch.

        Raises
        ------
        InputError
            If a column is missing, or by the will of ``bad`` at a row with another number of columns than expected.
        """
        form = self.form or self.file.kind
        if form == ".parquet":
            batches = self._parquet(columns)
        elif form in _JSON:
            batches = self._json(columns, bad)
        else:
            batches = self._delimited(columns, bad)
        found = False
        for lines, wanted in batches:
            if len(lines):
                found = True
                yield Rows(lines, [_missing(len(lines)) if column is None else column for column in wanted])
        if not found:
            raise InputError("no rows below the header" if self.header else "no rows", self.file)

    def first_row(self) -> list[str]:
        """Cells of the first row of a TSV or CSV file."""
        for _, block in self.file.blocks(BadRows(), self._quote != ""):
            if block := block.lstrip(b"\n"):
                return self._first(block)
        return []

    @property
    def _delimiter(self) -> str:
        return self.separator or ("," if self.file.kind == ".csv" else "\t")

    @property
    def _quote(self) -> str:
        return "" if self._delimiter == "\t" else '"'

    def _first(self, block: bytes) -> list[str]:
        """Cells of the first row."""
        if not self._quote:
            return block[: block.find(b"\n")].decode().split("\t")
        csv.field_size_limit(sys.maxsize)
        return next(csv.reader(io.StringIO(block.decode(), newline="\n"), delimiter=self._delimiter))

    def _delimited(self, columns: Sequence[Column], bad: BadRows) -> Iterator[Rows]:
        first: list[str] = []
        places: list[int | None] = []
        for number, block in self.file.blocks(bad, self._quote != ""):
            if not first:
                blank = len(block) - len(block.lstrip(b"\n"))
                number, block = number + blank, block[blank:]
                if not block:
                    continue
                first = self._first(block)
                self._check_first(first, number)
                places = [self._place(column, first, number) for column in columns]
                if self.header:
                    number, block = number + 1, block[block.find(b"\n") + 1 :]
            if block:
                yield self._parse(block, number, len(first), places, bad)

    def _check_first(self, first: list[str], line: int) -> None:
        if self.widths and len(first) not in self.widths:
            expected = " or ".join(map(str, self.widths))
            raise InputError(f"expected {expected} columns, found {len(first)}", self.file, line)
        if not self.header and first[0].strip().lower() in _ID_NAMES:
            raise InputError(f"a header ({first[0]!r}, ...) where none is expected", self.file, line)

    def _place(self, column: Column, first: list[str], line: int) -> int | None:
        if column is None:
            return None
        if self.header:
            if column not in first:
                raise InputError(f"no column {column!r}; the header has {', '.join(first)}", self.file, line)
            return first.index(str(column))
        if not isinstance(column, int) or not 1 <= column <= len(first):
            expected = f"without a header columns are numbers from 1 to {len(first)}"
            raise InputError(f"no column {column!r}: {expected}", self.file, line)
        return column - 1

    def _parse(self, block: bytes, number: int, width: int, places: Sequence[int | None], bad: BadRows) -> Rows:
        lines, blank = _lines(block, number, self._quote != "")
        broken: dict[int, int] = {}

        def note(row: Any) -> str:  # must not raise
            broken[row.number - 1] = row.actual_columns
            return "skip"

        names = [str(place) for place in range(width)]
        wanted = list(dict.fromkeys(names[place] for place in places if place is not None))
        table = arrow_csv.read_csv(
            pa.BufferReader(block),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            arrow_csv.ParseOptions(
                delimiter=self._delimiter,
                quote_char=self._quote or False,
                newlines_in_values=self._quote != "",
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, check_utf8=False
            ),
        ).combine_chunks()
        if table.num_rows + len(broken) != len(lines):  # a quote inside a cell opens none for the reader of cells
            odd = next(row for row, line in enumerate(block.split(b"\n")) if line.count(b'"') % 2)
            raise InputError("broken quoting: a cell that holds a quote must itself be quoted", self.file, number + odd)
        for row, found in sorted(broken.items()):
            if not blank[row]:
                message = f"expected {width} columns, found {found}"
                bad.add("wrong number of columns", message, self.file, int(lines[row]))
        kept = np.delete(np.arange(len(lines)), list(broken))
        parsed = {name: _whole(table[name]) for name in wanted}
        if blank.any():
            rows = np.flatnonzero(~blank[kept])
            kept, parsed = kept[rows], {name: column.take(pa.array(rows)) for name, column in parsed.items()}
        return Rows(lines[kept], [None if place is None else parsed[names[place]] for place in places])

    def _json(self, columns: Sequence[Column], bad: BadRows) -> Iterator[Rows]:
        seen: set[str] = set()
        for number, block in self.file.blocks(bad):
            lines, objects = [], []
            for line, text in enumerate(block.split(b"\n"), number):
                if not text.strip():
                    continue
                try:
                    one = json.loads(text)
                except ValueError as error:
                    bad.add("no JSON", f"expected one JSON object a line ({error})", self.file, line)
                    continue
                if not isinstance(one, dict):
                    bad.add("no JSON", f"expected a JSON object, found {type(one).__name__}", self.file, line)
                    continue
                lines.append(line)
                objects.append(one)
            if objects and not seen:
                seen = set().union(*objects)
                for column in columns:
                    if column is not None and path_of(column, seen)[0] not in seen:
                        known = ", ".join(sorted(seen))
                        raise InputError(f"no column {column!r}; known are {known}", self.file, lines[0])
            yield Rows(
                np.array(lines, dtype=np.int64),
                [None if c is None else from_python([value_inside(one, c) for one in objects]) for c in columns],
            )

    def _parquet(self, columns: Sequence[Column]) -> Iterator[Rows]:
        try:
            file = parquet.ParquetFile(self.file.path)
            names = file.schema_arrow.names
            for column in columns:
                if column is not None and not leads_somewhere(column, file.schema_arrow):
                    raise InputError(f"no column {column!r}; the file has {', '.join(names)}", self.file)
            wanted = list(dict.fromkeys(path_of(column, names)[0] for column in columns if column is not None))
            number = 1
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted):
                batch.validate(full=True)  # texts may be no UTF-8
                lines = np.arange(number, number + len(batch))
                yield Rows(lines, [None if c is None else as_text(field(batch, c)) for c in columns])
                number += len(batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno:  # arrow's own have none
                raise InputError(f"cannot be read ({error.strerror})", self.file) from error
            raise InputError(f"not a Parquet file, or damaged ({' '.join(str(error).split())})", self.file) from error


def _lines(block: bytes, number: int, quoted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Line on which each row starts, and whether it is blank."""
    text = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    lines = np.arange(number, number + len(ends))
    if quoted and b'"' in block:
        closed = np.searchsorted(np.flatnonzero(text == ord('"')), ends) % 2 == 0
        starts = np.concatenate([[True], closed[:-1]])
        lines, ends = lines[starts], ends[closed]
    return lines, np.diff(ends, prepend=-1) == 1


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _missing(rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(""), rows)
