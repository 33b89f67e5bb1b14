"""Titles with their bodies, to train matching on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from recbole_tinynews.errors import InputError

__all__ = ["PairBatch", "PairLoader"]


class PairBatch(NamedTuple):
    """Some news of a corpus.

    Parameters
    ----------
    news : int64 ndarray of shape (batch,)
        Rows of the corpus.
    negatives : int64 Tensor of shape (batch, N)
        Positions in the batch of the titles that each body is compared with beside its own.
    """

    news: np.ndarray
    negatives: torch.Tensor


class PairLoader:
    """Draw title-body pairs in random order, each body with N other titles.

    The other titles are drawn from those of the batch, without replacement: the batch itself is a random
    sample of the corpus, so that each of them is a random news, and no title is encoded but once. A batch
    too small for N has as many as there are.

    Parameters
    ----------
    news : int ndarray of shape (pairs,)
        Rows of the corpus that have both texts.
    num_negatives : int
        N.
    batch_size : int
        Pairs in a batch.
    seed : int
        Seed of the order and of the drawing.
    """

    def __init__(self, news: np.ndarray, num_negatives: int, batch_size: int, seed: int) -> None:
        if batch_size < 2:
            raise InputError(f"train_batch_size must be at least 2 for matching, not {batch_size}")
        self.news = news
        self.num_negatives = num_negatives
        self.batch_size = batch_size
        self.seed = seed

    def __len__(self) -> int:
        full, rest = divmod(len(self.news), self.batch_size)
        return full + (rest > 1)  # a single pair has nothing to be compared with

    def epoch(self, number: int) -> Iterator[PairBatch]:
        """Yield the batches of an epoch, the same for the same number."""
        random = np.random.default_rng([self.seed, number])
        order = random.permutation(self.news)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            size = len(batch)
            # Steps of 1 .. size-1 around the batch never meet the own title.
            steps = random.permuted(np.tile(np.arange(1, size), (size, 1)), axis=1)[:, : self.num_negatives]
            yield PairBatch(batch, torch.from_numpy((np.arange(size)[:, None] + steps) % size))
