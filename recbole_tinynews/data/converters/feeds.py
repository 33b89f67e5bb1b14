"""Any impression log with news texts, by its mapping of columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from recbole_tinynews.data.converters.faults import Faults
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
    folder: str | Path,
    news: Sequence[Path],
    logs: Mapping[str, Sequence[Path]],
    mapping: FeedsMapping,
    skip_bad: bool = False,
) -> Summary:
    """Convert an impression log.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/feeds``.
    news : sequence of Path
        Tables of news.
    logs : mapping from str to sequence of Path
        Files of each split, or under the key ``""`` files that the mapping's rule splits.
    mapping : FeedsMapping
        Which column means what.
    skip_bad : bool
        Leave broken rows out, and count them.
    """
    if "" in logs and not mapping.split.given:
        raise InputError("one log without a rule for splits: see split: in the yaml")
    faults = Faults(skip_bad)
    catalog = read_news([TextFile(path, None, faults) for path in news], mapping.news)
    last = 0.0

    def read(faults: Faults) -> Iterator[tuple[str, Impression]]:
        reader = ImpressionReader(mapping.impressions, set(catalog), mapping.split.rule(last))
        for split, paths in logs.items():
            for path in paths:
                yield from reader.read(TextFile(path, None, faults), split)

    if mapping.split.test_days is not None:
        last = max((one.time for _, one in read(Faults(skip_bad))), default=0.0)
    built = mapping.impressions.history is None
    rows = with_histories(read(Faults(skip_bad)), read(faults)) if built else read(faults)
    summary = write_dataset(folder, catalog.values(), rows, use_histories=not built)
    summary.notes += faults.notes()
    return summary


def with_histories(
    first: Iterable[tuple[str, Impression]], again: Iterable[tuple[str, Impression]]
) -> Iterator[tuple[str, Impression]]:
    """Give each impression the clicks of its user's earlier impressions, oldest first.

    Takes the log twice, so that only the clicks are held in memory. Impressions of the same instant do not
    see each other.
    """
    clicks: dict[str, list[tuple[float, str]]] = {}
    for _, one in first:
        clicks.setdefault(one.user_id, []).extend((one.time, item) for item in one.clicked)
    for past in clicks.values():
        past.sort(key=lambda click: click[0])
    for split, one in again:
        past = clicks[one.user_id]
        end = bisect_left(past, one.time, key=lambda click: click[0])
        yield split, replace(one, history=[item for _, item in past[:end]])
