"""``python -m recbole_tinynews.demo``: from raw logs to a tested student, on a small made-up news world."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from recbole_tinynews.benchmark.speed import measure_speed
from recbole_tinynews.command import command
from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.converters.mind import convert_mind
from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.data.schema import SPLITS
from recbole_tinynews.pretrain import encoder_of
from recbole_tinynews.quick_start import run

__all__ = ["Row", "demo", "main", "rows", "table", "verdict"]

_NAME = "demo"
_STUDENT = "TinyNewsRec"
_MODELS = (_STUDENT, "Pop", "BPR", "SASRec")
_COLUMNS = {"auc": "AUC", "mrr": "MRR", "ndcg@5": "nDCG@5", "ndcg@10": "nDCG@10"}


class Row(NamedTuple):
    """One line of the table.

    Parameters
    ----------
    role : {"teacher", "student", "baseline"}
        What it is in the demo; a baseline does not read.
    model : str
        Its name.
    parameters : int
        Number of its weights.
    metrics : mapping of str to float
        Measured on the test split, fractions.
    news_per_second : float, optional
        How fast it reads titles.
    """

    role: str
    model: str
    parameters: int
    metrics: Mapping[str, float]
    news_per_second: float | None = None


def demo(raw: Path, data: Path, output: Path, seed: int) -> Path:
    """Convert, pre-train, distil, compare; what was finished before is reused.

    Parameters
    ----------
    raw : Path
        The world in MIND's raw form: train, valid, test and bodies.tsv.
    data : Path
        Folder of all datasets; the demo's is made in it.
    output : Path
        Where encoder, checkpoints, results and the report are written.
    seed : int
        Seed of all that is random.

    Returns
    -------
    Path
        The report.
    """
    started = time.perf_counter()
    _say("The demo: raw logs -> a dataset -> an encoder from scratch ->", *_MODELS, "-> one table")

    _headline(f"dataset {data / _NAME}, from {raw}")
    print(convert_mind(data / _NAME, {split: raw / split for split in SPLITS}, raw / "bodies.tsv"))

    given = {"data_path": str(data), "checkpoint_dir": str(output), "seed": seed}
    config = NewsConfig(_STUDENT, _NAME, config_dict=given)
    _headline("an encoder, by masked language modelling")
    config["plm"] = encoder_of(config)

    results = {}
    for model in _MODELS:
        _headline(model)
        own = {**given, "result_file": str(output / f"{model}.json")}
        results[model] = run(model, _NAME, config_dict=own)

    titles = NewsTable.load(data / _NAME).titles
    speed = {
        role: measure_speed(config, titles, config[f"{role}_layers"], config["device"])[1]
        for role in ("teacher", "student")
    }
    lines = rows(results, speed)
    text = f"{table(lines)}\n\n{verdict(lines)}"
    report = output / "report.md"
    report.write_text(f"# The demo's test split, seed {seed}\n\n{text}\n", encoding="utf-8")
    _headline(f"the test split, after {time.perf_counter() - started:.0f} s")
    _say(text)
    _say(f"Results: {', '.join(str(output / f'{model}.json') for model in _MODELS)}\nThis table: {report}")
    return report


def rows(results: Mapping[str, Mapping[str, Any]], speed: Mapping[str, float]) -> list[Row]:
    """Turn the results of all runs into lines; teachers come before their student.

    Parameters
    ----------
    results : mapping
        What :func:`recbole_tinynews.run` returned for each model.
    speed : mapping
        News per second of ``teacher`` and ``student``.
    """
    lines = []
    for model, result in results.items():
        teachers = [stage for stage in result["stages"] if stage["name"].startswith("teacher")]
        for number, stage in enumerate(teachers, start=1):
            name = f"PLM-NR, teacher {number}"
            lines.append(Row("teacher", name, stage["parameters"], stage["test_result"], speed["teacher"]))
        role = "student" if model == _STUDENT else "baseline"
        lines.append(Row(role, model, result["parameters"], result["test_result"], speed.get(role)))
    return lines


def table(lines: Sequence[Row]) -> str:
    """Lay out lines as a Markdown table."""
    cells = [
        [
            line.model,
            f"{line.parameters:,}",
            "-" if line.news_per_second is None else f"{line.news_per_second:,.0f}",
            *(f"{line.metrics[name]:.4f}" for name in _COLUMNS),
        ]
        for line in lines
    ]
    head = ["model", "parameters", "news/s", *_COLUMNS.values()]
    align = ["left", *["right"] * (len(head) - 1)]
    return tabulate(cells, head, tablefmt="pipe", disable_numparse=True, colalign=align)


def verdict(lines: Sequence[Row]) -> str:
    """Say what the lines show: teachers against what does not read, the student against its teachers."""
    teachers = [line for line in lines if line.role == "teacher"]
    student = next(line for line in lines if line.role == "student")
    best = max(teachers, key=lambda line: line.metrics["auc"])
    mean = float(np.mean([line.metrics["auc"] for line in teachers]))
    gains = [
        f"{best.metrics['auc'] - line.metrics['auc']:+.3f} to {line.model}" for line in lines if line.role == "baseline"
    ]
    loss = student.metrics["auc"] - best.metrics["auc"], student.metrics["auc"] - mean
    return (
        f"AUC of the best teacher: {', '.join(gains)}.\n"
        f"AUC of the student: {loss[0]:+.3f} to the best teacher, {loss[1]:+.3f} to the teachers' mean, with "
        f"{student.parameters / best.parameters:.0%} of its parameters and "
        f"{(student.news_per_second or 0) / (best.news_per_second or 1):.1f} times its speed."
    )


def _headline(text: str) -> None:
    _say(f"\n== {text}")


def _say(*text: str) -> None:
    print(*text, flush=True)  # the bars of standard error come in between


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.demo",
        description="Show the whole way on a small made-up news world: convert its raw logs, train an encoder from "
        "scratch, distil Tiny-NewsRec from two teachers, compare with Pop, BPR and SASRec. A few minutes on two CPU "
        "cores; run again, it takes up what was finished. Its settings: properties/dataset/demo.yaml.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--raw", type=Path, default=Path("dataset/demo/raw"), help="the world in MIND's raw form")
    parser.add_argument("--data", type=Path, default=Path("dataset"), help="folder of all datasets")
    parser.add_argument("--output", type=Path, default=Path("saved/demo"), help="folder of results and checkpoints")
    parser.add_argument("--seed", type=int, default=2020, help="seed of all that is random")
    options = parser.parse_args(arguments)
    demo(options.raw, options.data, options.output, options.seed)


if __name__ == "__main__":
    sys.exit(main())
