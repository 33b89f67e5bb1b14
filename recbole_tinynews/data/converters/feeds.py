"""Any impression log with news texts, by its mapping of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.grouping import group_rows
from recbole_tinynews.data.converters.impressions import ImpressionReader, without_labels
from recbole_tinynews.data.converters.mapping import FeedsMapping
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.past import PastClicks
from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.spill import Spill
from recbole_tinynews.data.converters.split import split_rows
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset
from recbole_tinynews.data.schema import SPLITS

__all__ = ["convert_feeds"]


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
        Files of each split, or under the key ``""`` files that the mapping's rule splits. Without files for
        ``valid`` the rule takes it out of ``train``.
    mapping : FeedsMapping
        Which column means what, and the rule.
    skip_bad : bool, default False
        Whether bad rows are left out and counted.
    """
    bad = BadRows(skip_bad)
    catalog = read_news([TextFile(path) for path in news], mapping.news, bad)
    reader = ImpressionReader(mapping.impressions, list(catalog), bad)
    items = pa.array(catalog, pa.string())

    def read() -> Iterator[tuple[str, Impressions]]:
        for split, paths in logs.items():
            batches = (batch for path in paths for batch in reader.read(TextFile(path), split in ("", "test")))
            yield from ((split, b) for b in (group_rows(batches, items, bad) if mapping.impressions.item else batches))

    built = mapping.impressions.history is None
    by_rule = "valid" not in logs
    histories = "none" if built else "first" if by_rule and mapping.split.valid_share else "all"
    batches = _prepared(read(), mapping, built, by_rule) if built or by_rule else read()
    summary = write_dataset(folder, catalog, _checked(batches, bad), histories)
    summary.notes.update(bad.notes())
    return summary


def _prepared(
    batches: Iterable[tuple[str, Impressions]], mapping: FeedsMapping, built: bool, by_rule: bool
) -> Iterator[tuple[str, Impressions]]:
    """Give impressions the splits and histories that only the whole log tells.

    The impressions wait in a file meanwhile, so that only times and clicks are held in memory.
    """
    waiting = Spill()
    past = PastClicks(mapping.impressions.history_length)
    times: dict[str, list[np.ndarray]] = {}
    for given, batch in batches:
        waiting.add((given, batch))
        times.setdefault(given, []).append(batch.times)
        if built:
            past.add(batch)
    rows = {
        given: split_rows(given, np.concatenate(parts), mapping.split)
        for given, parts in times.items()
        if by_rule and given != "test"
    }
    done = Counter[str]()
    for given, batch in waiting.take():
        if built:
            batch = replace(batch, history=past.before(batch))
        if given in rows:
            own = rows[given][done[given] : done[given] + len(batch)]
            done[given] += len(batch)
            for place in np.unique(own):
                yield SPLITS[place], batch.take(np.flatnonzero(own == place))
        else:
            yield given, batch


def _checked(batches: Iterable[tuple[str, Impressions]], bad: BadRows) -> Iterator[tuple[str, Impressions]]:
    """Let no impression pass that lacks labels, but for test ones."""
    for split, batch in batches:
        faults = [] if split == "test" else [without_labels(batch)]
        yield split, batch.take(bad.good(batch.file, batch.lines, faults))
