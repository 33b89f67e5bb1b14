"""Any impression log with news texts, by its mapping of columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mapping import FeedsMapping
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.records import Impression
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset
from recbole_tinynews.errors import InputError

__all__ = ["convert_feeds", "with_histories"]


def convert_feeds(
    folder: str | Path, news: Sequence[Path], logs: Mapping[str, Sequence[Path]], mapping: FeedsMapping
) -> Summary:
    """Convert an impression log.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/feeds``.
    news : sequence of Path
        Tables of news.
    logs : mapping from str to sequence of Path
        Files of each split, or under the key ``""`` files that the mapping's dates split.
    mapping : FeedsMapping
        Which column means what.
    """
    if "" in logs and mapping.split.valid_from is None:
        raise InputError("one log without split dates: set valid_from (and test_from) under split: in the yaml")
    catalog = read_news([TextFile(path) for path in news], mapping.news)
    reader = ImpressionReader(mapping.impressions, set(catalog), mapping.split.rule())

    def read() -> Iterator[tuple[str, Impression]]:
        for split, paths in logs.items():
            for path in paths:
                yield from reader.read(TextFile(path), split)

    built = mapping.impressions.history is None
    return write_dataset(folder, catalog.values(), with_histories(read) if built else read(), use_histories=not built)


def with_histories(read: Callable[[], Iterator[tuple[str, Impression]]]) -> Iterator[tuple[str, Impression]]:
    """Give each impression the clicks of its user's earlier impressions, oldest first.

    Reads the log twice, so that only the clicks are held in memory. Impressions of the same instant do not
    see each other.
    """
    clicks: dict[str, list[tuple[float, str]]] = {}
    for _, one in read():
        clicks.setdefault(one.user_id, []).extend((one.time, item) for item in one.clicked)
    for past in clicks.values():
        past.sort(key=lambda click: click[0])
    for split, one in read():
        past = clicks[one.user_id]
        end = bisect_left(past, one.time, key=lambda click: click[0])
        yield split, replace(one, history=[item for _, item in past[:end]])
