"""``python -m benchmarks.recbole_models``: every model of RecBole on the same impressions, for one epoch.

Writes results/recbole-models.md: what each model gives, or RecBole's own reason why it does not; and whether scoring
all items of a user and picking the candidates gives what scoring each candidate by itself gives.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from recbole.model.abstract_recommender import AbstractRecommender
from tabulate import tabulate
from tqdm.auto import tqdm

from recbole_tinynews import Recommender
from recbole_tinynews.evaluator import METRICS
from recbole_tinynews.registry import OUR_MODELS, model_names

FAMILIES = ("general", "sequential", "context_aware")  # knowledge-aware ones need a knowledge graph


def recbole_models() -> list[tuple[str, str]]:
    """Family and name of each of RecBole's models, family by family."""
    found = [(module.split(".")[2].removesuffix("_recommender"), name) for name, module in model_names().items()]
    theirs = [(family, name) for family, name in found if family in FAMILIES and name not in OUR_MODELS]
    return sorted(theirs, key=lambda pair: (FAMILIES.index(pair[0]), pair[1]))


def try_model(name: str, options: argparse.Namespace, scratch: Path) -> tuple[str, dict[str, float], float]:
    """Run a model in a process of its own; return its state, metrics and seconds."""
    result = scratch / f"{name}.json"
    command = [sys.executable, "run_recbole.py", f"--model={name}", f"--dataset={options.dataset}"]
    command += [f"--data_path={options.data_path}", "--epochs=1", "--show_progress=False", "--state=ERROR"]
    command += [f"--checkpoint_dir={scratch / name}", f"--result_file={result}", *options.settings]
    started = time.perf_counter()
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout, env=os.environ)
    except subprocess.TimeoutExpired:
        return f"more than {options.timeout} s", {}, time.perf_counter() - started
    seconds = time.perf_counter() - started
    if run.returncode or not result.exists():
        lines = [line for line in run.stderr.strip().splitlines() if line.strip()]
        return (lines[-1] if lines else f"exit code {run.returncode}").removeprefix("error: ")[:160], {}, seconds
    metrics = json.loads(result.read_text(encoding="utf-8"))["test_result"]
    return "ok" if all(map(math.isfinite, metrics.values())) else "not finite", metrics, seconds


def two_ways(folder: Path) -> str:
    """Score impressions with a run's checkpoint in both ways; return the largest difference, as a part of them."""
    (checkpoint,) = folder.glob("*.pth")
    recommender = Recommender.load(checkpoint, full_sort_scores=True)
    if type(recommender.model).full_sort_predict is AbstractRecommender.full_sort_predict:
        return "one way"
    log = recommender.impressions("valid")
    together = recommender.score(log)
    recommender.config["full_sort_scores"] = False
    try:
        alone = recommender.score(log)
    except NotImplementedError:
        return "one way"
    return f"{np.abs(together - alone).max() / max(np.abs(together).max(), 1e-12):.0e}"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recbole_models", description=__doc__)
    parser.add_argument("--dataset", default="demo", help="a dataset with impressions")
    parser.add_argument("--data_path", default="dataset", help="folder of datasets")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that a model may take")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the table")
    options, options.settings = parser.parse_known_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for family, name in tqdm(recbole_models()):
            state, metrics, seconds = try_model(name, options, Path(scratch))
            values = [f"{metrics[metric]:.4f}" if metric in metrics else "" for metric in METRICS]
            try:
                both = two_ways(Path(scratch) / name) if state == "ok" else ""
            except Exception as error:
                both = str(error).splitlines()[0][:80]
            rows.append([name, family.replace("_", "-"), state.replace("|", "/"), *values, both, f"{seconds:.0f}"])
    good = sum(row[2] == "ok" for row in rows)
    head = ["model", "family", "state", *METRICS, "two ways differ by", "seconds"]
    text = f"""# RecBole's models on impressions

`python -m benchmarks.recbole_models`: each model with RecBole's own settings, one epoch on `{options.dataset}`, and
what it reaches on the test impressions. One epoch ranks no models; the table shows that they run. {good} of {len(rows)}
give finite metrics; the others say why not. Two ways: all items of a user scored at once, or each candidate by itself;
the largest difference of validation scores, as a part of the largest score. Seconds include the start of a process.

{tabulate(rows, head, tablefmt="pipe", disable_numparse=True)}
"""
    (options.output / "recbole-models.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
