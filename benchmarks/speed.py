"""``make bench``: how fast each part is, as a ratio to the plain way with the published code's shapes.

Both are measured in the same run. Results: speed.md for people, speed.json for programs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tabulate import tabulate
from tqdm.auto import tqdm

from benchmarks.inference import impressions_per_second, matrix_peak, milliseconds_a_call, news_per_second
from benchmarks.training import EPOCHS, clicks_per_second, pairs_per_second, peak_of_training, plain_clicks_per_second
from benchmarks.world import HISTORY, NEGATIVES, TITLE, World, add_options, load_world, machine

GROUPED, LARGE = {"group_by_user": True}, {"group_by_user": True, "batch": 512}
# Mechanisms, switched on one after the other, and what else may be switched.
WAYS: dict[str, dict[str, Any]] = {
    "distinct news, no padding": {"frozen": False},
    "the defaults: and frozen layers once": {},
    "and a user's clicks in one batch": GROUPED,
    "and batches of 512": LARGE,
    "the same, compiled": LARGE | {"compiled": True},
    "the same, backward pass within 1 GB": LARGE | {"memory_gb": 1.0},
    "batches of 128, vectors kept for 20 steps (approximate)": GROUPED | {"reuse_steps": 20},
}
NOW = "and batches of 512"
STUDENT = 2
GROWTH: dict[str, tuple[str, tuple[int, ...]]] = {
    "batch": ("clicks in a batch", (32, 128, 512)),
    "history": ("clicks in a history", (10, 25, 50)),
    "copies": ("copies of catalogue and log", (1, 3, 10)),
}


class Tables(NamedTuple):
    """All that was measured."""

    figures: list[dict[str, Any]]
    switches: list[list[str]]
    serving: list[list[str]]
    growth: list[list[str]]
    peaks: list[float]  # GB, with the data once and ten times


def measure(world: World, arguments: list[str]) -> Tables:
    """Measure everything."""
    tables = Tables([], [], [], [], [])
    bar = tqdm(desc="measuring", unit=" figures")

    def figure(name: str, unit: str, plain: float | None, now: float) -> None:
        ratio = None if plain is None else now / plain
        tables.figures.append({"name": name, "unit": unit, "as_published": plain, "now": now, "ratio": ratio})
        bar.update()

    for name, layers, stage2 in (("finetune", world.layers, False), ("stage2", STUDENT, True)):
        plain = plain_clicks_per_second(world, layers, 2, stage2)
        for way, options in WAYS.items():
            if stage2 and not options.get("frozen", True):
                continue  # the student has no frozen layer
            now, news = clicks_per_second(world, layers, 2, stage2, **options)
            tables.switches.append([name, way, f"{news:.1f}", f"{now:,.3g}", f"{now / plain:.1f}"])
            bar.update()
            if way == NOW:
                figure(name, "clicks/s", plain, now)
    figure("post_train", "pairs/s", *pairs_per_second(world))
    peak = matrix_peak(world)
    for layers in sorted({world.layers, 4, 2, 1}, reverse=True):
        plain, now, useful = news_per_second(world, layers)
        figure("encode" if layers == world.layers else f"encode_{layers}", "news/s", plain, now)
        if layers == world.layers:
            figure("peak_share", "share", None, useful / peak)
        calls = milliseconds_a_call(world, layers)
        tables.serving.append([str(layers), *(f"{milliseconds:.2f}" for milliseconds in calls)])
        bar.update()
    figure("evaluate", "impressions/s", *impressions_per_second(world))
    for key, (what, values) in GROWTH.items():
        for value in values:
            larger = world.times(value) if key == "copies" else world
            now, news = clicks_per_second(larger, world.layers, 2, False, **{} if key == "copies" else {key: value})
            tables.growth.append([what, f"{value:,}", f"{news:.1f}", f"{now:,.3g}"])
            bar.update()
    tables.peaks.extend(_peak(arguments, copies) for copies in (1, 10))
    figure("memory_growth", "ratio", None, tables.peaks[1] / tables.peaks[0])
    bar.close()
    return tables


def _peak(arguments: list[str], copies: int) -> float:
    """Peak memory of a process that trains on this many copies of log and catalogue, in GB."""
    command = [sys.executable, "-m", "benchmarks.speed", *arguments, f"--peak={copies}"]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])


def report(world: World, dataset: str, tables: Tables) -> str:
    """Write it down for people."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:,.3g}"

    columns = ("as_published", "now", "ratio")
    rows = [[f["name"], f["unit"], *(number(f[key]) for key in columns)] for f in tables.figures]
    titles = f"{len(world.titles) - 1:,} news with {world.titles.lengths[1:].mean():.1f} tokens a title"

    def table(rows: list[list[str]], *head: str) -> str:
        return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)

    return f"""# Speed

`make bench` on {dataset}: {machine(world)}; encoder of {world.layers} layers, {titles},
{len(world.train):,} training impressions. `as published` is this package's plain way with the published code's shapes
({TITLE} tokens a title, {HISTORY} clicks, nothing shared, float32), measured in the same run, as is the peak of matrix
products. `now` is with a user's clicks together and 512 clicks in a batch (not the defaults, see below);
`encode` is at {world.layers} layers, `peak_share` what its useful operations reach of the peak; `evaluate` is
metrics from given vectors, against a loop with sklearn. Training: two trained layers, {NEGATIVES} negatives,
`stage2` with a student of {STUDENT} layers; what is computed once is spread over {EPOCHS} epochs. A figure is the
median of the steps of {world.seconds:g} s, but of three at least; settings that stand in two tables show how far two
measurements differ.

{table(rows, "what", "unit", "as published", "now", "ratio")}

One mechanism after the other:

{table(tables.switches, "stage", "how", "distinct news a click", "clicks/s", "ratio")}

In use, with one thing a call, on all cores: milliseconds for a title, tokenizer included, and for a user by the vectors
of {HISTORY} clicked news.

{table(tables.serving, "layers", "a title, as published", "a title", "a user")}

How fine-tuning grows, with the defaults otherwise (128 clicks at random, histories of {HISTORY}):

{table(tables.growth, "what", "value", "distinct news a click", "clicks/s")}

Peak memory of fine-tuning, 128 clicks in a batch, and of scoring {len(world.valid):,} impressions, with the default
`frozen_cache_gb`: {tables.peaks[0]:.2f} GB; with the training log and the catalogue ten times as large:
{tables.peaks[1]:.2f} GB.
"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    add_options(parser)
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)  # measure memory with so many copies of the data
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        world = load_world(options, Path(scratch))
        if options.peak:
            peak_of_training(world.times(options.peak), world.valid)
            on_gpu = world.device.type == "cuda"
            used = torch.cuda.max_memory_allocated() if on_gpu else _resident()
            print(used / 1e9)
            return
        tables = measure(world, [*sys.argv[1:], f"--plm={world.plm}"])
    text = report(world, options.name or f"`{options.dataset}`", tables)
    (options.output / "speed.json").write_text(json.dumps(tables.figures, indent=1) + "\n", encoding="utf-8")
    (options.output / "speed.md").write_text(text, encoding="utf-8")
    print(text)


def _resident() -> int:
    """Peak of this process alone; what getrusage says begins with the parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main()
