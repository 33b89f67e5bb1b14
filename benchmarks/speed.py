"""``make bench``: how fast each part is, as a ratio to the plain way with the published code's shapes.

Both are measured in the same run. Results: results/speed.md for people, results/speed.json for programs.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm
from transformers import BertConfig, BertModel

from benchmarks.as_published import PlainClickModel, PlainNewsEncoder, evaluate_in_a_loop
from recbole_tinynews.data.clicks import ClickLoader
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.news_table import NewsTable, tokenize
from recbole_tinynews.data.pairs import PairLoader
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.evaluator import impression_metrics
from recbole_tinynews.layers import ClickModel, NewsEncoder, NewsInput, NewsMemory, load_plm, load_tokenizer
from recbole_tinynews.layers.plm import quiet_transformers
from recbole_tinynews.losses import MultiTeacherLoss
from recbole_tinynews.model.build import choose_precision
from recbole_tinynews.pretrain import train_vocabulary
from recbole_tinynews.trainer.tasks import ClickDistillation, ClickTask, Matching

TITLE, BODY, POST_TITLE, HISTORY, NEGATIVES, NEWS_DIM, QUERY_DIM, TEACHERS = 30, 512, 24, 50, 4, 256, 200, 4
EPOCHS = 4  # over which what is computed once per stage is spread
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}


@dataclass
class World:
    """Everything that is measured on."""

    plm: str
    texts: NewsTable
    corpus: NewsTable
    titles: Ragged
    train: ImpressionLog
    valid: ImpressionLog
    precision: str
    seconds: float

    def encoder(self, layers: int, trained: int, precision: str | None = None) -> NewsEncoder:
        """Build our news encoder."""
        plm = load_plm(self.plm, layers, 0.1)
        plm.freeze(trained)
        return NewsEncoder(plm, NEWS_DIM, QUERY_DIM, precision or self.precision)

    def rate(self, step: Callable[[Any], float], batches: Iterator[Any]) -> float:
        """Units per second: the first step warms up, then as many as fit into the time."""
        step(next(batches))
        units, started = 0.0, time.perf_counter()
        while time.perf_counter() - started < self.seconds:
            units += step(next(batches))
        return units / (time.perf_counter() - started)


def load_world(
    dataset: str, corpus: str | None, data_path: Path, plm: str | None, seconds: float, scratch: Path
) -> World:
    """Read the dataset; without ``plm``, make an encoder of MiniLM's shape with random weights."""
    folder = data_path / dataset
    with open(atomic_file(folder, "news"), encoding="utf-8") as lines:
        next(lines)
        items = {line.split("\t", 1)[0]: row for row, line in enumerate(lines, start=1)}
    texts = NewsTable.load(folder, items)
    if plm is None:
        tokenizer = train_vocabulary([*texts.titles, *texts.bodies], 30_522, BODY)
        tokenizer.save_pretrained(scratch)
        torch.manual_seed(0)
        with quiet_transformers():
            BertModel(BertConfig(vocab_size=30_522, **MINILM)).save_pretrained(scratch)
        plm = str(scratch)
    logs = [ImpressionLog.load(atomic_file(folder, f"{split}.imp"), {}, items) for split in ("train", "valid")]
    titles = tokenize(texts.titles, load_tokenizer(plm), TITLE)
    pairs = texts if corpus is None else NewsTable.load(data_path / corpus)
    return World(plm, texts, pairs, titles, *logs, choose_precision("auto", torch.device("cpu")), seconds)


def matrix_peak(dtype: torch.dtype, seconds: float = 3.0) -> float:
    """Floating-point operations per second of the machine's matrix product; the best of several sizes."""
    best = 0.0
    for rows, inner, columns in ((8192, 384, 1536), (4096, 1536, 1536), (2048, 2048, 2048)):
        a, b = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
        torch.nn.functional.linear(a, b)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds / 3:
            torch.nn.functional.linear(a, b)
            count += 1
        best = max(best, 2 * rows * inner * columns * count / (time.perf_counter() - started))
    return best


def operations(world: World, lengths: np.ndarray, layers: int) -> float:
    """Useful operations of one pass over texts: products of the layers and of attention, two for each weight."""
    config = load_plm(world.plm).model.config
    hidden, inner = config.hidden_size, config.intermediate_size
    linear = 2 * layers * (4 * hidden * hidden + 2 * hidden * inner) * lengths.sum()
    attention = 2 * layers * 2 * hidden * np.square(lengths.astype(np.float64)).sum()
    return float(linear + attention)


def endless(loader: ClickLoader | PairLoader) -> Iterator[Any]:
    """Batches of one epoch after the other."""
    epoch = 0
    while True:
        yield from loader.epoch(epoch)
        epoch += 1


def trainer(task: torch.nn.Module, units: Callable[[Any], int]) -> Callable[[Any], float]:
    """One optimizer step on a batch."""
    optimizer = torch.optim.Adam([p for p in task.parameters() if p.requires_grad], 1e-6, amsgrad=True, fused=True)
    task.train()

    def step(batch: Any) -> float:
        loss = task(batch)["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return units(batch)

    return step


class PlainTask(torch.nn.Module):
    """A plain model's loss in the form of a task; with a teacher's loss, stage 2."""

    def __init__(self, model: PlainClickModel, loss: MultiTeacherLoss | None = None) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.tables = torch.randn(TEACHERS, len(model.tokens), NEWS_DIM) * 0.1

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        scores, vectors, user, slots = self.model(batch)
        if self.loss is None:
            return {"loss": cross_entropy(scores, batch.labels)}
        with torch.no_grad():
            news, clicked = self.tables[:, slots], slots[:, :HISTORY] > 0
            users = torch.stack([self.model.user_encoder(of_one[:, :HISTORY], clicked) for of_one in news])
            teacher_scores = (news[:, :, HISTORY:] @ users.unsqueeze(-1)).squeeze(-1)
        return self.loss(scores, vectors, user, teacher_scores, news, users, batch.labels, slots > 0)


def clicks_per_second(world: World, layers: int, trained: int, stage2: bool, **switches: Any) -> float:
    """Train on clicks our way; what is computed once is spread over the epochs of a stage."""
    options = {"group_by_user": False, "reuse_steps": 0, "frozen": True, "batch": 128} | switches
    encoder = world.encoder(layers, trained)
    source, once = NewsInput.from_tokens(world.titles), 0.0
    loader = ClickLoader(world.train, NEGATIVES, HISTORY, options["batch"], 0, options["group_by_user"])
    if options["frozen"] and encoder.plm.num_frozen:
        logs = (world.train.history.values, world.train.candidates.values)
        started = time.perf_counter()
        source = encoder.eval().frozen_input(source, np.unique(np.concatenate(logs)))
        once = (time.perf_counter() - started) / (EPOCHS * loader.num_samples)
    model = ClickModel(encoder, NEWS_DIM, QUERY_DIM)
    memory = NewsMemory(len(world.titles), NEWS_DIM, options["reuse_steps"]) if options["reuse_steps"] else None
    task: ClickTask = ClickTask(model, source, memory)
    if stage2:
        tables = torch.randn(TEACHERS, len(world.titles), NEWS_DIM) * 0.1
        teachers = [ClickModel(world.encoder(1, 0), NEWS_DIM, QUERY_DIM) for _ in range(TEACHERS)]
        task = ClickDistillation(model, teachers, tables, source, MultiTeacherLoss(NEWS_DIM, TEACHERS), memory)
    batches = endless(loader)
    step = trainer(task, lambda batch: len(batch.labels))
    for batch in islice(batches, options["reuse_steps"] // 2):  # a memory that holds something
        step(batch)
    return 1 / (1 / world.rate(step, batches) + once)


def plain_clicks_per_second(world: World, layers: int, trained: int, stage2: bool) -> float:
    """Train on clicks the plain way."""
    tokens = torch.from_numpy(world.titles.padded(TITLE))
    model = PlainClickModel(PlainNewsEncoder(world.plm, layers, trained), tokens, HISTORY)
    task = PlainTask(model, MultiTeacherLoss(NEWS_DIM, TEACHERS) if stage2 else None)
    batches = endless(ClickLoader(world.train, NEGATIVES, HISTORY, 8, 0))
    return world.rate(trainer(task, lambda batch: len(batch.labels)), batches)


def pairs_per_second(world: World) -> tuple[float, float]:
    """Post-train: the plain way (own title and nine others anew for each body, all padded), and ours."""
    tokenizer = load_tokenizer(world.plm)
    titles = tokenize(world.corpus.titles, tokenizer, POST_TITLE)
    bodies = tokenize(world.corpus.bodies, tokenizer, BODY)
    encoder, pairs = PlainNewsEncoder(world.plm, 6, 3), world.corpus.pairs
    padded_titles, padded_bodies = (torch.from_numpy(t.padded(n)) for t, n in ((titles, POST_TITLE), (bodies, BODY)))

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, batch: Any) -> dict[str, torch.Tensor]:
            rows = torch.from_numpy(batch.news)
            shown = torch.cat([rows[:, None], rows[batch.negatives]], dim=1)
            vectors = self.encoder(padded_titles[shown.flatten()]).view(*shown.shape, -1)
            scores = (vectors @ self.encoder(padded_bodies[rows]).unsqueeze(-1)).squeeze(-1)
            return {"loss": cross_entropy(scores, torch.zeros(len(rows), dtype=torch.int64))}

    plain = world.rate(trainer(Plain(), lambda b: len(b.news)), endless(PairLoader(pairs, 9, 10, 0)))
    task = Matching(world.encoder(6, 3), NewsInput.from_tokens(titles), NewsInput.from_tokens(bodies))
    return plain, world.rate(trainer(task, lambda b: len(b.news)), endless(PairLoader(pairs, 9, 32, 0)))


@torch.no_grad()
def news_per_second(world: World, layers: int) -> tuple[float, float, float]:
    """Encode titles: the plain way, ours, and useful operations per second of ours."""
    rng = np.random.default_rng(0)
    padded = torch.from_numpy(world.titles.padded(TITLE))
    plain = PlainNewsEncoder(world.plm, layers, 0).eval()
    ours, source = world.encoder(layers, 0).eval(), NewsInput.from_tokens(world.titles)

    def draws(size: int) -> Iterator[np.ndarray]:
        while True:
            yield rng.integers(1, len(padded), size)

    def encode_plain(rows: np.ndarray) -> float:
        plain(padded[torch.from_numpy(rows)])
        return len(rows)

    def encode(rows: np.ndarray) -> float:
        ours(source, rows)
        return len(rows)

    rate = world.rate(encode, draws(2048))
    useful = operations(world, world.titles.lengths[1:], layers) / (len(padded) - 1)
    return world.rate(encode_plain, draws(256)), rate, rate * useful


def impressions_per_second(world: World) -> tuple[float, float]:
    """Rate impressions given news vectors: a loop with sklearn, and ours; both must agree."""
    rng = np.random.default_rng(0)
    news = rng.normal(size=(len(world.titles), NEWS_DIM)).astype(np.float32)
    users = rng.normal(size=(len(world.valid), NEWS_DIM)).astype(np.float32)
    log, shown = world.valid, world.valid.candidates

    def ours() -> dict[str, float]:
        scores = np.einsum("cd,cd->c", news[shown.values], users[shown.row_of])
        return impression_metrics(scores, log.labels, shown.offsets)

    started = time.perf_counter()
    expected = evaluate_in_a_loop(users, news, log)
    plain = len(log) / (time.perf_counter() - started)
    assert all(np.isclose(ours()[name], value, atol=1e-6) for name, value in expected.items())
    return plain, world.rate(lambda _: float(ours() is not None) * len(log), iter(int, 1))


def measure(world: World) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """Measure everything; the figures, and the switches one by one."""
    figures: list[dict[str, Any]] = []
    bar = tqdm(total=15, desc="measuring")

    def figure(name: str, unit: str, plain: float | None, now: float) -> None:
        ratio = None if plain is None else now / plain
        figures.append({"name": name, "unit": unit, "as_published": plain, "now": now, "ratio": ratio})
        bar.update()

    ways: list[tuple[str, dict[str, Any]]] = [
        ("every frozen layer in every step", {"frozen": False}),
        ("defaults: distinct news, no padding, frozen layers once", {}),
        ("and a user's clicks in one batch", {"group_by_user": True}),
        ("and batches of 512", {"group_by_user": True, "batch": 512}),
        ("and vectors kept for 20 steps (approximate)", {"group_by_user": True, "batch": 512, "reuse_steps": 20}),
    ]
    switches: list[list[Any]] = []
    for name, layers, stage2 in (("finetune", 6, False), ("stage2", 2, True)):
        plain = plain_clicks_per_second(world, layers, 2, stage2)
        for way, options in ways if not stage2 else ways[1:]:
            now = clicks_per_second(world, layers, 2, stage2, **options)
            switches.append([name, way, now, now / plain])
            if not options:
                figure(name, "clicks/s", plain, now)
            else:
                bar.update()
    figure("post_train", "pairs/s", *pairs_per_second(world))
    peak = matrix_peak(torch.bfloat16 if world.precision == "bfloat16" else torch.float32)
    for layers in (6, 2, 1):
        plain, now, useful = news_per_second(world, layers)
        figure("encode" if layers == 6 else f"encode_{layers}", "news/s", plain, now)
        if layers == 6:
            figure("peak_share", "share", None, useful / peak)
    figure("evaluate", "impressions/s", *impressions_per_second(world))
    bar.close()
    return figures, switches


def report(world: World, dataset: str, figures: list[dict[str, Any]], switches: list[list[Any]]) -> str:
    """Write it down for people."""
    rows = [
        [
            f["name"],
            f["unit"],
            *("-" if f[key] is None else f"{f[key]:,.3g}" for key in ("as_published", "now", "ratio")),
        ]
        for f in figures
    ]
    steps = [[stage, way, f"{now:,.3g}", f"{ratio:.1f}"] for stage, way, now, ratio in switches]
    machine = f"{platform.machine()}, {torch.get_num_threads()} cores, {torch.backends.cpu.get_cpu_capability()}"
    return f"""# Speed

`make bench` on {dataset}: {machine}, torch {torch.__version__}, {world.precision}; encoder of 6 layers,
{len(world.titles) - 1:,} news with {world.titles.lengths[1:].mean():.1f} tokens a title,
{len(world.train):,} training impressions. `as published` is this package's plain way with the published code's
shapes ({TITLE} tokens a title, {HISTORY} clicks, nothing shared, float32), measured in the same run, as is the peak.
News are encoded titles; `peak_share` is the share of the peak that useful operations reach in encoding at 6 layers.

{tabulate(rows, ["what", "unit", "as published", "now", "ratio"], tablefmt="pipe", disable_numparse=True)}

Training on clicks, step by step ({NEGATIVES} negatives; what is computed once is spread over {EPOCHS} epochs):

{tabulate(steps, ["stage", "how", "clicks/s", "ratio"], tablefmt="pipe", disable_numparse=True)}
"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--dataset", default="demo", help="a dataset with impressions and texts")
    parser.add_argument("--corpus", help="a dataset whose titles and bodies are matched; default: the same")
    parser.add_argument("--data_path", type=Path, default=Path("dataset"), help="folder of all datasets")
    parser.add_argument("--plm", help="folder of an encoder with six layers; default: MiniLM's shape, random weights")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each figure")
    parser.add_argument("--name", help="how the dataset is called in the report; default: its name")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of speed.md and speed.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        world = load_world(
            options.dataset, options.corpus, options.data_path, options.plm, options.seconds, Path(scratch)
        )
        figures, switches = measure(world)
    text = report(world, options.name or f"`{options.dataset}`", figures, switches)
    (options.output / "speed.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (options.output / "speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
