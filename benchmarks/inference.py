"""How fast news are encoded and impressions rated, and how close that comes to the machine's limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle, repeat
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.as_published import PlainNewsEncoder, evaluate_in_a_loop
from benchmarks.world import HISTORY, NEWS_DIM, QUERY_DIM, TITLE, World
from recbole_tinynews.evaluator import impression_metrics
from recbole_tinynews.layers import AttentiveUser, ClickModel, load_tokenizer
from recbole_tinynews.serving import NewsRanker


def matrix_peak(world: World) -> float:
    """Floating-point operations per second of the machine's matrix product; the best of several sizes."""
    dtype = torch.bfloat16 if world.precision == "bfloat16" else torch.float32
    best = 0.0
    for rows, inner, columns in ((8192, 384, 1536), (4096, 1536, 1536), (2048, 2048, 2048), (8192, 8192, 8192)):
        if rows * inner * columns > 2**36 and world.device.type == "cpu":
            continue
        a, b = (torch.randn(size, dtype=dtype, device=world.device) for size in ((rows, inner), (columns, inner)))
        torch.nn.functional.linear(a, b)
        world.wait()
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < 1.0:
            torch.nn.functional.linear(a, b)
            count += 1
            if count % 16 == 0:
                world.wait()
        world.wait()
        best = max(best, 2 * rows * inner * columns * count / (time.perf_counter() - started))
    return best


def operations(world: World, lengths: np.ndarray, layers: int) -> float:
    """Useful operations of one pass over texts: products of the layers and of attention, two for each weight."""
    hidden, inner = world.shape.hidden_size, world.shape.intermediate_size
    linear = 2 * layers * (4 * hidden * hidden + 2 * hidden * inner) * lengths.sum()
    attention = 2 * layers * 2 * hidden * np.square(lengths.astype(np.float64)).sum()
    return float(linear + attention)


@torch.no_grad()
def news_per_second(world: World, layers: int) -> tuple[float, float, float]:
    """Encode titles: the plain way, ours, and useful operations per second of ours."""
    rng = np.random.default_rng(0)
    at_once = 256 if world.device.type == "cpu" else 4096
    padded = torch.from_numpy(world.titles.padded(TITLE)).to(world.device)
    plain = PlainNewsEncoder(world.plm, layers, 0).eval().to(world.device)
    ours, source = world.encoder(layers, 0).eval(), world.source()

    def draws(size: int) -> Iterator[np.ndarray]:
        while True:
            yield rng.integers(1, len(padded), size)

    def encode_plain(rows: np.ndarray) -> float:
        plain(padded[torch.from_numpy(rows)])
        return len(rows)

    def encode(rows: np.ndarray) -> float:
        ours(source, rows)
        return len(rows)

    rate = world.rate(encode, draws(8 * at_once))
    useful = operations(world, world.titles.lengths[1:], layers) / (len(padded) - 1)
    return world.rate(encode_plain, draws(at_once)), rate, rate * useful


def impressions_per_second(world: World) -> tuple[float, float]:
    """Rate impressions given news and user vectors: a loop with sklearn, and ours; both must agree."""
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
    return plain, world.rate(lambda _: float(ours() is not None) * len(log), repeat(None))


@torch.no_grad()
def milliseconds_a_call(world: World, layers: int) -> tuple[float, float, float]:
    """Serve one thing a call: a title the plain way, a title, and a user by the vectors of the clicks."""
    plain, tokenizer = PlainNewsEncoder(world.plm, layers, 0).eval().to(world.device), load_tokenizer(world.plm)
    model = ClickModel(world.encoder(layers, 0), AttentiveUser(NEWS_DIM, QUERY_DIM)).eval()
    with TemporaryDirectory() as folder:
        NewsRanker(model, tokenizer, TITLE, HISTORY).save(folder)
        ranker = NewsRanker.load(folder, device=str(world.device))
    clicked = ranker.encode_news(world.corpus.titles[1 : 1 + HISTORY])

    def encode_plain(title: str) -> float:
        tokens = tokenizer(title, truncation=True, max_length=TITLE, padding="max_length", return_tensors="pt")
        plain(tokens["input_ids"].to(world.device)).cpu()
        return 1.0

    def encode(title: str) -> float:
        return float(len(ranker.encode_news([title])))

    def encode_user(_: None) -> float:
        return float(len(ranker.encode_users([clicked])))

    titles = world.corpus.titles[1:1000]
    of_plain, of_ours = (1000 / world.rate(call, cycle(titles)) for call in (encode_plain, encode))
    return of_plain, of_ours, 1000 / world.rate(encode_user, repeat(None))
