"""``python -m recbole_tinynews.predict``: the ranks of a split, as MIND's competition takes them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recbole_tinynews.command import command
from recbole_tinynews.data.prediction import write_prediction
from recbole_tinynews.data.schema import SPLITS
from recbole_tinynews.errors import InputError
from recbole_tinynews.files import check_file
from recbole_tinynews.recommender import Recommender

__all__ = ["main"]


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.predict",
        description="Rank the candidates of all impressions of a split, with or without labels, and write a zip file "
        "with prediction.txt: a line for each impression, with the rank of each candidate.",
        epilog="Any setting that is different here is given as --key=value: --data_path=FOLDER, --plm=FOLDER.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="the .pth file that a run named at its end")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which impressions")
    parser.add_argument("--output", type=Path, default=Path("prediction.zip"), help="the file to write")
    given, settings = parser.parse_known_args(arguments)
    if given.output.suffix != ".zip":
        raise InputError(f"--output must be the name of a .zip file, not {given.output}")
    check_file(given.output, "--output")
    recommender = Recommender.load(given.checkpoint, settings)
    log = recommender.impressions(given.split)
    write_prediction(given.output, log, recommender.score(log))
    print(f"{given.output}: {len(log):,} impressions")


if __name__ == "__main__":
    sys.exit(main())
