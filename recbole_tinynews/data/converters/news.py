"""Reading of news tables."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.mapping import NewsColumns
from recbole_tinynews.data.converters.records import News, id_faults
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

__all__ = ["read_news"]


def read_news(files: Iterable[TextFile], columns: NewsColumns, bad: BadRows, prefix: bool = False) -> dict[str, News]:
    """Read all news by their id.

    Parameters
    ----------
    files : iterable of TextFile
        Tables; the same news may stand in several of them.
    columns : NewsColumns
        Their columns.
    bad : BadRows
        What to do with rows that break a rule; of an id with two texts the first is kept.
    prefix : bool, default False
        Whether ids become ``<file's name>-<id>``.

    Raises
    ------
    InputError
        If a row is broken or an id comes again with other texts, and ``bad`` does not skip it.
    """
    c = columns
    wanted = (c.item_id, c.category, c.subcategory, c.title, c.abstract, c.body)
    catalog: dict[str, News] = {}
    places: dict[str, tuple[TextFile, int]] = {}
    for file in files:
        start = file.path.name.split(".")[0] + "-" if prefix else ""
        for rows in Table(file, c.separator, c.header, c.widths).read(wanted, bad):
            ids, *texts = (_text(column) for column in rows.columns)
            ids = pc.binary_join_element_wise(start, ids, "") if start else ids
            lines, cells = rows.lines, [ids, *texts]
            good = bad.good(file, lines, [id_faults("news", ids)])
            if good is not None:
                lines, cells = lines[good], [column.take(pa.array(good)) for column in cells]
            for line, *row in zip(lines.tolist(), *(column.to_pylist() for column in cells), strict=True):
                news = News(*row)
                known = catalog.setdefault(news.item_id, news)
                if known is news:
                    places[news.item_id] = file, line
                elif known != news:
                    before = "{}:{}".format(*places[news.item_id])
                    message = f"news id {news.item_id!r} stands in {before} with another text"
                    bad.add("news id again with another text", message, file, line)
    if not catalog:
        raise InputError("no usable news in the news tables")
    return catalog


def _text(column: pa.Array) -> pa.Array:
    """A column as text; those of a list are joined."""
    return pc.binary_join(column, " ") if pa.types.is_list(column.type) else column
