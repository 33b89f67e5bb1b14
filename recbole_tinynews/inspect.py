"""``python -m recbole_tinynews.inspect``: what a person wants to know of a dataset before training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tabulate import tabulate
from tqdm import tqdm

from recbole_tinynews.command import command
from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.vocabulary import Vocabulary
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import among
from recbole_tinynews.data.schema import (
    CORPUS_COLUMNS,
    IMPRESSION_HEADER,
    INTER_HEADER,
    SPLITS,
    atomic_file,
)
from recbole_tinynews.errors import InputError
from recbole_tinynews.files import replacing

__all__ = ["inspect", "main"]

_DAY = 86_400
_COLOURS = {"train": "#0072B2", "valid": "#E69F00", "test": "#009E73"}
_HELP = """\
Print and plot what is worth knowing of a dataset before training: its size, clicks and candidates per impression,
lengths of histories and titles, the share of news and users that training has not seen, the range of time, and what
looks like a leak.

cold      of the news shown, those that nobody clicked in training, neither in an impression nor in a history
new       users without a train impression
"""


@dataclass(frozen=True)
class Dataset:
    """What is read of a dataset folder; users and news are numbers from 0 on."""

    name: str
    titles: list[str]
    bodies: list[str]
    logs: Mapping[str, ImpressionLog]
    clicks: np.ndarray
    """Pairs of user and news of ``.inter``, each as one number."""
    click_times: np.ndarray


def inspect(folder: str | Path, plot: str | Path | None = None, tokenizer: str | None = None) -> str:
    """Describe a dataset.

    Parameters
    ----------
    folder : str or Path
        The dataset's folder, e.g. ``dataset/demo``.
    plot : str or Path, optional
        Where a picture is written, with matplotlib's formats.
    tokenizer : str, optional
        Folder or hub name of an encoder whose tokens are counted; by default words are.

    Raises
    ------
    InputError
        If the dataset or the tokenizer cannot be read.
    """
    data = _load(Path(folder))
    lengths = _lengths(data, tokenizer)
    parts = [f"{data.name}: {len(data.titles):,} news, {len(data.click_times):,} clicks in .inter"]
    parts.append(tabulate(_text_rows(data, lengths, "tokens" if tokenizer else "words"), headers="firstrow"))
    if data.logs:
        parts.append(tabulate(_split_rows(data), headers="firstrow", disable_numparse=True, stralign="right"))
        parts.append("\n".join(_leaks(data)) or "no leaks found")
    if plot is not None:
        _draw(data, lengths["title"], "tokens" if tokenizer else "words", Path(plot))
        parts.append(f"plots: {plot}")
    return "\n\n".join(parts)


def _load(folder: Path) -> Dataset:
    news = atomic_file(folder, "news")
    if not news.exists():
        raise InputError("no such dataset: expected its news texts in this file", news)
    items, titles, bodies = Vocabulary(), [], []
    for _, (ids, title, abstract, body) in Table(TextFile(news), header=True).read(CORPUS_COLUMNS, BadRows()):
        items.codes(ids)
        titles += title.to_pylist()
        bodies += pc.if_else(pc.equal(body, ""), abstract, body).to_pylist()
    users, paths = Vocabulary(), {split: atomic_file(folder, f"{split}.imp") for split in SPLITS}
    paths = {split: path for split, path in paths.items() if path.exists()}
    for path in paths.values():
        for _, (user, _) in Table(TextFile(path), header=True).read((IMPRESSION_HEADER[1], None), BadRows()):
            users.codes(user)
    item_ids = dict(zip(items.words().to_pylist(), range(len(items)), strict=True))
    clicks, times = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    inter = atomic_file(folder, "inter")
    if inter.exists():
        for _, (user, item, time) in Table(TextFile(inter), header=True).read(INTER_HEADER, BadRows()):
            clicks.append(users.codes(user).astype(np.int64) * len(titles) + items.codes(item))
            times.append(time.cast("float64").to_numpy())
        if len(items) > len(titles):
            raise InputError(f"holds {len(items) - len(titles):,} news that {news.name} lacks", inter)
    user_ids = dict(zip(users.words().to_pylist(), range(len(users)), strict=True))
    logs = {split: ImpressionLog.load(path, user_ids, item_ids) for split, path in paths.items()}
    return Dataset(folder.name, titles, bodies, logs, np.concatenate(clicks), np.concatenate(times))


def _lengths(data: Dataset, tokenizer: str | None) -> dict[str, np.ndarray]:
    texts = {"title": data.titles, "body or abstract": data.bodies}
    if tokenizer is None:
        return {what: np.array([len(text.split()) for text in some]) for what, some in texts.items()}
    from recbole_tinynews.layers.loading import load_tokenizer  # loads torch, which nothing else here needs

    tokens = load_tokenizer(tokenizer)
    found = {}
    for what, some in texts.items():
        rows = tqdm(range(0, len(some), 10_000), desc=f"tokens of {what}", leave=False, disable=None)
        counted = [tokens(some[start : start + 10_000], add_special_tokens=False)["input_ids"] for start in rows]
        found[what] = np.array([len(row) for part in counted for row in part])
    return found


def _text_rows(data: Dataset, lengths: Mapping[str, np.ndarray], unit: str) -> list[list[object]]:
    rows: list[list[object]] = [["text", "missing", "repeated", f"mean {unit}", "median", "95 %", "longest"]]
    for (what, counts), texts in zip(lengths.items(), (data.titles, data.bodies), strict=True):
        there = [text for text in texts if text]
        some = counts[counts > 0] if there else np.zeros(1)
        middle, high = np.percentile(some, [50, 95])
        missing, repeated = len(texts) - len(there), len(there) - len(set(there))
        rows.append([what, missing, repeated, round(some.mean(), 1), int(middle), int(high), int(some.max())])
    return rows


def _split_rows(data: Dataset) -> list[list[str]]:
    columns = [_split_column(data, split) for split in data.logs]
    return [["", *data.logs], *([name, *(column[name] for column in columns)] for name in columns[0])]


def _split_column(data: Dataset, split: str) -> dict[str, str]:
    log, train = data.logs[split], data.logs.get("train")
    shown, history = log.candidates.lengths, log.history.lengths
    known = log.labels >= 0
    clicks = np.add.reduceat(log.labels == 1, log.candidates.offsets[:-1])[log.known]
    warm, old = _seen(data, train) if train is not None else (np.empty(0, dtype=bool), np.empty(0))
    users = np.flatnonzero(np.bincount(log.users))
    judged = split != "train" and train is not None
    return {
        "impressions": f"{len(log):,}",
        "without labels": f"{np.count_nonzero(~log.known):,}",
        "users": f"{len(users):,}",
        "users new": _share(~among(users, old)) if judged else "-",
        "impressions of new users": _share(~among(log.users, old)) if judged else "-",
        "news shown": f"{np.count_nonzero(np.bincount(log.candidates.values)):,}",
        "candidates cold": _share(~warm[log.candidates.values]) if judged else "-",
        "candidates, mean": f"{shown.mean():.1f}",
        "candidates, median": f"{np.median(shown):.0f}",
        "candidates, most": f"{shown.max():,}",
        "clicks, mean": f"{clicks.mean():.2f}" if len(clicks) else "-",
        "clicks of candidates": _share(log.labels[known] == 1),
        "without click": _share(clicks == 0),
        "history, mean": f"{history.mean():.1f}",
        "history, median": f"{np.median(history):.0f}",
        "history, longest": f"{history.max():,}",
        "without history": _share(history == 0),
        "first (UTC)": _date(log.times.min()),
        "last (UTC)": _date(log.times.max()),
    }


def _seen(data: Dataset, train: ImpressionLog) -> tuple[np.ndarray, np.ndarray]:
    """Whether each news was clicked in training, and the users of training."""
    warm = np.zeros(len(data.titles), dtype=bool)
    warm[train.candidates.values[train.labels == 1]] = True
    warm[train.history.values] = True
    return warm, train.users


def _leaks(data: Dataset) -> list[str]:
    found = []
    train = data.logs.get("train")
    for split, log in data.logs.items():
        rows = log.candidates.row_of
        own = _pairs(data, np.arange(len(log)), log.history.row_of, log.history.values)
        clicked = _pairs(data, np.arange(len(log)), rows, log.candidates.values)[log.labels == 1]
        again = np.count_nonzero(among(clicked, own))
        if again:
            found.append(f"{split}: {again:,} clicked news stand in the history of their own impression")
        if split == "train" or train is None:
            continue
        early = np.count_nonzero(log.times <= train.times.max())
        if early:
            share = f"{early:,} of {len(log):,} impressions"
            found.append(f"{split}: {share} lie before the last train impression, as in a random split")
        both = np.count_nonzero(among(_moments(log), _moments(train)))
        if both:
            found.append(f"{split}: {both:,} impressions have the user and time of a train impression")
        labels = np.sort(_pairs(data, log.users, rows, log.candidates.values)[log.labels == 1])
        labels = labels[np.diff(labels, prepend=-1) > 0]
        if known := np.count_nonzero(among(labels, data.clicks)):
            found.append(f"{split}: .inter knows {known:,} of {len(labels):,} clicked pairs of user and news already")
    return found


def _pairs(data: Dataset, firsts: np.ndarray, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Pairs of something of the row and a news, as one number each."""
    return firsts[rows].astype(np.int64) * len(data.titles) + items


def _moments(log: ImpressionLog) -> np.ndarray:
    return log.users + 1j * log.times


def _share(marks: np.ndarray) -> str:
    return f"{100 * marks.mean():.1f} %" if len(marks) else "-"


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(float(seconds), timezone.utc):%Y-%m-%d %H:%M}"


def _draw(data: Dataset, titles: np.ndarray, unit: str, path: Path) -> None:
    figure = Figure(figsize=(14, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(data.name)
    axes = list(figure.subplots(2, 3).flat)
    panels = [("candidates per impression", "candidates"), ("clicks in the history", "history")]
    for panel, (label, what) in zip(axes, panels, strict=False):
        for split, log in data.logs.items():
            lengths = getattr(log, what).lengths
            bins = np.unique(np.linspace(0, max(np.percentile(lengths, 99), 1) + 1, 40).astype(int)) - 0.5
            panel.hist(lengths, bins, density=True, histtype="step", color=_COLOURS[split], label=split)
        panel.set(xlabel=f"{label} (up to 99 %)", ylabel="share")
    clicks, times, popular, texts = axes[2], axes[3], axes[4], axes[5]
    for split, log in data.logs.items():
        counts = np.add.reduceat(log.labels == 1, log.candidates.offsets[:-1])[log.known]
        share = np.bincount(np.minimum(counts, 10), minlength=11) / max(len(counts), 1)
        clicks.plot(range(11), share, marker="o", color=_COLOURS[split], label=split)
        days = np.array(np.floor(log.times / _DAY), dtype="datetime64[D]")
        times.bar(*np.unique(days, return_counts=True), color=_COLOURS[split], alpha=0.7, label=split)
        of_news = np.bincount(log.candidates.values[log.labels == 1])
        ranked = np.sort(of_news[of_news > 0])[::-1]
        popular.loglog(np.arange(1, len(ranked) + 1), ranked, color=_COLOURS[split], label=split)
    if data.logs:
        axes[0].legend(frameon=False)
    clicks.set(xlabel="clicks per impression (10: or more)", ylabel="share of impressions")
    times.set(xlabel="day", ylabel="impressions")
    times.tick_params(axis="x", rotation=45)
    popular.set(xlabel="news by rank", ylabel="clicks")
    texts.hist(titles, np.arange(0, max(np.percentile(titles, 99), 1) + 2), color="#7F7F7F")
    texts.set(xlabel=f"{unit} of a title (up to 99 %)", ylabel="news")
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    try:
        with replacing(path) as part:
            figure.savefig(part)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be written ({getattr(error, 'strerror', None) or error})", path) from error


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.inspect",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m recbole_tinynews.inspect demo --plot demo.png",
    )
    parser.add_argument("dataset", help="its name, as in run_recbole.py --dataset=NAME")
    parser.add_argument("--data_path", type=Path, default=Path("dataset"), help="folder of all datasets (dataset)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where the plots go, .png, .svg or .pdf; else none")
    parser.add_argument("--plm", help="folder or hub name of an encoder, to count its tokens instead of words")
    options = parser.parse_args(arguments)
    print(inspect(options.data_path / options.dataset, options.plot, options.plm))


if __name__ == "__main__":
    sys.exit(main())
