"""Rows and columns of TSV and CSV files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

__all__ = ["Column", "Table"]

Column = str | int | None
"""A column's name, its number from 1 in a table without header, or None where there is none."""

_ID_NAMES = {"id", "news_id", "newsid", "item_id", "itemid", "nid", "doc_id", "impression_id", "impressionid"}


@dataclass(frozen=True)
class Table:
    """A text file with columns.

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
    """

    file: TextFile
    separator: str | None = None
    header: bool = False
    widths: tuple[int, ...] = ()

    def rows(self, columns: Sequence[Column]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each row's line number and its cells of the given two or more columns, empty for None.

        Raises
        ------
        InputError
            If a column is missing, or a row has another number of columns than expected.
        """
        table = self._cells()
        number, first = next(table, (0, []))
        if not first:
            raise InputError("no rows", self.file)
        if self.widths and len(first) not in self.widths:
            raise InputError(f"expected {self._expected()} columns, found {len(first)}", self.file, number)
        width = len(first)
        pick = itemgetter(*(self._index(column, first) for column in columns))
        if self.header:
            number, first = next(table, (0, []))
            if not first:
                raise InputError("no rows below the header", self.file)
        elif first[0].strip().lower() in _ID_NAMES:
            raise InputError(f"a header ({first[0]!r}, ...) where none is expected", self.file, number)
        while first:
            if len(first) != width:
                raise InputError(f"expected {width} columns, found {len(first)}", self.file, number)
            first.append("")  # what an index of -1, a missing column, picks
            yield number, pick(first)
            number, first = next(table, (0, []))

    def width(self) -> int:
        """Number of columns of the first row."""
        return len(next(self._cells(), (0, []))[1])

    def _expected(self) -> str:
        return " or ".join(map(str, self.widths))

    def _index(self, column: Column, first: list[str]) -> int:
        if column is None:
            return -1
        if self.header:
            if column not in first:
                raise InputError(f"no column {column!r}; the header has {', '.join(first)}", self.file, 1)
            return first.index(str(column))
        if not isinstance(column, int) or not 1 <= column <= len(first):
            raise InputError(
                f"no column {column!r}: without a header columns are numbers from 1 to {len(first)}", self.file, 1
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
