"""MIND's behaviors many rows at once. What is not plainly right is left to the reader of single rows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.records import RESERVED, Impression, Seen
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.times import midnight

__all__ = ["ImpressionBlock", "read_blocks"]

_BYTES_AT_ONCE = 1 << 23
_COLUMNS = ("impression", "user", "time", "history", "candidates")
_AS_TEXT = csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=False)
_PLAIN_ID = "^[!#-~]+$"  # ASCII that can be seen, without quotes
_DAY, _CLOCK = r"(?P<day>\d{1,2}/\d{1,2}/\d{4})", r"(?P<hour>1[0-2]|0?[1-9]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)"
_TIME = f"^{_DAY} {_CLOCK} (?P<half>[AP])M$"


@dataclass(frozen=True)
class ImpressionBlock:
    """Impressions of a split.

    Parameters
    ----------
    lines : str
        As they stand in an ``.imp`` file, each with its line end.
    seen : list of Seen
        What the click log and the summary take of each.
    """

    lines: str
    seen: list[Seen]


class _Irregular(Exception):
    """Something that the reader of single rows must judge."""


@dataclass(frozen=True)
class _Part(TextFile):
    """Some lines of a file, with their numbers there."""

    number: int = 1
    data: bytes = b""

    @property
    def first_line(self) -> int:
        """Number of the first line in the whole file."""
        return self.number

    def _raw_lines(self) -> Iterator[bytes]:
        return iter(io.BytesIO(self.data))


def read_blocks(
    file: TextFile, split: str, reader: ImpressionReader
) -> Iterator[tuple[str, ImpressionBlock | Impression]]:
    """Read a ``behaviors.tsv``, in blocks where all is plainly right, else row by row.

    Raises
    ------
    InputError
        As :meth:`ImpressionReader.read`.
    """
    known = pa.array(sorted(reader.known), pa.string())
    number = 1
    for data in file.blocks(_BYTES_AT_ONCE):
        try:
            yield split, _parse(data, known)
        except (_Irregular, pa.ArrowException):
            yield from reader.read(_Part(file.path, file.member, file.faults, number, data), split)
        number += data.count(b"\n")


def _parse(data: bytes, known: pa.Array) -> ImpressionBlock:
    if b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):  # alone it ends a line for the csv reader only
        raise _Irregular
    table = csv.read_csv(
        pa.BufferReader(data),
        csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False, block_size=2 * _BYTES_AT_ONCE),
        csv.ParseOptions(delimiter="\t", quote_char=False),
        _AS_TEXT,
    ).combine_chunks()
    ids, users, times, histories, candidates = (column.combine_chunks() for column in table.columns)
    for column in (ids, users):
        reserved = pc.is_in(column, value_set=pa.array(sorted(RESERVED)))
        _require(pc.and_not(pc.match_substring_regex(column, _PLAIN_ID), reserved))
    seconds = _seconds(times)

    past = pc.split_pattern(histories, " ")
    is_empty = np.asarray(pc.equal(histories, ""))
    if pc.index_in(past.values, value_set=known).null_count != is_empty.sum():
        raise _Irregular
    history_lengths = np.diff(past.offsets) * ~is_empty

    shown = pc.split_pattern(candidates, " ")
    label = pc.utf8_slice_codeunits(shown.values, -2)
    labels = np.asarray(pc.equal(label, "-1"))
    _require(pc.is_in(label, value_set=pa.array(["-0", "-1"])))
    items = pc.utf8_slice_codeunits(shown.values, 0, -2)
    numbers = pc.index_in(items, value_set=known)
    lengths = np.diff(shown.offsets)
    if numbers.null_count:
        raise _Irregular
    rows = np.repeat(np.arange(len(lengths)), lengths)
    placed = np.sort(rows * len(known) + np.asarray(numbers))
    if (placed[1:] == placed[:-1]).any():
        raise _Irregular  # a candidate twice

    def joined(values: pa.Array) -> pa.Array:
        return pc.binary_join(pa.ListArray.from_arrays(shown.offsets, values), " ")

    columns = [ids, users, pa.array(seconds).cast(pa.string()), histories, joined(items)]
    columns.append(joined(pc.utf8_slice_codeunits(label, 1)))
    lines = pc.binary_join_element_wise(*columns, "\t")
    text = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "\n")[0].as_py()
    clicked = items.filter(pa.array(labels)).to_pylist()
    ends = np.cumsum(np.bincount(rows[labels], minlength=len(lengths))).tolist()
    clicks = [clicked[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    columns = [users.to_pylist(), seconds.astype(np.float64).tolist(), histories.to_pylist(), history_lengths.tolist()]
    return ImpressionBlock(text + "\n", list(map(Seen, *columns, clicks, lengths.tolist())))


def _seconds(times: pa.Array) -> np.ndarray:
    """Unix seconds, int64."""
    parts = pc.extract_regex(times, _TIME)
    if parts.null_count:
        raise _Irregular
    days = parts.field("day").dictionary_encode()
    try:
        starts = np.array([midnight(day) for day in days.dictionary.to_pylist()])
    except ValueError:
        raise _Irregular from None
    hour, minute, second = (np.asarray(parts.field(name).cast(pa.int64())) for name in ("hour", "minute", "second"))
    afternoon = np.asarray(pc.equal(parts.field("half"), "P"))
    clock = (hour % 12 + 12 * afternoon) * 3600 + minute * 60 + second
    return (starts[np.asarray(days.indices)] + clock).astype(np.int64)


def _require(true: Any) -> None:
    if not pc.all(true).as_py():
        raise _Irregular
