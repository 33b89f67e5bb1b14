"""``python -m benchmarks.make_log``: a made-up log of MIND-large's shape, to measure conversion and loading with.

2.2 million training impressions of 700,000 users with 37 candidates each, histories of 33 clicks, 100,000 news;
``--scale`` makes it smaller. The files have MIND's form.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from tqdm.auto import trange

IMPRESSIONS, USERS, NEWS = 2_200_000, 700_000, 100_000
CANDIDATES, HISTORY = 37, 33
VALID_SHARE = 0.15
ROWS_AT_ONCE = 20_000
WORDS = 5000


def make_news(folder: Path, number: int, rng: np.random.Generator) -> None:
    """Write news.tsv."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, size=rng.integers(2, 10))) for _ in range(WORDS)])
    with (folder / "news.tsv").open("w", encoding="utf-8") as file:
        for item in trange(number, desc="news"):
            title, abstract = (" ".join(rng.choice(words, size=size)) for size in rng.integers((5, 10), (16, 60)))
            file.write(f"N{item}\tc{item % 18}\ts{item % 270}\t{title}\t{abstract}\thttps://x/{item}\t[]\t[]\n")


def make_behaviors(
    path: Path, impressions: int, users: int, news: int, day: datetime, days: int, rng: np.random.Generator
) -> None:
    """Write behaviors.tsv; a user's history is the same in all impressions, popular news come more often."""
    with path.open("w", encoding="utf-8") as file:
        for start in trange(0, impressions, ROWS_AT_ONCE, desc=str(path)):
            size = min(ROWS_AT_ONCE, impressions - start)
            seconds = rng.integers(0, days * 86400, size)
            lengths = np.minimum(rng.geometric(1 / CANDIDATES, size), 300) + 1
            for row, user in enumerate(rng.integers(0, users, size).tolist()):
                own = np.random.default_rng(user)
                past = (news * own.power(2, own.geometric(1 / HISTORY) - 1)).astype(int)
                shown = np.unique(rng.integers(0, news, lengths[row]))
                clicked = rng.integers(len(shown))
                moment = (day + timedelta(seconds=int(seconds[row]))).strftime("%m/%d/%Y %I:%M:%S %p")
                candidates = " ".join(f"N{item}-{int(place == clicked)}" for place, item in enumerate(shown.tolist()))
                history = " ".join(f"N{item}" for item in past.tolist())
                file.write(f"{start + row + 1}\tU{user}\t{moment}\t{history}\t{candidates}\n")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_log", description=__doc__)
    parser.add_argument("output", type=Path, help="folder for train/ and valid/")
    parser.add_argument("--scale", type=float, default=1.0, help="size, as a part of MIND-large's")
    parser.add_argument("--seed", type=int, default=2020, help="seed of all that is random")
    options = parser.parse_args()
    rng, news = np.random.default_rng(options.seed), max(1000, int(NEWS * options.scale))
    impressions, users = int(IMPRESSIONS * options.scale), max(100, int(USERS * options.scale))
    splits = ("train", 1.0, datetime(2019, 11, 9), 6), ("valid", VALID_SHARE, datetime(2019, 11, 15), 1)
    for split, share, day, days in splits:
        folder = options.output / split
        folder.mkdir(parents=True, exist_ok=True)
        if split == "train":
            make_news(folder, news, rng)
        else:
            (folder / "news.tsv").write_bytes((options.output / "train" / "news.tsv").read_bytes())
        make_behaviors(folder / "behaviors.tsv", int(impressions * share), users, news, day, days, rng)


if __name__ == "__main__":
    main()
