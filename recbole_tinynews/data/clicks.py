"""Clicks to train on, with what was shown beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged, places
from recbole_tinynews.errors import InputError

__all__ = ["ClickBatch", "ClickLoader", "Clicks", "missed"]


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


class Clicks(NamedTuple):
    """The clicks of a log beside which something was shown and not clicked.

    Parameters
    ----------
    places : int ndarray of shape (n,)
        Places of these clicks in ``log.candidates``.
    impressions : int ndarray of shape (n,)
        Their impressions.
    misses : int ndarray of shape (n,)
        How many news of the impression were not clicked.
    """

    places: np.ndarray
    impressions: np.ndarray
    misses: np.ndarray

    @classmethod
    def of(cls, log: ImpressionLog) -> Clicks:
        """Find them.

        Raises
        ------
        InputError
            If there is none.
        """
        clicked = np.flatnonzero(log.labels == 1)
        impressions = log.candidates.rows_of(clicked)
        misses = (log.candidates.lengths - np.bincount(impressions, minlength=len(log)))[impressions]
        kept = misses > 0
        if not kept.any():
            raise InputError("the training impressions hold no click beside which something was shown and not clicked")
        return cls(clicked[kept], impressions[kept], misses[kept])


def missed(log: ImpressionLog, impressions: np.ndarray) -> Ragged:
    """Return what was shown and not clicked in some impressions."""
    shown = log.candidates.take(impressions)
    is_miss = log.labels[places(log.candidates.offsets, impressions)] == 0
    return Ragged.from_lengths(shown.values[is_miss], np.bincount(shown.row_of[is_miss], minlength=len(shown)))


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
        self._log = log  # perhaps mapped from a file: what a batch needs of it is taken with the batch
        self._clicks = Clicks.of(log)
        self.skipped = int(np.count_nonzero(log.labels == 1)) - self.num_samples
        self.num_negatives = num_negatives
        self.history_length = history_length
        self.batch_size = batch_size
        self.seed = seed
        self.group_by_user = group_by_user

    @property
    def num_samples(self) -> int:
        """Clicks in an epoch."""
        return len(self._clicks.places)

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def epoch(self, number: int) -> Iterator[ClickBatch]:
        """Yield the batches of an epoch, the same for the same number."""
        random = np.random.default_rng([self.seed, number])
        drawn = self._draw(random)
        order = random.permutation(self.num_samples)
        if self.group_by_user:
            rank = random.permutation(int(self._log.users.max()) + 1)
            order = order[np.argsort(rank[self._log.users[self._clicks.impressions[order]]], kind="stable")]
        for start in range(0, self.num_samples, self.batch_size):
            rows = order[start : start + self.batch_size]
            impressions = self._clicks.impressions[rows]
            misses = missed(self._log, impressions)
            clicked = self._log.candidates.values[self._clicks.places[rows]]
            negatives = misses.values[misses.offsets[:-1, None] + drawn[rows]]
            yield ClickBatch(
                torch.from_numpy(self._log.history.take(impressions).last(self.history_length).padded()),
                torch.from_numpy(np.concatenate([clicked[:, None], negatives], axis=1).astype(np.int64)),
                torch.zeros(len(rows), dtype=torch.int64),
                torch.from_numpy(self._log.users[impressions].astype(np.int64)),
            )

    def _draw(self, random: np.random.Generator) -> np.ndarray:
        """Which K of the news not clicked beside each click, without replacement where there are enough.

        Floyd's algorithm, for all clicks at once: the j-th draw is from the first n - K + j + 1 news, and one
        drawn before is replaced by the last of these, which cannot have been drawn yet.
        """
        sizes, k = self._clicks.misses, self.num_negatives
        enough = sizes >= k
        drawn = np.empty((len(sizes), k), dtype=np.int32)
        for j in range(k):
            last = np.where(enough, sizes - k + j, sizes - 1)
            pick = random.integers(0, last + 1)
            repeated = enough & (drawn[:, :j] == pick[:, None]).any(axis=1)
            drawn[:, j] = np.where(repeated, last, pick)
        return drawn
