"""``python -m benchmarks.quality``: what frozen layers without dropout, other batches and kept vectors do to quality.

A teacher is fine-tuned from the plain encoder, the same but for the mechanism; results go to results/quality.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.world import HISTORY, NEGATIVES, NEWS_DIM, QUERY_DIM, World, add_options, load_world, machine
from recbole_tinynews.data.clicks import ClickLoader
from recbole_tinynews.evaluator import impression_metrics
from recbole_tinynews.layers import AttentiveUser, ClickModel, NewsMemory
from recbole_tinynews.layers.initial import principal_directions, start_from
from recbole_tinynews.trainer.loop import LoopSettings, train
from recbole_tinynews.trainer.tasks import ClickTask

TRAINED = 2
# Dropout in the frozen layers, clicks of a user together, steps for which vectors are kept, clicks in a batch.
WAYS: dict[str, tuple[bool, bool, int, int]] = {
    "everything off: dropout in the frozen layers too, clicks at random": (True, False, 0, 128),
    "defaults: frozen layers once, so without dropout there": (False, False, 0, 128),
    "and a user's clicks in one batch": (False, True, 0, 128),
    "and batches of 512": (False, True, 0, 512),
    "batches of 128, vectors kept for 20 steps (approximate)": (False, True, 20, 128),
}


def fine_tune(
    world: World, frozen_dropout: bool, group_by_user: bool, reuse_steps: int, batch: int, options: argparse.Namespace
) -> tuple[np.ndarray, float]:
    """Train, and return the AUC of each validation impression and the seconds of training."""
    torch.manual_seed(options.seed)
    encoder = world.encoder(world.layers, TRAINED)
    start_from(encoder, principal_directions(encoder, world.source(), np.arange(1, len(world.titles))))
    model = ClickModel(encoder, AttentiveUser(NEWS_DIM, QUERY_DIM)).to(world.device)
    started = time.perf_counter()
    source = world.source()
    if frozen_dropout:
        encoder.plm.num_frozen = 0  # the weights below stay as they are, but every step runs them, with dropout
    else:
        source = encoder.frozen_input(source, np.arange(1, len(world.titles)))
    memory = NewsMemory(len(world.titles), NEWS_DIM, reuse_steps).to(world.device) if reuse_steps else None
    loader = ClickLoader(world.train, NEGATIVES, options.history, batch, options.seed, group_by_user)
    settings = LoopSettings(options.epochs, options.learning_rate, options.learning_rate)
    with tempfile.TemporaryDirectory() as folder:
        train(ClickTask(model, source, memory), loader, settings, Path(folder))
    seconds = time.perf_counter() - started
    scores = model.score_impressions(source, world.valid, options.history)
    offsets = world.valid.candidates.offsets
    return impression_metrics(scores, world.valid.labels, offsets, per_impression=True)["auc"], seconds


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    add_options(parser)
    parser.add_argument("--epochs", type=int, default=1, help="passes over the clicks")
    parser.add_argument("--history", type=int, default=HISTORY, help="newest clicks that make a user")
    parser.add_argument("--learning_rate", type=float, default=5e-5, help="of encoder and the rest")
    parser.add_argument("--seed", type=int, default=2020, help="seed of all that is random")
    options = parser.parse_args()
    rows, reference = [], None
    with tempfile.TemporaryDirectory() as scratch:
        world = load_world(options, Path(scratch))
        for way, mechanisms in WAYS.items():
            auc, seconds = fine_tune(world, *mechanisms, options)
            reference = auc if reference is None else reference
            difference = auc - reference
            error = np.nanstd(difference) / np.sqrt(np.isfinite(difference).sum())
            change = f"{np.nanmean(difference):+.4f} ± {error:.4f}"
            rows.append([way, f"{np.nanmean(auc):.4f}", change, f"{seconds:,.0f}"])
            print(rows[-1], flush=True)
        text = f"""# What the fast ways do to quality

A teacher of {world.layers} layers, fine-tuned from the plain encoder for {options.epochs} epoch(s) on
{len(world.train):,} training impressions of {options.name or f"`{options.dataset}`"} (histories of {options.history},
learning rate {options.learning_rate:g}, seed {options.seed}), and its AUC on {len(world.valid):,} validation
impressions. The change is the mean over impressions, with its standard error, against everything off.
{machine(world)}.

{tabulate(rows, ["how", "AUC", "change", "seconds"], tablefmt="pipe", disable_numparse=True)}
"""
    (options.output / "quality.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
