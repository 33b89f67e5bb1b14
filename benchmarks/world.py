"""What is measured on: a dataset, an encoder, and the ways to train on them."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, BertConfig, BertModel, PretrainedConfig

from recbole_tinynews.allocator import keep_freed_memory
from recbole_tinynews.data.clicks import ClickLoader
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.news_table import NewsTable, tokenize
from recbole_tinynews.data.pairs import PairLoader
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.layers import FrozenStates, NewsEncoder, NewsInput, TextSource, load_plm, load_tokenizer
from recbole_tinynews.layers.loading import quiet_transformers
from recbole_tinynews.model.build import choose_precision
from recbole_tinynews.pretrain import train_vocabulary

TITLE, BODY, POST_TITLE, HISTORY, NEGATIVES, NEWS_DIM, QUERY_DIM, TEACHERS = 30, 512, 24, 50, 4, 256, 200, 4
_STEPS = 3  # that a figure is the median of, at least
SHAPES: dict[str, dict[str, int]] = {
    "minilm": {
        "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536
    },
    "bert": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Everything that is measured on.

    Parameters
    ----------
    plm : str
        Folder of the encoder.
    corpus : NewsTable
        What is matched in post-training.
    titles : Ragged
        Tokens of the dataset's titles.
    train, valid : ImpressionLog
        Impressions.
    device : torch.device
        Where it is measured.
    seconds : float
        Time for each figure.
    """

    plm: str
    corpus: NewsTable
    titles: Ragged
    train: ImpressionLog
    valid: ImpressionLog
    device: torch.device
    seconds: float

    @property
    def precision(self) -> str:
        """What ``precision: auto`` means here."""
        return choose_precision("auto", self.device)

    @cached_property
    def shape(self) -> PretrainedConfig:
        """Sizes of the encoder."""
        return AutoConfig.from_pretrained(self.plm)

    @property
    def layers(self) -> int:
        """Depth of the encoder, and of the teachers."""
        return self.shape.num_hidden_layers

    def encoder(self, layers: int, trained: int, **more: Any) -> NewsEncoder:
        """Build our news encoder."""
        plm = load_plm(self.plm, layers, 0.1)
        plm.freeze(trained)
        return NewsEncoder(plm, NEWS_DIM, QUERY_DIM, **{"precision": self.precision} | more).to(self.device)

    def source(self) -> NewsInput:
        """Titles of all news."""
        return NewsInput.from_tokens(self.titles, self.device)

    def met(self) -> np.ndarray:
        """News that training and validation meet."""
        logs = self.train, self.valid
        return np.unique(np.concatenate([part.values for log in logs for part in (log.history, log.candidates)]))

    def frozen(self, encoder: NewsEncoder, folder: Path | None = None) -> tuple[FrozenStates, float]:
        """States below the trained layers, in memory or in a file, and the seconds that computing them takes.

        Only some are computed, and the seconds scaled; the rest is random, which makes no difference to speed.
        """
        source, met = self.source(), self.met()
        some = np.random.default_rng(0).permutation(met)[:1000]
        few = encoder.frozen_input(source, some)
        _, first, again = (self._seconds_to_read(encoder, texts, some) for texts in (source, few, few))
        seconds = (first - again) * source.lengths[met].sum() / source.lengths[some].sum()
        states = encoder.frozen_input(source, met, folder)
        for part in np.array_split(met, 100):
            size = int(source.lengths[part].sum()), encoder.plm.hidden_size
            states.put(part, torch.randn(size, dtype=encoder.state_dtype, device=self.device))
        return states, seconds

    @torch.no_grad()
    def _seconds_to_read(self, encoder: NewsEncoder, texts: TextSource, rows: np.ndarray) -> float:
        started = time.perf_counter()
        encoder.eval()(texts, rows)
        self.wait()
        return time.perf_counter() - started

    def rate(self, step: Callable[[Any], float], batches: Iterator[Any], warm: Iterator[Any] | None = None) -> float:
        """Units per second of the median step: some warm up, then as many as fit into the time, but three at least."""
        for batch in islice(batches, 1) if warm is None else warm:
            step(batch)
        self.wait()
        rates: list[float] = []
        end = time.perf_counter() + self.seconds
        while len(rates) < _STEPS or time.perf_counter() < end:
            started = time.perf_counter()
            units = step(next(batches))
            self.wait()
            rates.append(units / (time.perf_counter() - started))
        return median(rates)

    def wait(self) -> None:
        """Let the device finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def times(self, copies: int) -> World:
        """Return this world beside copies of it: logs and catalogue are so many times as large."""
        news = len(self.titles) - 1
        titles = Ragged.from_lengths(
            np.concatenate([self.titles[0], *[self.titles.values[self.titles.offsets[1] :]] * copies]),
            np.append(self.titles.lengths[:1], np.tile(self.titles.lengths[1:], copies)),
        )

        def repeated(log: ImpressionLog) -> ImpressionLog:
            def shifted(rows: Ragged) -> Ragged:
                values = [rows.values + copy * news for copy in range(copies)]
                return Ragged.from_lengths(np.concatenate(values), np.tile(rows.lengths, copies))

            users = [log.users + copy * (int(log.users.max()) + 1) for copy in range(copies)]
            return ImpressionLog(
                np.tile(log.impression_ids, copies), np.concatenate(users), np.tile(log.times, copies),
                shifted(log.history), shifted(log.candidates), np.tile(log.labels, copies),
            )  # fmt: skip

        return replace(self, titles=titles, train=repeated(self.train), valid=repeated(self.valid))


def add_options(parser: ArgumentParser) -> None:
    """Options that say what is measured on."""
    parser.add_argument("--dataset", default="demo", help="a dataset with impressions and texts")
    parser.add_argument("--corpus", help="a dataset whose titles and bodies are matched; default: the same")
    parser.add_argument("--data_path", type=Path, default=Path("dataset"), help="folder of all datasets")
    parser.add_argument("--plm", help="folder of an encoder; default: random weights in the form of --shape")
    parser.add_argument("--shape", choices=SHAPES, default="minilm", help="form of the encoder with random weights")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each figure")
    parser.add_argument("--name", help="how the dataset is called in the report; default: its name")
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of the report")


def load_world(options: Namespace, scratch: Path) -> World:
    """Read the dataset; without ``--plm``, make an encoder with random weights in the folder ``scratch``."""
    folder = options.data_path / options.dataset
    with open(atomic_file(folder, "news"), encoding="utf-8") as lines:
        next(lines)
        items = {line.split("\t", 1)[0]: row for row, line in enumerate(lines, start=1)}
    texts = NewsTable.load(folder, items)
    plm = options.plm or _random_plm(texts, SHAPES[options.shape], scratch)
    users: dict[str, int] = {}
    logs = []
    for split in ("train", "valid"):
        path = atomic_file(folder, f"{split}.imp")
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                users.setdefault(line.split("\t", 2)[1], len(users))
        logs.append(ImpressionLog.load(path, users, items))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    return World(
        plm=plm,
        corpus=texts if options.corpus is None else NewsTable.load(options.data_path / options.corpus),
        titles=tokenize(texts.titles, load_tokenizer(plm), TITLE),
        train=logs[0],
        valid=logs[1],
        device=device,
        seconds=options.seconds,
    )


def _random_plm(texts: NewsTable, shape: dict[str, int], folder: Path) -> str:
    tokenizer = train_vocabulary([*texts.titles, *texts.bodies], 30_522, BODY)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    with quiet_transformers():
        BertModel(BertConfig(vocab_size=30_522, **shape)).save_pretrained(folder)
    return str(folder)


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


def machine(world: World) -> str:
    """Say what was measured on."""
    if world.device.type == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {world.precision}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{torch.get_num_threads()} CPU cores, {capability}, torch {torch.__version__}, {world.precision}"
