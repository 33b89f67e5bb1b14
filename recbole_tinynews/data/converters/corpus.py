"""Tables of id, category, title and body, for post-training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.mapping import NewsColumns
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset

__all__ = ["convert_corpus"]

CORPUS = NewsColumns(item_id=1, category=2, title=3, body=4, header=False, widths=(4,))


def convert_corpus(
    folder: str | Path, files: Sequence[str | Path], prefix: bool = False, skip_bad: bool = False
) -> Summary:
    """Convert tables of news to a dataset without impressions.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder.
    files : sequence of str or Path
        The tables; an id must not come twice with different texts.
    prefix : bool, default False
        Whether ids become ``<file's name>-<id>``, for tables whose ids collide.
    skip_bad : bool, default False
        Whether bad rows are left out and counted.
    """
    bad = BadRows(skip_bad)
    catalog = read_news([TextFile(Path(file)) for file in files], CORPUS, bad, prefix)
    whole = {item: news for item, news in catalog.items() if news.title.strip() and news.body.strip()}
    summary = write_dataset(folder, whole)
    summary.notes["news without title or body, dropped"] += len(catalog) - len(whole)
    summary.notes.update(bad.notes())
    return summary
