"""Lists of ids: from text to numbers and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.ragged import Ragged

__all__ = ["few_numbers", "joined", "numbers", "split_lists", "with_spaces"]

_UNIT = "\x1f"  # ASCII's separator of units, which no text file holds between its ids


def split_lists(column: pa.Array, separator: str = " ") -> tuple[pa.Array, np.ndarray]:
    """Tokens of all rows, one after another, and how many each row has; empty tokens are none.

    Parameters
    ----------
    column : pyarrow.Array of string or of lists of string
        One list a row.
    separator : str, default " "
        Between the tokens of a text.

    Returns
    -------
    pyarrow.Array of string
        The tokens, each with a space behind it (`with_spaces`).
    ndarray of int64, shape (rows,)

    Examples
    --------
    >>> tokens, lengths = split_lists(pa.array(["a bc", "", " d  e"]))
    >>> tokens.to_pylist(), lengths.tolist()
    (['a ', 'bc ', 'd ', 'e '], [2, 0, 2])
    """
    if pa.types.is_list(column.type):
        tokens = with_spaces(pc.utf8_trim_whitespace(column.flatten()))
        lengths = pc.list_value_length(column).to_numpy()
    else:
        if len(separator.encode()) > 1:
            column, separator = pc.replace_substring(column, pattern=separator, replacement=_UNIT), _UNIT
        # pc.split_pattern takes several times as long: with a separator behind each row, tokens are views of the text
        filled = pc.if_else(pc.equal(column, ""), None, column)
        text = pc.binary_join_element_wise(filled, "", separator, null_handling="skip")
        offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)
        ends = np.flatnonzero(np.frombuffer(text.buffers()[2] or b"", dtype=np.uint8) == ord(separator)) + 1
        lengths = np.diff(np.searchsorted(ends, offsets, side="right"))
        starts = np.concatenate([[0], ends]).astype(np.int32)
        tokens = pa.StringArray.from_buffers(len(ends), pa.py_buffer(starts), text.buffers()[2])
        if separator != " ":
            tokens = with_spaces(pc.utf8_trim_whitespace(pc.utf8_rtrim(tokens, characters=separator)))
    full = pc.binary_length(tokens).to_numpy() > 1
    if not full.all():
        lengths = np.bincount(np.repeat(np.arange(len(lengths)), lengths)[full], minlength=len(lengths))
        tokens = tokens.filter(pa.array(full))
    return tokens, lengths


def numbers(tokens: pa.Array, known: pa.Array) -> np.ndarray:
    """Place of each token among the known ones, -1 where it is not among them; int32."""
    return pc.fill_null(pc.index_in(tokens, value_set=known), -1).to_numpy()


def few_numbers(tokens: pa.Array, known: pa.Array) -> np.ndarray:
    """Return what `numbers` does, faster where few tokens are different."""
    encoded = pc.dictionary_encode(tokens)
    return numbers(encoded.dictionary, known)[encoded.indices.to_numpy()]


def joined(rows: Ragged, names: pa.Array) -> pa.Array:
    """Each row's names with a space between them, from names that bring theirs (`with_spaces`)."""
    # pc.binary_join does the same a token at a time: here rows are views of the tokens' text
    tokens = names.take(pa.array(rows.values))
    offsets = np.frombuffer(tokens.buffers()[1], dtype=np.int32)[rows.offsets]
    text = pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), tokens.buffers()[2])
    return pc.utf8_rtrim(text, characters=" ")


def with_spaces(names: pa.Array) -> pa.Array:
    """Names, each with a space behind it."""
    return pc.binary_join_element_wise(names, " ", "")
