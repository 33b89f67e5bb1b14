"""``python -m recbole_tinynews.inspect``: what a person wants to know of a dataset before training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from recbole.data import create_dataset
from tabulate import tabulate

from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.dataset import CACHE_FOLDER, load_impressions
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.news_table import NewsTable, tokenize
from recbole_tinynews.data.schema import SPLITS, atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import load_tokenizer

__all__ = ["describe", "leaks", "main"]

_DAY = 86400


def describe(log: ImpressionLog, clicks: np.ndarray) -> dict[str, Any]:
    """Sizes, lengths and shares of a split.

    Parameters
    ----------
    log : ImpressionLog
        Its impressions.
    clicks : int ndarray of shape (items,)
        Clicks of each news in ``D.inter``.

    Returns
    -------
    dict
        What the report shows, by its name there; shares as fractions.
    """
    shown, past = log.candidates.lengths, log.history.lengths
    number = np.bincount(log.candidates.row_of[log.labels == 1], minlength=len(log))
    return {
        "impressions": len(log),
        "known users": len(np.unique(log.users[log.users > 0])),
        "candidates, mean": shown.mean(),
        "candidates, median": float(np.median(shown)),
        "candidates, most": int(shown.max()),
        "clicks, mean": number.mean(),
        "without click": float((number == 0).mean()),
        "history, mean": past.mean(),
        "history, median": float(np.median(past)),
        "history, most": int(past.max()),
        "without history": float((past == 0).mean()),
        "candidates never clicked in D.inter": float((clicks[log.candidates.values] == 0).mean()),
        "of users whom D.inter does not know": float((np.asarray(log.users) == 0).mean()),
        "first": pd.Timestamp(log.times.min(), unit="s").isoformat(" ", "minutes"),
        "last": pd.Timestamp(log.times.max(), unit="s").isoformat(" ", "minutes"),
    }


def leaks(logs: Mapping[str, ImpressionLog]) -> list[str]:
    """Say what lets a model see what it is tested on.

    Parameters
    ----------
    logs : mapping of str to ImpressionLog
        The splits, ``train`` first.
    """
    found = []
    for earlier, later in (("train", "valid"), ("train", "test"), ("valid", "test")):
        if earlier in logs and later in logs:
            before = int((logs[later].times < logs[earlier].times.max()).sum())
            if before:
                found.append(f"{before:,} {later} impressions are earlier than the last {earlier} impression")
    for split, log in logs.items():
        clicked = np.flatnonzero(log.labels == 1)
        rows, items = log.candidates.row_of[clicked], np.asarray(log.candidates.values)[clicked]
        most = 1 + int(max(log.candidates.values.max(initial=0), log.history.values.max(initial=0)))
        in_history = np.isin(rows * most + items, log.history.row_of * most + log.history.values)
        if in_history.any():
            found.append(f"{in_history.sum():,} of {len(rows):,} {split} clicks are on a news of that user's history")
    return found


def _plot(logs: Mapping[str, ImpressionLog], title_lengths: np.ndarray, unit: str, path: Path) -> None:
    """Draw lengths and times of all splits."""
    matplotlib.use("Agg")
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    first = min(log.times.min() for log in logs.values())
    for split, log in logs.items():
        style = {"alpha": 0.55, "label": split, "density": True}
        axes[0, 0].hist(np.minimum(log.candidates.lengths, 100), bins=np.arange(1, 102), **style)
        axes[0, 1].hist(np.minimum(log.history.lengths, 100), bins=np.arange(0, 102), **style)
        days = (log.times - first) / _DAY
        axes[1, 1].hist(days, bins=np.arange(0, max(days.max(), 1) + 1 / 24, 1 / 24), alpha=0.7, label=split)
    axes[1, 0].hist(title_lengths, bins=np.arange(0, title_lengths.max(initial=0) + 2), color="#666666")
    for axis, title, x in (
        (axes[0, 0], "candidates of an impression (100 and more together)", "candidates"),
        (axes[0, 1], "clicks before an impression (100 and more together)", "clicks"),
        (axes[1, 0], f"{unit} of a title", unit),
        (axes[1, 1], "impressions an hour", "days since the first"),
    ):
        axis.set(title=title, xlabel=x)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in (axes[0, 0], axes[0, 1]):
        axis.set_ylabel("share of impressions")
    axes[1, 0].set_ylabel("news")
    axes[1, 1].legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if "mean" in name or "median" in name else f"{value:.1%}"


def _inspect(given: argparse.Namespace) -> str:
    config = NewsConfig("Pop", given.dataset, config_dict={"data_path": given.data_path, "state": "ERROR"})
    folder = Path(config["data_path"])
    if not atomic_file(folder, "inter").exists():
        raise InputError("expected this file in the dataset's folder", path=atomic_file(folder, "inter"))
    dataset = create_dataset(config)
    items = dataset.field2token_id[dataset.iid_field]
    clicks = np.bincount(dataset.inter_feat[dataset.iid_field], minlength=dataset.item_num)
    sizes = f"{len(items) - 1:,} news, {dataset.user_num - 1:,} users and {clicks.sum():,} clicks in D.inter"
    lines = [f"{given.dataset}: {sizes}"]
    logs = {split: log for split in SPLITS if (log := load_impressions(dataset, split)) is not None}
    if atomic_file(folder, "news").exists():
        texts = NewsTable.load(folder, items)
        titles = texts.titles[1:]
        unit = "words"
        lengths = np.array([len(title.split()) for title in titles])
        if given.plm:
            unit = "word pieces"
            lengths = tokenize(titles, load_tokenizer(given.plm), 10_000, folder / CACHE_FOLDER).lengths
        bodies = sum(bool(body) for body in texts.bodies[1:])
        lines.append(
            f"titles: {lengths.mean():.1f} {unit} in the mean, {lengths.max()} at most, "
            f"{(lengths == 0).sum():,} empty, {len(titles) - len(set(titles)):,} repeat another; "
            f"{bodies:,} news with a body or abstract"
        )
    else:
        lengths, unit = np.zeros(0, dtype=int), "words"
        lines.append("no news texts: models that read cannot be used")
    if not logs:
        return "\n".join([*lines, "no impressions: evaluated RecBole's way"])
    columns = {split: describe(log, clicks) for split, log in logs.items()}
    names = next(iter(columns.values()))
    rows = [[name, *(_cell(name, column[name]) for column in columns.values())] for name in names]
    lines += ["", tabulate(rows, ["", *columns], tablefmt="plain", disable_numparse=True), ""]
    found = leaks(logs)
    lines += [f"look at this: {leak}" for leak in found] or ["no split is earlier than one before it"]
    _plot(logs, lengths, unit, given.plot)
    return "\n".join([*lines, f"plots: {given.plot}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.inspect",
        description="Print and plot what to know of a dataset before training: sizes, lengths, cold news and users, "
        "times, leaks.",
        allow_abbrev=False,
    )
    parser.add_argument("dataset", metavar="NAME", help="a folder NAME in data_path")
    parser.add_argument("--data_path", default="dataset", metavar="FOLDER", help="folder of datasets")
    parser.add_argument("--plm", metavar="FOLDER", help="count this encoder's word pieces instead of words")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where the plots go (default: inspect-NAME.png)")
    given = parser.parse_args(arguments)
    given.plot = given.plot or Path(f"inspect-{given.dataset}.png")
    try:
        print(_inspect(given))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
