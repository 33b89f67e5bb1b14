"""Adressa's published form: events as JSON lines, one file a day, and a JSON file of each article."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.clicks import ClickLog
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
    folder: str | Path, places: Sequence[str | Path], content: str | Path | None = None, skip_bad: bool = False
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
    content : str or Path, optional
        Folder of the articles' files, each with the article's id as its name; titles, teasers and bodies are theirs.
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
    without = _add_content(catalog, Path(content), bad) if content else 0
    summary = write_clicks(folder, catalog, user_codes.words(), clicks)
    summary.notes["events on pages that are no news, left out"] += elsewhere
    summary.notes["articles without content, which have no body"] += without
    summary.notes.update(bad.notes())
    return summary


def _add_content(catalog: Mapping[str, News], folder: Path, bad: BadRows) -> int:
    """Give articles their texts; return how many have none."""
    if not folder.is_dir():
        raise InputError("expected a folder of the articles' JSON files", folder)
    missing = 0
    for item, news in catalog.items():
        path = folder / item
        if not path.exists():
            missing += 1
            continue
        try:
            fields = {field["field"]: field["value"] for field in json.loads(path.read_text("utf-8"))["fields"]}
        except (ValueError, KeyError, TypeError) as error:
            bad.add("no article", f"expected a JSON object with the article's fields ({error})", path, 1)
            continue
        news.title = _text(fields.get("title")) or news.title
        news.abstract, news.body = _text(fields.get("teaser")), _text(fields.get("body"))
    return missing


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _files(places: Sequence[str | Path]) -> Iterator[TextFile]:
    for place in map(Path, places):
        inside = sorted(path for path in place.iterdir() if path.name[0] != ".") if place.is_dir() else [place]
        if not inside:
            raise InputError("no files in this folder", place)
        yield from map(TextFile, inside)
