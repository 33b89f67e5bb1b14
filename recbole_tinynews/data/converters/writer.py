"""The one place that writes a dataset folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from recbole_tinynews.data.converters.blocks import ImpressionBlock
from recbole_tinynews.data.converters.clicks import ClickLog
from recbole_tinynews.data.converters.records import Impression, News, clean
from recbole_tinynews.data.converters.summary import SplitSummary, Summary
from recbole_tinynews.data.schema import (
    CORPUS_COLUMNS,
    IMPRESSION_HEADER,
    INTER_HEADER,
    ITEM_HEADER,
    SPLITS,
    atomic_file,
)
from recbole_tinynews.errors import InputError

__all__ = ["write_dataset"]


def write_dataset(
    folder: str | Path,
    news: Iterable[News],
    impressions: Iterable[tuple[str, Impression | ImpressionBlock]] = (),
    use_histories: bool = True,
    clicks: Iterable[tuple[str, str, float]] = (),
) -> Summary:
    """Write the atomic files of one dataset.

    The files come into being in a temporary folder beside ``folder`` and are renamed at the end, so an error
    half way leaves everything as it was. Other files in ``folder`` stay.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder; its name is the dataset's name.
    news : iterable of News
        All news, each id once.
    impressions : iterable of (str, Impression or ImpressionBlock)
        Split and impression, or many of them, in any order of splits. Without any only ``.news`` and ``.item`` are
        written.
    use_histories : bool, default True
        Whether histories tell of clicks that ``.inter`` should know. False if they only repeat clicked
        candidates of this log, which then might be those of validation or test impressions.
    clicks : iterable of (str, str, float)
        User, item and time, each pair once: of a source without impressions.

    Returns
    -------
    Summary
        What was written; counts of what the reader dropped are the caller's to add.

    Raises
    ------
    InputError
        If the folder cannot be written, or holds impressions of another conversion that would not fit.
    """
    folder = Path(folder)
    summary = Summary(str(folder))
    with _staging(folder) as staging, ExitStack() as files:
        _write_news(staging, news, summary)
        click_log = ClickLog()
        logs: dict[str, TextIO] = {}
        for split, impression in impressions:
            if split not in logs:
                logs[split] = files.enter_context(_create(staging, f"{split}.imp", IMPRESSION_HEADER))
                summary.splits[split] = SplitSummary()
            if isinstance(impression, ImpressionBlock):
                lines, rows = impression.lines, impression.seen
            else:
                history = " ".join(impression.history)
                rows = [impression.seen(history)]
                lines = _impression_line(impression, history, summary.splits[split].impressions + 1)
            logs[split].write(lines)
            for seen in rows:
                summary.splits[split].add(seen)
                click_log.add(split, seen if use_histories else seen._replace(history=""))
        if logs:
            if "train" not in logs:
                raise InputError("no train impressions: all are of the validation or test days")
            _write_inter(staging, click_log.users(), summary)
            summary.notes["clicks on a news the user had clicked before, not repeated in .inter"] += click_log.repeated
        else:
            of_users = groupby(clicks, key=itemgetter(0))
            users = ((user, [(item, time) for _, item, time in rows]) for user, rows in of_users)
            if (first := next(users, None)) is not None:
                _write_inter(staging, chain([first], users), summary)
        summary.splits = {split: summary.splits[split] for split in SPLITS if split in summary.splits}
    return summary


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Give a folder of the same name to write into, and move its files to ``folder`` if all went well."""
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file; a folder of this name is to be written", folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", folder.parent) from error
    try:
        staging = temporary / folder.name
        staging.mkdir()
        yield staging
        made = {file.name for file in staging.iterdir()}
        for split in SPLITS:
            stale = atomic_file(folder, f"{split}.imp")
            if stale.name not in made and stale.exists():
                raise InputError("is of another conversion and would not fit: remove it or choose another name", stale)
        folder.mkdir(exist_ok=True)
        for file in sorted(staging.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _create(folder: Path, suffix: str, header: Iterable[str]) -> TextIO:
    stream = atomic_file(folder, suffix).open("w", encoding="utf-8", newline="\n")
    stream.write("\t".join(header) + "\n")
    return stream


def _write_news(folder: Path, news: Iterable[News], summary: Summary) -> None:
    seen: set[int] = set()  # hashes of texts
    with _create(folder, "news", CORPUS_COLUMNS) as texts, _create(folder, "item", ITEM_HEADER) as items:
        for one in news:
            cells = [one.title, one.abstract, one.body, one.category, one.subcategory]
            title, abstract, body, category, subcategory = cleaned = [clean(cell) for cell in cells]
            # RecBole reads .item with quoting rules: a cell that starts with a quote would swallow the next ones
            category, subcategory = category.replace('"', "'"), subcategory.replace('"', "'")
            texts.write(f"{one.item_id}\t{title}\t{abstract}\t{body}\n")
            items.write(f"{one.item_id}\t{category}\t{subcategory}\n")
            summary.news += 1
            summary.notes["news with HTML entities, control characters or line breaks, made plain"] += cells != cleaned
            text = hash((title, body or abstract))
            summary.notes["news with title and text of another news, kept"] += text in seen
            seen.add(text)
            summary.without.update(title=not title, abstract=not abstract, body=not body)


def _impression_line(one: Impression, history: str, row: int) -> str:
    lists = f"{history}\t{' '.join(one.candidates)}\t{' '.join(one.labels)}"
    return f"{one.impression_id or row}\t{one.user_id}\t{one.time:.15g}\t{lists}\n"


def _write_inter(folder: Path, users: Iterable[tuple[str, list[tuple[str, float]]]], summary: Summary) -> None:
    with _create(folder, "inter", INTER_HEADER) as inter:
        for user, known in users:
            items, times = zip(*known, strict=True)
            texts = map(str, map(int, times)) if all(map(float.is_integer, times)) else map("{:.15g}".format, times)
            inter.write(f"{user}\t" + f"\n{user}\t".join(map("\t".join, zip(items, texts, strict=True))) + "\n")
            summary.inter_users += 1
            summary.inter_clicks += len(known)
