"""Reading of news tables."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.mapping import NewsColumns
from recbole_tinynews.data.converters.records import News, id_fault
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
            columns_of_text = [_text(column) for column in rows.columns]
            for line, item, *texts in zip(rows.lines.tolist(), *columns_of_text, strict=True):
                news = News(start + item, *texts)
                if fault := id_fault(news.item_id):
                    bad.add("unusable news id", f"news id {news.item_id!r} {fault}", file, line)
                elif catalog.setdefault(news.item_id, news) != news:
                    before = "{}:{}".format(*places[news.item_id])
                    message = f"news id {news.item_id!r} stands in {before} with another text"
                    bad.add("news id again with another text", message, file, line)
                else:
                    places.setdefault(news.item_id, (file, line))
    if not catalog:
        raise InputError("no usable news in the news tables")
    return catalog


def _text(column: pa.Array) -> list[str]:
    """Texts of a column; those of a list are joined."""
    return (pc.binary_join(column, " ") if pa.types.is_list(column.type) else column).to_pylist()
