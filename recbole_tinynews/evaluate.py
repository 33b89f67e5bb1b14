"""``python -m recbole_tinynews.evaluate``: the metrics of a file of ranks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from recbole_tinynews.command import command
from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.data.prediction import read_prediction
from recbole_tinynews.data.schema import SPLITS, atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.evaluator import METRICS, mean_of, rate
from recbole_tinynews.trainer.run_data import ids_of

__all__ = ["evaluate", "main"]


def evaluate(prediction: str | Path, dataset: str, split: str, data_path: str = "dataset") -> dict[str, float]:
    """Rate a prediction file by the labels of a split.

    Impressions without labels, or with all or none clicked, are left out, as in every evaluation.

    Raises
    ------
    InputError
        If the dataset cannot be read, the file belongs to other impressions, or none of them can be rated.
    """
    config = NewsConfig("Pop", dataset, config_dict={"data_path": data_path, "state": "ERROR"})
    log = load_impressions(ids_of(config), split)
    if log is None:
        raise InputError("expected the impressions to rate", path=atomic_file(config["data_path"], f"{split}.imp"))
    scores = read_prediction(prediction, log)
    return mean_of(rate(scores[log.labels >= 0], log.labelled()))


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.evaluate",
        description="Rate a file of ranks, such as python -m recbole_tinynews.predict writes, by a split's labels.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("prediction", type=Path, metavar="FILE", help="a zip file with prediction.txt, or that itself")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="a folder NAME in data_path")
    parser.add_argument("--data_path", default="dataset", metavar="FOLDER", help="folder of datasets")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which impressions")
    given = parser.parse_args(arguments)
    result = evaluate(given.prediction, given.dataset, given.split, given.data_path)
    print(tabulate([[f"{result[name]:.4f}" for name in METRICS]], METRICS, tablefmt="plain", disable_numparse=True))


if __name__ == "__main__":
    sys.exit(main())
