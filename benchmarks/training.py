"""How fast each stage trains: the plain way, and ours with its mechanisms one after the other."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.as_published import PlainClickModel, PlainNewsEncoder
from benchmarks.world import (
    BODY,
    HISTORY,
    NEGATIVES,
    NEWS_DIM,
    POST_TITLE,
    QUERY_DIM,
    TEACHERS,
    TITLE,
    World,
    endless,
    trainer,
)
from recbole_tinynews.data.clicks import ClickLoader
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.news_table import tokenize
from recbole_tinynews.data.pairs import PairLoader
from recbole_tinynews.layers import (
    AttentiveUser,
    ClickModel,
    NewsInput,
    NewsMemory,
    NewsSlots,
    TextSource,
    load_tokenizer,
)
from recbole_tinynews.losses import MultiTeacherLoss
from recbole_tinynews.trainer.context import frozen_limits
from recbole_tinynews.trainer.tasks import ClickDistillation, ClickTask, Matching

EPOCHS = 4  # over which what is computed once per stage is spread
PLAIN_BATCH = 8  # of the plain way: 440 titles


class PlainTask(torch.nn.Module):
    """A plain model's loss in the form of a task; with a teacher's loss, stage 2."""

    def __init__(self, model: PlainClickModel, loss: MultiTeacherLoss | None = None) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.tables = torch.randn(TEACHERS, len(model.tokens), NEWS_DIM, device=model.tokens.device) * 0.1

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        scores, vectors, user, slots = self.model(batch)
        labels = batch.labels.to(scores.device)
        if self.loss is None:
            return {"loss": cross_entropy(scores, labels)}
        with torch.no_grad():
            news, clicked = self.tables[:, slots], slots[:, :HISTORY] > 0
            users = torch.stack([self.model.user_encoder(of_one[:, :HISTORY], clicked) for of_one in news])
            teacher_scores = (news[:, :, HISTORY:] @ users.unsqueeze(-1)).squeeze(-1)
        return self.loss(scores, vectors, user, teacher_scores, news, users, labels, slots > 0)


def plain_clicks_per_second(world: World, layers: int, trained: int, stage2: bool) -> float:
    """Train on clicks the plain way."""
    tokens = torch.from_numpy(world.titles.padded(TITLE)).to(world.device)
    model = PlainClickModel(PlainNewsEncoder(world.plm, layers, trained), tokens, HISTORY)
    task = PlainTask(model, MultiTeacherLoss(NEWS_DIM, TEACHERS) if stage2 else None).to(world.device)
    batches = endless(ClickLoader(world.train, NEGATIVES, HISTORY, PLAIN_BATCH, 0))
    return world.rate(trainer(task, lambda batch: len(batch.labels)), batches)


def clicks_per_second(
    world: World,
    layers: int,
    trained: int,
    stage2: bool,
    *,
    group_by_user: bool = False,
    reuse_steps: int = 0,
    frozen: bool = True,
    batch: int = 128,
    history: int = HISTORY,
    compiled: bool = False,
    memory_gb: float | None = None,
) -> tuple[float, float]:
    """Train on clicks our way; what is computed once is spread over the epochs of a stage.

    Returns
    -------
    tuple of float
        Clicks per second, and distinct news per click.
    """
    encoder = world.encoder(layers, trained, memory_gb=memory_gb)
    if compiled:
        encoder.plm.compile_layers()
    source: TextSource = world.source()
    once = 0.0
    loader = ClickLoader(world.train, NEGATIVES, history, batch, 0, group_by_user)
    if frozen and encoder.plm.num_frozen:
        source, seconds = world.frozen(encoder)
        once = seconds / (EPOCHS * loader.num_samples)
    model = ClickModel(encoder, AttentiveUser(NEWS_DIM, QUERY_DIM))
    memory = NewsMemory(len(world.titles), NEWS_DIM, reuse_steps) if reuse_steps else None
    task: ClickTask = ClickTask(model, source, memory)
    if stage2:
        tables = torch.randn(TEACHERS, len(world.titles), NEWS_DIM, device=world.device) * 0.1
        user_encoders = [AttentiveUser(NEWS_DIM, QUERY_DIM) for _ in range(TEACHERS)]
        teachers = [ClickModel(world.encoder(1, 0), users).to(world.device) for users in user_encoders]
        task = ClickDistillation(model, teachers, tables, source, MultiTeacherLoss(NEWS_DIM, TEACHERS), memory)
    step = trainer(task.to(world.device), lambda batch: len(batch.labels))
    # A memory must hold something; else a few small batches do.
    warm = loader.epoch(1) if reuse_steps else ClickLoader(world.train, NEGATIVES, history, 8, 0).epoch(1)
    rate = 1 / (1 / world.rate(step, endless(loader), islice(warm, max(3, reuse_steps // 2))) + once)
    some = [NewsSlots.of(batch_, torch.device("cpu")) for batch_ in islice(loader.epoch(0), 20)]
    return rate, sum(len(slots.news) for slots in some) / sum(len(slots.slots) for slots in some)


class PlainMatching(torch.nn.Module):
    """Post-training the plain way: own title and nine others anew for each body, all padded."""

    def __init__(self, encoder: PlainNewsEncoder, titles: torch.Tensor, bodies: torch.Tensor) -> None:
        super().__init__()
        self.encoder, self.titles, self.bodies = encoder, titles, bodies

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        rows = torch.from_numpy(batch.news)
        shown = torch.cat([rows[:, None], rows[batch.negatives]], dim=1)
        vectors = self.encoder(self.titles[shown.flatten()]).view(*shown.shape, -1)
        scores = (vectors @ self.encoder(self.bodies[rows]).unsqueeze(-1)).squeeze(-1)
        return {"loss": cross_entropy(scores, torch.zeros(len(rows), dtype=torch.int64, device=scores.device))}


def pairs_per_second(world: World) -> tuple[float, float]:
    """Post-train a teacher's last half: the plain way, and ours."""
    tokenizer, pairs = load_tokenizer(world.plm), world.corpus.pairs
    titles = tokenize(world.corpus.titles, tokenizer, POST_TITLE)
    bodies = tokenize(world.corpus.bodies, tokenizer, BODY)
    padded = [torch.from_numpy(t.padded(n)).to(world.device) for t, n in ((titles, POST_TITLE), (bodies, BODY))]
    trained = world.layers // 2
    inputs = [NewsInput.from_tokens(tokens, world.device) for tokens in (titles, bodies)]

    def rate(task: torch.nn.Module, batch: int) -> float:
        step = trainer(task.to(world.device), lambda pairs: len(pairs.news))
        return world.rate(step, endless(PairLoader(pairs, 9, batch, 0)))

    plain = rate(PlainMatching(PlainNewsEncoder(world.plm, world.layers, trained), *padded), 10)
    return plain, rate(Matching(world.encoder(world.layers, trained), *inputs), 32)


def peak_of_training(world: World, valid: ImpressionLog) -> None:
    """Fine-tune for a few steps and validate, with the default limits; what it takes is measured from outside."""
    encoder = world.encoder(world.layers, 2)
    gigabytes = encoder.frozen_bytes(world.source(), world.met()) / 2**30
    in_memory, in_file = frozen_limits({"frozen_cache_gb": None, "frozen_disk_gb": None, "device": world.device})
    source: TextSource = world.source()
    if gigabytes <= max(in_memory, in_file):
        with TemporaryDirectory() as folder:
            source = world.frozen(encoder, None if gigabytes <= in_memory else Path(folder))[0]
    task = ClickTask(ClickModel(encoder, AttentiveUser(NEWS_DIM, QUERY_DIM)).to(world.device), source)
    step = trainer(task, lambda batch: len(batch.labels))
    for batch in islice(ClickLoader(world.train, NEGATIVES, HISTORY, 128, 0).epoch(0), 3):
        step(batch)
    scores = task.student.score_impressions(source, valid, HISTORY)
    assert np.isfinite(scores).all()
