"""Rows and columns of TSV, CSV, JSON Lines and Parquet files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

__all__ = ["Column", "Table"]

Column = str | int | None
"""A column's name, its number from 1 in a table without header, or None where there is none."""

_ID_NAMES = {"id", "news_id", "newsid", "item_id", "itemid", "nid", "doc_id", "impression_id", "impressionid"}
_JSON = (".json", ".jsonl", ".ndjson")
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Table:
    """A file with columns; its name says of what kind it is.

    ``.parquet`` and JSON Lines (``.json``, ``.jsonl``, ``.ndjson``) name their columns themselves; a dot leads into an
    object inside a row. Any other file is text with a separator.

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
    list_separator : str
        What is put between the values of a list in Parquet and JSON.
    """

    file: TextFile
    separator: str | None = None
    header: bool = False
    widths: tuple[int, ...] = ()
    list_separator: str = " "

    def rows(self, columns: Sequence[Column]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each row's line number and its cells of the given two or more columns, empty for None.

        Raises
        ------
        InputError
            If a column is missing, or a row has another number of columns than expected.
        """
        suffixes = self.file.path.suffixes
        if ".parquet" in suffixes:
            return self._parquet(columns)
        return self.json_rows(columns) if set(suffixes) & set(_JSON) else self._text(columns)

    def width(self) -> int:
        """Number of columns of the first row of a text."""
        return len(next(self._cells(), (0, []))[1])

    def _text(self, columns: Sequence[Column]) -> Iterator[tuple[int, tuple[str, ...]]]:
        table = self._cells()
        number, first = next(table, (0, []))
        starts = self.file.first_line == 1
        if not first and starts:
            raise InputError("no rows", self.file)
        if len(self.widths) == 1:
            (width,) = self.widths  # which the first row may lack, as any other
        elif self.widths and len(first) not in self.widths:
            raise InputError(f"expected {self._expected()} columns, found {len(first)}", self.file, number)
        else:
            width = len(first)
        pick = itemgetter(*(self._index(column, first, width) for column in columns))
        if self.header:
            number, first = next(table, (0, []))
            if not first:
                raise InputError("no rows below the header", self.file)
        elif starts and first[0].strip().lower() in _ID_NAMES:
            raise InputError(f"a header ({first[0]!r}, ...) where none is expected", self.file, number)
        while first:
            if len(first) != width:
                self.file.faults.report(InputError(f"expected {width} columns, found {len(first)}", self.file, number))
            else:
                first.append("")  # what an index of -1, a missing column, picks
                yield number, pick(first)
            number, first = next(table, (0, []))

    def json_rows(self, columns: Sequence[Column]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the rows of JSON Lines, whatever the file's name."""
        met: set[Column] = {None}
        number = 0
        for number, line in self.file.lines():
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("no object")
            except ValueError as error:
                self.file.faults.report(InputError(f"expected a JSON object ({error})", self.file, number))
                continue
            values = [_inside(row, column) for column in columns]
            met |= {column for column, value in zip(columns, values, strict=True) if value is not None}
            yield number, tuple(map(self._as_text, values))
        if absent := [column for column in columns if column not in met]:
            raise InputError(f"no row has the key {absent[0]!r}", self.file)

    def _parquet(self, columns: Sequence[Column]) -> Iterator[tuple[int, tuple[str, ...]]]:
        try:
            table = pq.ParquetFile(self.file.path)
        except OSError as error:
            raise InputError(f"cannot be read ({error})", self.file) from None
        except pa.ArrowException as error:
            raise InputError(f"not a Parquet file, or damaged ({str(error).splitlines()[0]})", self.file) from None
        names = table.schema_arrow.names
        for column in columns:
            if column is not None and str(column).split(".")[0] not in names:
                raise InputError(f"no column {column!r}; it has {', '.join(names)}", self.file)
        wanted = sorted({str(column).split(".")[0] for column in columns if column is not None})
        number = 0
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield number, tuple(self._as_text(_inside(row, column)) for column in columns)
        if not number:
            raise InputError("no rows", self.file)

    def _as_text(self, value: Any) -> str:
        """Write a value as it would stand in a text."""
        if value is None:
            return ""
        if isinstance(value, (list, tuple)):
            return self.list_separator.join(map(self._as_text, value))
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # an id in a column that lacks some
        return str(int(value)) if isinstance(value, bool) else str(value)

    def _expected(self) -> str:
        return " or ".join(map(str, self.widths))

    def _index(self, column: Column, first: list[str], width: int) -> int:
        if column is None:
            return -1
        if self.header:
            if column not in first:
                raise InputError(f"no column {column!r}; the header has {', '.join(first)}", self.file, 1)
            return first.index(str(column))
        if not isinstance(column, int) or not 1 <= column <= width:
            raise InputError(
                f"no column {column!r}: without a header columns are numbers from 1 to {width}", self.file, 1
            )
        return column - 1

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        separator = self.separator or ("," if ".csv" in self.file.path.suffixes else "\t")
        if separator == "\t":
            return ((number, line.split("\t")) for number, line in self.file.lines() if line)
        return self._quoted(separator)

    def _quoted(self, separator: str) -> Iterator[tuple[int, list[str]]]:
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader((line + "\n" for _, line in self.file.lines()), delimiter=separator, strict=True)
        number = 1
        try:
            for cells in reader:
                if cells:
                    yield number, cells
                number = reader.line_num + 1
        except csv.Error as error:
            raise InputError(f"broken quoting ({error})", self.file, number) from error


def _inside(row: Any, column: Column) -> Any:
    """Value of a column in a row; None where there is none."""
    if column is None or column in row:
        return None if column is None else row[column]
    for name in str(column).split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row
