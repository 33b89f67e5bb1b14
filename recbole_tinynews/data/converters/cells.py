"""Values of JSON Lines and Parquet as the text that would stand in a table; names that lead into objects."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Column", "as_text", "field", "from_python", "leads_somewhere", "path_of", "value_inside"]

Column = str | int | None
"""A column's name, its number from 1 in a table without header, or None where there is none.

In JSON Lines and Parquet a dot leads into an object: ``user.id``."""


def path_of(column: Column, names: Container[str]) -> list[str]:
    """Names that lead to a column: its own if that is among the names, else the parts between its dots."""
    return [str(column)] if column in names else str(column).split(".")


def value_inside(one: Any, column: Column) -> Any:
    """Value of a column, perhaps within other objects; None where there is none."""
    for name in path_of(column, one):
        one = one.get(name) if isinstance(one, dict) else None
    return one


def leads_somewhere(column: Column, schema: pa.Schema) -> bool:
    """Whether there is such a column, or such a field of an object."""
    top, *inside = path_of(column, schema.names)
    if top not in schema.names:
        return False
    kind = schema.field(top).type
    for name in inside:
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return False
        kind = kind.field(name).type
    return True


def field(batch: pa.RecordBatch, column: Column) -> pa.Array:
    """Column of a Parquet file, or a field of its objects."""
    top, *inside = path_of(column, batch.schema.names)
    return pc.struct_field(batch.column(top), inside) if inside else batch.column(top)


def as_text(column: pa.Array) -> pa.Array:
    """Any column as text, or as lists of text."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), as_text(column.flatten()))
    if pa.types.is_dictionary(kind):
        return as_text(column.dictionary_decode())
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_timestamp(kind):
        column = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_floating(kind):
        # pandas makes floats of ids where some are missing
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.all(pc.equal(column, pc.round(column))).as_py()
        column = column.cast(pa.int64()) if whole else column
    return pc.fill_null(column.cast(pa.string()), "")


def from_python(values: list[Any]) -> pa.Array:
    """Values of JSON as a column of text, or of lists of text if any is a list."""
    if any(isinstance(value, list) for value in values):
        rows = [value if isinstance(value, list) else [] if value is None else [value] for value in values]
        return pa.array([[_text(one) for one in row] for row in rows], pa.list_(pa.string()))
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)
