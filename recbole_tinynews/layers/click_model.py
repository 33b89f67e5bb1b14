"""News encoder, user encoder and their dot product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged, chunks
from recbole_tinynews.layers.news_input import TextSource
from recbole_tinynews.layers.user_encoder import UserEncoder
from recbole_tinynews.layers.word_encoder import WordInput

__all__ = ["ClickModel", "ClickScores", "NewsSlots", "NewsSource"]

_IMPRESSIONS_AT_ONCE = 1024
_NEWS_AT_ONCE = 2**15  # more take memory for what lies between tokens and vectors
_HISTORIES_AT_ONCE = 2**15  # among which none is encoded twice


NewsSource = TextSource | WordInput  # all news of a dataset, as their encoder reads them


class NewsSlots(NamedTuple):
    """Which news a batch holds, and where.

    Parameters
    ----------
    news : int ndarray of shape (distinct,)
        Distinct news, without padding.
    slots : int64 Tensor of shape (batch, history + candidates)
        Position in ``news`` plus 1; 0 where there is no news.
    num_candidates : int
        Slots at the end that are candidates.
    users : int64 Tensor of shape (batch,)
        Whose clicks these are; 0 for a user without an id.
    """

    news: np.ndarray
    slots: torch.Tensor
    num_candidates: int
    users: torch.Tensor

    @classmethod
    def of(cls, batch: ClickBatch, device: torch.device) -> NewsSlots:
        """Find the distinct news of a batch."""
        ids = torch.cat([batch.history, batch.candidates], dim=1).numpy()
        news, position = np.unique(np.append(ids, 0), return_inverse=True)  # 0 comes first, hence the shift by 1
        slots = torch.from_numpy(position[:-1].reshape(ids.shape)).to(device)
        return cls(news[1:], slots, batch.candidates.shape[1], batch.users.to(device))

    def counts(self, rows: np.ndarray) -> torch.Tensor:
        """In how many slots some of the news stand, float Tensor of shape (len(rows),)."""
        counts = torch.bincount(self.slots.flatten(), minlength=len(self.news) + 1)
        return counts[torch.from_numpy(np.searchsorted(self.news, rows) + 1).to(counts.device)].float()


class ClickScores(NamedTuple):
    """What a model says about a batch of clicks.

    Parameters
    ----------
    scores : Tensor of shape (batch, candidates)
        Dot products of user and candidate news.
    news : Tensor of shape (1 + distinct, news_dim)
        Vectors of the distinct news; row 0 is padding and zero.
    user : Tensor of shape (batch, news_dim)
        User vectors.
    """

    scores: torch.Tensor
    news: torch.Tensor
    user: torch.Tensor


class ClickModel(nn.Module):
    """Score candidates for a user by the text of what both are about (paper, section 3.1).

    Parameters
    ----------
    news_encoder : NewsEncoder or WordEncoder
        From a :class:`NewsSource` and n rows of it to vectors of shape (n, news_dim).
    user_encoder : UserEncoder
        From the vectors of clicked news to a user's.
    """

    news_encoder: Any

    def __init__(self, news_encoder: nn.Module, user_encoder: UserEncoder) -> None:
        super().__init__()
        self.news_encoder = news_encoder
        self.user_encoder = user_encoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, source: NewsSource, slots: NewsSlots) -> ClickScores:
        """Score a batch; each distinct news is encoded once."""
        return self.score(self.news_encoder(source, slots.news), slots)

    def score(self, vectors: torch.Tensor, slots: NewsSlots) -> ClickScores:
        """Score a batch whose distinct news have been encoded, ``vectors`` of shape (distinct, news_dim)."""
        table = torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])
        # embedding() instead of indexing: its backward pass is far faster on a CPU.
        history = slots.slots[:, : -slots.num_candidates]
        user = self.user_encoder(embedding(history, table), history > 0, slots.users)
        candidates = embedding(slots.slots[:, -slots.num_candidates :], table)
        return ClickScores((candidates @ user.unsqueeze(-1)).squeeze(-1), table, user)

    @torch.no_grad()
    def encode_news(self, source: NewsSource, rows: np.ndarray) -> torch.Tensor:
        """Encode news for use, not for training, shape (len(rows), news_dim)."""
        with self._evaluating():
            return self.news_encoder(source, rows)

    def news_table(self, source: NewsSource, rows: np.ndarray) -> torch.Tensor:
        """Encode news for use, as rows of a table of all news, shape (news, news_dim); the others are zero."""
        table = next(self.parameters()).new_zeros(source.num_news, self.news_encoder.news_dim)
        for start, stop in chunks(len(rows), _NEWS_AT_ONCE):
            some = rows[start:stop]
            table[torch.from_numpy(some)] = self.encode_news(source, some)
        return table

    @torch.no_grad()
    def encode_users(self, vectors: torch.Tensor, history: Ragged, users: np.ndarray) -> torch.Tensor:
        """Encode users from a table of news vectors (row 0 is padding), shape (len(history), news_dim)."""
        parts = [vectors.new_empty(0, vectors.shape[1])]
        with self._evaluating():
            for start, stop in chunks(len(history), _IMPRESSIONS_AT_ONCE):
                clicks = torch.from_numpy(history.take(np.arange(start, stop)).padded()).to(vectors.device)
                ids = torch.from_numpy(users[start:stop].astype(np.int64)).to(vectors.device)
                parts.append(self.user_encoder(embedding(clicks, vectors), clicks > 0, ids))
        return torch.cat(parts)

    def score_impressions(self, source: NewsSource, log: ImpressionLog, history_length: int) -> np.ndarray:
        """Score all candidates of all impressions; each news is encoded once.

        Returns
        -------
        float64 ndarray of shape (candidates,)
            Aligned with ``log.candidates.values``.
        """
        met = np.zeros(source.num_news, dtype=bool)
        for rows in _blocks(log):
            met[log.history.take(rows).last(history_length).values] = True
            met[log.candidates.take(rows).values] = True
        return self.score_encoded(self.news_table(source, np.flatnonzero(met)), log, history_length)

    @torch.no_grad()
    def score_encoded(self, vectors: torch.Tensor, log: ImpressionLog, history_length: int) -> np.ndarray:
        """Score all candidates of all impressions from a table of news vectors (row 0 is padding).

        Each distinct history among some ten thousand impressions is encoded once. Beside 8 bytes a candidate and the
        vectors of the news, memory does not grow with the log.

        Returns
        -------
        float64 ndarray of shape (candidates,)
            Aligned with ``log.candidates.values``.
        """
        scores = [np.empty(0)]
        for rows in _blocks(log):
            histories = log.history.take(rows).last(history_length)
            ids = np.asarray(log.users[rows]) if self.user_encoder.needs_id else np.zeros(len(rows), dtype=np.int64)
            first, history_of = _distinct(histories, ids)
            users = self.encode_users(vectors, histories.take(first), ids[first])
            for start, stop in chunks(len(rows), _IMPRESSIONS_AT_ONCE):
                shown = log.candidates.take(rows[start:stop])
                user = users[torch.from_numpy(history_of[start:stop][shown.row_of])]
                scores.append((vectors[torch.from_numpy(shown.values)] * user).sum(dim=-1).double().cpu().numpy())
        return np.concatenate(scores)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.training
        if was_training:  # to tell all modules what they know takes as long as a small call
            self.eval()
        try:
            yield
        finally:
            if was_training:
                self.train()


def _blocks(log: ImpressionLog) -> Iterator[np.ndarray]:
    """Rows of a log, some at a time."""
    return (np.arange(*block) for block in chunks(len(log), _HISTORIES_AT_ONCE))


def _distinct(histories: Ragged, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each distinct pair of history and user, and for each row the number of its pair."""
    seen: dict[tuple[int, bytes], int] = {}
    pairs = ((user, histories[row].tobytes()) for row, user in enumerate(users.tolist()))
    number = np.fromiter((seen.setdefault(pair, len(seen)) for pair in pairs), dtype=np.int64, count=len(users))
    return np.unique(number, return_index=True)[1], number
