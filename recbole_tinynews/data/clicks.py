"""Clicks to train on, with what was shown beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.errors import InputError

__all__ = ["ClickBatch", "ClickLoader", "clicks_with_misses"]


class ClickBatch(NamedTuple):
    """Clicks with the news that compete with them.

    Parameters
    ----------
    history : int64 Tensor of shape (batch, length)
        Clicked news before; 0 where there is none.
    candidates : int64 Tensor of shape (batch, 1 + K)
        News to choose from.
    labels : int64 Tensor of shape (batch,)
        Position of the clicked one.
    users : int64 Tensor of shape (batch,)
        Who clicked; 0 for a user without an id.
    """

    history: torch.Tensor
    candidates: torch.Tensor
    labels: torch.Tensor
    users: torch.Tensor


def clicks_with_misses(log: ImpressionLog) -> tuple[np.ndarray, Ragged]:
    """Find the clicks beside which something was shown and not clicked.

    Returns
    -------
    int ndarray of shape (n,), Ragged
        Places of these clicks in ``log.candidates``, and what was not clicked in each impression.

    Raises
    ------
    InputError
        If there is none.
    """
    impressions, is_miss = log.candidates.row_of, log.labels == 0
    misses = Ragged.from_lengths(
        log.candidates.values[is_miss], np.bincount(impressions[is_miss], minlength=len(log))
    )
    clicked = np.flatnonzero(log.labels == 1)
    clicked = clicked[misses.lengths[impressions[clicked]] > 0]
    if not len(clicked):
        raise InputError("the training impressions hold no click beside which something was shown and not clicked")
    return clicked, misses


class ClickLoader:
    """Draw each click with K news of the same impression that were not clicked.

    Every epoch draws anew, from the seed and the epoch's number alone. Fewer than K are drawn with
    replacement. An impression in which everything was clicked has no sample.

    Parameters
    ----------
    log : ImpressionLog
        Training impressions, with labels.
    num_negatives : int
        K.
    history_length : int
        Newest clicks kept.
    batch_size : int
        Clicks in a batch.
    seed : int
        Seed of the order and of the drawing.
    group_by_user : bool
        Keep the clicks of a user together, so that they share the encoding of one history; users come in
        random order.

    Attributes
    ----------
    skipped : int
        Clicks left out, for want of a news that was not clicked.
    """

    def __init__(
        self,
        log: ImpressionLog,
        num_negatives: int,
        history_length: int,
        batch_size: int,
        seed: int,
        group_by_user: bool = False,
    ) -> None:
        clicked, self._shown = clicks_with_misses(log)
        self.skipped = int((log.labels == 1).sum()) - len(clicked)
        self._clicked_news = log.candidates.values[clicked].astype(np.int64)
        self._impressions = log.candidates.row_of[clicked]
        self._users = log.users
        self._history = log.history.last(history_length)
        self.num_negatives = num_negatives
        self.batch_size = batch_size
        self.seed = seed
        self.group_by_user = group_by_user

    @property
    def num_samples(self) -> int:
        """Clicks in an epoch."""
        return len(self._clicked_news)

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def epoch(self, number: int) -> Iterator[ClickBatch]:
        """Yield the batches of an epoch, the same for the same number."""
        random = np.random.default_rng([self.seed, number])
        negatives = self._draw_negatives(random)
        order = random.permutation(self.num_samples)
        if self.group_by_user:
            rank = random.permutation(int(self._users.max()) + 1)
            order = order[np.argsort(rank[self._users[self._impressions[order]]], kind="stable")]
        for start in range(0, self.num_samples, self.batch_size):
            rows = order[start : start + self.batch_size]
            candidates = np.concatenate([self._clicked_news[rows, None], negatives[rows]], axis=1)
            yield ClickBatch(
                torch.from_numpy(self._history.take(self._impressions[rows]).padded()),
                torch.from_numpy(candidates),
                torch.zeros(len(rows), dtype=torch.int64),
                torch.from_numpy(self._users[self._impressions[rows]].astype(np.int64)),
            )

    def _draw_negatives(self, random: np.random.Generator) -> np.ndarray:
        """K news not clicked of each click's impression, without replacement where there are enough.

        Floyd's algorithm, for all clicks at once: the j-th draw is from the first n - K + j + 1 news, and one
        drawn before is replaced by the last of these, which cannot have been drawn yet.
        """
        sizes = self._shown.lengths[self._impressions]
        k = self.num_negatives
        enough = sizes >= k
        drawn = np.empty((len(sizes), k), dtype=np.int64)
        for j in range(k):
            last = np.where(enough, sizes - k + j, sizes - 1)
            pick = random.integers(0, last + 1)
            repeated = enough & (drawn[:, :j] == pick[:, None]).any(axis=1)
            drawn[:, j] = np.where(repeated, last, pick)
        return self._shown.values[self._shown.offsets[self._impressions][:, None] + drawn].astype(np.int64)
