"""MIND's published form: news.tsv and behaviors.tsv, without headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mapping import ImpressionColumns, NewsColumns
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.records import Impressions, News
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.times import MIND_TIME
from recbole_tinynews.data.converters.writer import write_dataset

__all__ = ["convert_mind"]

NEWS = NewsColumns(item_id=1, category=2, subcategory=3, title=4, abstract=5, header=False, widths=(8,))
BEHAVIORS = ImpressionColumns(
    impression_id=1,
    user_id=2,
    timestamp=3,
    history=4,
    candidates=5,
    time_format=MIND_TIME,
    header=False,
    widths=(5,),
)


def convert_mind(
    folder: str | Path, splits: Mapping[str, str | Path], bodies: str | Path | None = None, skip_bad: bool = False
) -> Summary:
    """Convert MIND.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/mind-small``.
    splits : mapping from str to str or Path
        The folder or zip of ``train``, ``valid`` and perhaps ``test``; labels may be absent in the last.
    bodies : str or Path, optional
        Table of id and body, or of id, category, title and body, without header.
    skip_bad : bool, default False
        Whether bad rows are left out and counted.
    """
    bad = BadRows(skip_bad)
    catalog = read_news([TextFile.find(place, "news.tsv") for place in splits.values()], NEWS, bad)
    unmatched = add_bodies(catalog, TextFile(Path(bodies)), bad) if bodies else 0
    reader = ImpressionReader(BEHAVIORS, list(catalog), bad)

    def read() -> Iterator[tuple[str, Impressions]]:
        for split, place in splits.items():
            for batch in reader.read(TextFile.find(place, "behaviors.tsv"), split == "test"):
                yield split, batch

    summary = write_dataset(folder, catalog, read())
    summary.notes["bodies of news that stand in no news.tsv, left out"] += unmatched
    summary.notes.update(bad.notes())
    return summary


def add_bodies(catalog: Mapping[str, News], file: TextFile, bad: BadRows) -> int:
    """Give news their bodies and return how many bodies had no news."""
    table = Table(file, widths=(2, 4))
    unmatched = 0
    for rows in table.read((1, len(table.first_row())), bad):
        for line, item, body in zip(rows.lines.tolist(), *(column.to_pylist() for column in rows.columns), strict=True):
            if item not in catalog:
                unmatched += 1
            elif catalog[item].body not in ("", body):
                bad.add("second body of a news", f"a second, other body of news id {item!r}", file, line)
            else:
                catalog[item].body = body
    return unmatched
