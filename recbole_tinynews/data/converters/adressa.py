"""Adressa, in its published form: JSON lines of reading events, and a JSON file for each article."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_tinynews.data.converters.faults import Faults
from recbole_tinynews.data.converters.records import News, id_fault
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset
from recbole_tinynews.errors import InputError

__all__ = ["convert_adressa"]

_COLUMNS = ("userId", "time", "id", "title", "category1")


def convert_adressa(
    folder: str | Path, events: Sequence[str | Path], content: str | Path | None = None, skip_bad: bool = False
) -> Summary:
    """Convert Adressa (Gulla et al., WI 2017).

    An event with a user and an article is a click; others, such as visits of the front page, are left out and counted.
    A click is kept once, with its first time. Where there are no contents, titles are those of the events.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/adressa``.
    events : sequence of str or Path
        Files of events.
    content : str or Path, optional
        Folder of the articles' files, each with the article's id as its name and the article's ``fields``.
    skip_bad : bool
        Leave broken rows out, and count them.
    """
    faults, notes = Faults(skip_bad), Counter[str]()
    catalog: dict[str, News] = {}
    clicks: dict[tuple[str, str], float] = {}
    for path in events:
        file = TextFile(Path(path), None, faults)
        for line, (user, time, item, title, category) in Table(file).json_rows(_COLUMNS):
            if not (user and item and title):
                notes["events without user, article or title, left out"] += 1
                continue
            fault = next(filter(None, map(id_fault, (user, item))), None)
            if fault or not time.isdigit():
                faults.report(InputError(f"user, article or time {fault or 'is no number of seconds'}", file, line))
                continue
            first, _, second = category.partition("|")
            catalog.setdefault(item, News(item, first, second, title))
            moment = min(float(time), clicks.get((user, item), float("inf")))
            notes["clicks on an article the user had clicked before, not repeated"] += (user, item) in clicks
            clicks[user, item] = moment
    if content is not None:
        notes["articles without content, which have no body"] = _add_content(catalog, Path(content), faults)
    in_order = sorted((user, time, item) for (user, item), time in clicks.items())
    summary = write_dataset(folder, catalog.values(), clicks=[(user, item, time) for user, time, item in in_order])
    summary.notes += faults.notes() + notes
    return summary


def _add_content(catalog: dict[str, News], folder: Path, faults: Faults) -> int:
    """Give articles their abstracts and bodies; return how many have none."""
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
            faults.report(InputError(f"expected JSON with the article's fields ({error})", path))
            continue
        news.title = _text(fields.get("title")) or news.title
        news.abstract, news.body = _text(fields.get("teaser")), _text(fields.get("body"))
    return missing


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
