"""Adressa's published form: events as JSON lines, one file a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.clicks import ClickLog
from recbole_tinynews.data.converters.mind import add_bodies
from recbole_tinynews.data.converters.records import News, id_faults
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.times import parse_times
from recbole_tinynews.data.converters.vocabulary import Vocabulary
from recbole_tinynews.data.converters.writer import write_clicks
from recbole_tinynews.errors import InputError

__all__ = ["convert_adressa"]

EVENT = ("id", "userId", "time", "title", "category1")


def convert_adressa(
    folder: str | Path, places: Sequence[str | Path], bodies: str | Path | None = None, skip_bad: bool = False
) -> Summary:
    """Convert the Adressa news dataset to one without impressions: it tells what was read, not what was shown.

    An event with an ``id`` is a click on a news; the others are visits of the front page and the like. A news has the
    title and category of its first event that has a title; ``category1`` such as ``nyheter|trondheim`` becomes category
    and subcategory.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/adressa``.
    places : sequence of str or Path
        Files of events, or folders of such files.
    bodies : str or Path, optional
        Table of id and body, or of id, category, title and body, without header.
    skip_bad : bool, default False
        Whether bad rows are left out and counted.
    """
    bad, clicks, elsewhere = BadRows(skip_bad), ClickLog("none"), 0
    user_codes, item_codes = Vocabulary(), Vocabulary()
    catalog: dict[str, News] = {}
    for file in _files(places):
        for lines, columns in Table(file, form=".jsonl").read(EVENT, bad):
            is_news = np.flatnonzero(pc.not_equal(columns[0], "").to_numpy(zero_copy_only=False))
            elsewhere += len(lines) - len(is_news)
            lines, columns = lines[is_news], [column.take(pa.array(is_news)) for column in columns]
            times, bad_dates = parse_times(columns[2])
            faults = [id_faults("news", columns[0]), id_faults("user", columns[1]), bad_dates]
            good = bad.good(file, lines, faults)
            if good is not None:
                times, columns = times[good], [column.take(pa.array(good)) for column in columns]
            ids, users, _, titles, categories = columns
            clicks.add_clicks(user_codes.codes(users), item_codes.codes(ids), times)
            for item, title, category in zip(*(c.to_pylist() for c in (ids, titles, categories)), strict=True):
                if item not in catalog or (title and not catalog[item].title):
                    parts = category.split("|")
                    catalog[item] = News(item, parts[0], " ".join(parts[1:]), title)
    if not catalog:
        raise InputError("no event has an id of a news")
    unmatched = add_bodies(catalog, TextFile(Path(bodies)), bad) if bodies else 0
    summary = write_clicks(folder, catalog, user_codes.words(), clicks)
    summary.notes["events on pages that are no news, left out"] += elsewhere
    summary.notes["bodies of news without an event, left out"] += unmatched
    summary.notes.update(bad.notes())
    return summary


def _files(places: Sequence[str | Path]) -> Iterator[TextFile]:
    for place in map(Path, places):
        inside = sorted(path for path in place.iterdir() if path.name[0] != ".") if place.is_dir() else [place]
        if not inside:
            raise InputError("no files in this folder", place)
        yield from map(TextFile, inside)
