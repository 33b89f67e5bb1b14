"""Reading of news tables."""

from __future__ import annotations

from collections.abc import Iterable

from recbole_tinynews.data.converters.mapping import NewsColumns
from recbole_tinynews.data.converters.records import News, id_fault
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

__all__ = ["read_news"]


def read_news(files: Iterable[TextFile], columns: NewsColumns, prefix: bool = False) -> dict[str, News]:
    """Read all news by their id.

    Parameters
    ----------
    files : iterable of TextFile
        Tables; the same news may stand in several of them.
    columns : NewsColumns
        Their columns.
    prefix : bool, default False
        Whether ids become ``<file's name>-<id>``.

    Raises
    ------
    InputError
        If a row is broken or an id comes again with other texts.
    """
    c = columns
    wanted = (c.item_id, c.category, c.subcategory, c.title, c.abstract, c.body)
    catalog: dict[str, News] = {}
    places: dict[str, tuple[TextFile, int]] = {}
    for file in files:
        start = file.path.name.split(".")[0] + "-" if prefix else ""
        for line, cells in Table(file, c.separator, c.header, c.widths).rows(wanted):
            news = News(start + cells[0], *cells[1:])
            if fault := id_fault(news.item_id):
                file.faults.report(InputError(f"news id {news.item_id!r} {fault}", file, line))
            elif catalog.setdefault(news.item_id, news) != news:
                before = "{}:{}".format(*places[news.item_id])
                what = f"news id {news.item_id!r} stands in {before} with another text"
                file.faults.report(InputError(what, file, line))
            else:
                places.setdefault(news.item_id, (file, line))
    return catalog
