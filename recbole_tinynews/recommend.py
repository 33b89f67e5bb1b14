"""``python -m recbole_tinynews.recommend``: what a trained model would show a user."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from recbole_tinynews.command import command
from recbole_tinynews.errors import InputError
from recbole_tinynews.recommender import Recommender

__all__ = ["main"]


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.recommend",
        description="Rank news for a user, with a model that run_recbole.py has trained.",
        epilog="Any setting that is different here is given as --key=value: --data_path=FOLDER, --plm=FOLDER.",
        allow_abbrev=False,
    )
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="the .pth file that a run named at its end")
    parser.add_argument("--user", metavar="ID", help="a user of the dataset; the clicks are those of D.inter")
    parser.add_argument("--history", metavar="N1,N2", help="clicked news, oldest first, instead of the user's")
    parser.add_argument("--candidates", metavar="FILE", help="ids of the news to rank, between blanks or line breaks")
    parser.add_argument("--top", type=int, default=10, help="how many to show (default: 10)")
    given, settings = parser.parse_known_args(arguments)
    if given.user is None and given.history is None:
        raise InputError("whose news? give --user=ID or --history=N1,N2")
    history = None if given.history is None else [news for news in given.history.split(",") if news]
    if history == []:
        raise InputError("--history names no news: a user without clicks has no ranking of his own")
    candidates = None if given.candidates is None else _ids(Path(given.candidates))
    recommender = Recommender.load(given.checkpoint, settings)
    ranked = recommender.rank(history, given.user, candidates, given.top)
    rows = [(place, news.news, f"{news.score:.4f}", news.title) for place, news in enumerate(ranked, start=1)]
    print(tabulate(rows, ["", "news", "score", "title"], tablefmt="plain", disable_numparse=True))


def _ids(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None


if __name__ == "__main__":
    sys.exit(main())
