"""``python -m benchmarks.make_log``: a made-up log in MIND's raw form and of MIND-large's shape, to measure with."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from tqdm import tqdm

IMPRESSIONS, USERS, NEWS = 2_200_000, 700_000, 100_000  # at scale 1
CANDIDATES, HISTORY = 38.2, 33.0  # on average
FIRST_DAY, DAYS = np.datetime64("2019-11-09T00:00:00"), 6  # the last day is for validation
NEWS_OF_A_DAY = 0.05  # share of all news that are shown on one day
WORDS, TITLE, ABSTRACT = 20_000, 11, 36
_ROWS_AT_ONCE = 50_000


def main() -> None:
    """Write ``train`` and ``valid`` with news.tsv and behaviors.tsv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write; gets the folders train and valid")
    parser.add_argument("--scale", type=float, default=1.0, help="1 (default): 2.2 M impressions, about 1.5 GB of text")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    items = pc.binary_join_element_wise("N", pa.array(np.arange(1, int(NEWS * options.scale) + 1).astype(str)), "")
    news = _news(rng, items)
    histories = _histories(rng, items, int(USERS * options.scale))
    rows = int(IMPRESSIONS * options.scale)
    for split, days in (("train", range(DAYS - 1)), ("valid", range(DAYS - 1, DAYS))):
        folder = options.folder / split
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "news.tsv", iter([news]))
        with tqdm(total=rows * len(days) // DAYS, desc=split, unit=" impressions") as bar:
            _write(folder / "behaviors.tsv", _behaviors(rng, items, histories, days, rows // DAYS, bar))


def _news(rng: np.random.Generator, items: pa.Array) -> pa.RecordBatch:
    letters = rng.choice(list("abcdefghiklmnoprstuv"), (WORDS, 12))
    words = pa.array(["".join(row[:length]) for row, length in zip(letters, rng.integers(2, 12, WORDS), strict=True)])
    category = rng.integers(0, 18, len(items)).astype(str)
    texts = [_joined(words, rng.poisson(mean, len(items)) + 1, rng) for mean in (TITLE, ABSTRACT)]
    empty = pa.array(["[]"] * len(items))
    columns = [items, pa.array(category), pa.array(category), *texts, items, empty, empty]
    return pa.RecordBatch.from_arrays(columns, [str(i) for i in range(8)])


def _histories(rng: np.random.Generator, items: pa.Array, users: int) -> pa.Array:
    # long-tailed as in MIND: one user in fifty has none, a few have hundreds
    lengths = np.minimum(rng.lognormal(3.0, 1.0, users) * HISTORY / 33.1, 800).astype(int)
    lengths[rng.random(users) < 0.02] = 0
    return _joined(items, lengths, rng)


def _joined(tokens: pa.Array, lengths: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Rows of tokens drawn with a long tail, each row joined by spaces."""
    drawn = (len(tokens) * rng.random(lengths.sum()) ** 3).astype(np.int32)
    return _rows(tokens.take(pa.array(drawn)), lengths)


def _rows(tokens: pa.Array, lengths: np.ndarray) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), tokens), " ")


def _behaviors(
    rng: np.random.Generator, items: pa.Array, histories: pa.Array, days: range, rows_of_day: int, bar: tqdm
) -> Iterator[pa.RecordBatch]:
    pool = max(int(len(items) * NEWS_OF_A_DAY) | 1, 401)
    row = 0
    for day in days:
        shown_today = rng.permutation(len(items))[:pool]
        for start in range(0, rows_of_day, _ROWS_AT_ONCE):
            size = min(_ROWS_AT_ONCE, rows_of_day - start)
            users = (len(histories) * rng.random(size) ** 1.5).astype(np.int64)
            seconds = FIRST_DAY + np.timedelta64(day, "D") + rng.integers(0, 86_400, size).astype("timedelta64[s]")
            ids = pa.array((row + start + np.arange(size) + 1).astype(str))
            past, shown = histories.take(pa.array(users)), _shown(rng, items, shown_today, size)
            yield pa.RecordBatch.from_arrays([ids, _users(users), _times(seconds), past, shown], list("iuthc"))
            bar.update(size)
        row += rows_of_day


def _users(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise("U", pa.array(numbers).cast(pa.string()), "")


def _times(seconds: np.ndarray) -> pa.Array:
    text = pc.strftime(pa.array(seconds), "%m/%d/%Y %I:%M:%S %p")
    return pc.replace_substring_regex(text, r" 0(\d:)", r" \1")  # MIND writes 9:05:58


def _shown(rng: np.random.Generator, items: pa.Array, pool: np.ndarray, rows: int) -> pa.Array:
    lengths = np.clip(rng.lognormal(3.2, 0.95, rows) * CANDIDATES / 37.2, 2, 299).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    place = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    # steps from a random start: no candidate comes twice, since the steps do not reach round the pool
    steps = rng.integers(1, len(pool) // 300 + 1, rows)
    drawn = pool[(np.repeat(rng.integers(0, len(pool), rows), lengths) + place * np.repeat(steps, lengths)) % len(pool)]
    clicked = np.zeros(lengths.sum(), dtype=np.int64)
    clicked[starts + rng.integers(0, lengths)] = 1
    clicked |= rng.random(len(clicked)) < 0.015
    labels = pa.array(["-0", "-1"]).take(pa.array(clicked))
    return _rows(pc.binary_join_element_wise(items.take(pa.array(drawn)), labels, ""), lengths)


def _write(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with path.open("wb") as stream:
        for batch in batches:
            csv.write_csv(pa.Table.from_batches([batch]), stream, options)


if __name__ == "__main__":
    main()
