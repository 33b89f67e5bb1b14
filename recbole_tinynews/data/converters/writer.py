"""The one place that writes a dataset folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from recbole_tinynews.data.converters.clicks import ClickLog
from recbole_tinynews.data.converters.ids import joined, with_spaces
from recbole_tinynews.data.converters.records import Impressions, News, clean
from recbole_tinynews.data.converters.summary import SplitSummary, Summary
from recbole_tinynews.data.converters.vocabulary import Vocabulary
from recbole_tinynews.data.schema import (
    CORPUS_COLUMNS,
    IMPRESSION_HEADER,
    INTER_HEADER,
    ITEM_HEADER,
    SPLITS,
    atomic_file,
)
from recbole_tinynews.errors import InputError

__all__ = ["write_clicks", "write_dataset"]


def write_dataset(
    folder: str | Path,
    news: Mapping[str, News],
    impressions: Iterable[tuple[str, Impressions]] = (),
    histories: str = "all",
) -> Summary:
    """Write the atomic files of one dataset.

    The files come into being in a temporary folder beside ``folder`` and are renamed at the end, so an error
    half way leaves everything as it was. Other files in ``folder`` stay.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder; its name is the dataset's name.
    news : mapping of str to News
        All news by their id; their order is that of the numbers in ``impressions``.
    impressions : iterable of (str, Impressions)
        Splits and impressions of them, in any order of splits. Without any only ``.news`` and ``.item`` are written.
    histories : {"all", "first", "none"}, default "all"
        Which histories tell of clicks that ``.inter`` may know; see `ClickLog`.

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
    with _staging(folder) as place, ExitStack() as files:
        _write_news(place, news.values(), summary)
        items = pa.array(news, pa.string())
        names = with_spaces(items)
        clicks, users = ClickLog(histories), Vocabulary()
        logs: dict[str, BinaryIO] = {}
        for split, batch in impressions:
            if not len(batch):
                continue
            if split not in logs:
                logs[split] = files.enter_context(_create(place, f"{split}.imp", IMPRESSION_HEADER))
                summary.splits[split] = SplitSummary()
            _write_impressions(logs[split], batch, names, summary.splits[split].impressions)
            codes = users.codes(batch.users)
            summary.splits[split].add(batch, codes)
            clicks.add(split, batch, codes)
        if logs:
            if "train" not in logs:
                raise InputError("no train impressions: all are of the validation or test days")
            summary.users = len(users)
            _write_inter(place, clicks, users.words(), items, summary)
        if logs and not summary.inter_clicks:
            raise InputError("no click is known before validation: there is nothing to learn from")
        summary.splits = {split: summary.splits[split] for split in SPLITS if split in summary.splits}
    return summary


def write_clicks(folder: str | Path, news: Mapping[str, News], users: pa.Array, clicks: ClickLog) -> Summary:
    """Write the atomic files of a dataset without impressions, as `write_dataset` does those of one with them."""
    folder = Path(folder)
    summary = Summary(str(folder))
    with _staging(folder) as place:
        _write_news(place, news.values(), summary)
        _write_inter(place, clicks, users, pa.array(news, pa.string()), summary)
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


def _create(folder: Path, suffix: str, header: Iterable[str]) -> BinaryIO:
    stream = atomic_file(folder, suffix).open("wb")
    stream.write(("\t".join(header) + "\n").encode())
    return stream


def _write_news(folder: Path, news: Iterable[News], summary: Summary) -> None:
    """Write ``.news`` and ``.item``, texts cleaned, and count what was changed."""
    changed = again = 0
    seen: set[int] = set()
    without = dict.fromkeys(("title", "abstract", "body"), 0)
    with _create(folder, "news", CORPUS_COLUMNS) as texts, _create(folder, "item", ITEM_HEADER) as items:
        for one in news:
            cells = [one.title, one.abstract, one.body, one.category, one.subcategory]
            title, abstract, body, category, subcategory = cleaned = [clean(cell) for cell in cells]
            # RecBole reads .item with quoting rules: a cell that starts with a quote would swallow the next ones
            category, subcategory = category.replace('"', "'"), subcategory.replace('"', "'")
            texts.write(f"{one.item_id}\t{title}\t{abstract}\t{body}\n".encode())
            items.write(f"{one.item_id}\t{category}\t{subcategory}\n".encode())
            changed += cells != cleaned
            without["title"] += not title
            without["abstract"] += not abstract
            without["body"] += not body
            if title or body:
                text = hash((title, abstract, body))
                again += text in seen
                seen.add(text)
            summary.news += 1
    summary.without.update(without)
    summary.notes["news with HTML entities, control characters, tabs or line breaks, cleaned"] += changed
    summary.notes["news with the texts of another news, kept"] += again


def _write_impressions(stream: BinaryIO, batch: Impressions, names: pa.Array, row: int) -> None:
    ids = pa.array(np.arange(row + 1, row + 1 + len(batch))).cast(pa.string()) if batch.ids is None else batch.ids
    lists = [joined(batch.history, names), joined(batch.candidates, names), _labels(batch)]
    _write_table(stream, [ids, batch.users, _seconds(batch.times), *lists])


def _labels(batch: Impressions) -> pa.Array:
    """Labels of each row with a space between them; none where they are unknown."""
    marks = np.full((len(batch.labels), 2), ord(" "), dtype=np.uint8)
    marks[:, 0] = ord("0") + (batch.labels == 1)
    offsets = (2 * batch.candidates.offsets).astype(np.int32)
    text = pa.StringArray.from_buffers(len(batch), pa.py_buffer(offsets), pa.py_buffer(marks))
    text = pc.utf8_rtrim(text, characters=" ")
    return text if batch.labelled.all() else pc.if_else(pa.array(batch.labelled), text, "")


def _write_inter(folder: Path, clicks: ClickLog, users: pa.Array, items: pa.Array, summary: Summary) -> None:
    with _create(folder, "inter", INTER_HEADER) as inter:
        for user, item, times in clicks.users():
            _write_table(inter, [users.take(pa.array(user)), items.take(pa.array(item)), _seconds(times)])
            summary.inter_users += int(np.count_nonzero(np.diff(user, prepend=-1)))
            summary.inter_clicks += len(user)
    summary.notes["clicks on a news the user had clicked before, not repeated in .inter"] += clicks.repeated


def _seconds(times: np.ndarray) -> pa.Array:
    """Times as text, with no more digits than needed."""
    whole = times.astype(np.int64)
    if (whole == times).all():
        return pa.array(whole).cast(pa.string())
    return pa.array([f"{time:.15g}" for time in times.tolist()])


def _write_table(stream: BinaryIO, columns: Sequence[pa.Array]) -> None:
    table = pa.table(list(columns), names=[str(number) for number in range(len(columns))])
    csv.write_csv(table, stream, csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none"))
