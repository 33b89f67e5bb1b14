"""From tokens to news vectors, many news at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from recbole_tinynews.data.ragged import Ragged, places
from recbole_tinynews.layers.attention import AdditiveAttention
from recbole_tinynews.layers.plm import PLM, Groups

__all__ = ["NewsEncoder", "NewsInput"]


@dataclass(frozen=True)
class NewsInput:
    """What the trained layers of an encoder start from, for all news of a table.

    Parameters
    ----------
    values : int Tensor of shape (total,) or float Tensor of shape (total, hidden)
        Token ids of all news, one news after another; or the states that enter the first trained layer.
    offsets : ndarray of shape (news + 1,)
        Where each news starts.
    """

    values: torch.Tensor
    offsets: np.ndarray

    @classmethod
    def from_tokens(cls, tokens: Ragged, device: torch.device | str = "cpu") -> NewsInput:
        """Start from token ids."""
        return cls(torch.from_numpy(np.ascontiguousarray(tokens.values)).to(device), tokens.offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each news."""
        return np.diff(self.offsets)

    def packed(self, rows: np.ndarray) -> torch.Tensor:
        """Return the values of some news, one after another, shape (tokens,) or (tokens, hidden)."""
        return self.values[torch.from_numpy(places(self.offsets, rows)).to(self.values.device)]


class NewsEncoder(nn.Module):
    """Token states of a PLM, additive attention over them, and a linear map to the news vector.

    Paper, section 3.1. No activation and no dropout follow the linear map.

    Parameters
    ----------
    plm : PLM
        The pre-trained encoder.
    news_dim : int
        Size of a news vector.
    query_dim : int
        Size of the attention's query.
    precision : {"float32", "bfloat16"}
        Arithmetic of the encoder and the pooling; weights and news vectors are not rounded.
    max_tokens : int
        Most tokens that go through the encoder at once.
    """

    def __init__(
        self, plm: PLM, news_dim: int, query_dim: int, precision: str = "float32", max_tokens: int = 16384
    ) -> None:
        super().__init__()
        self.plm = plm
        self.pooling = AdditiveAttention(plm.hidden_size, query_dim)
        self.dense = nn.Linear(plm.hidden_size, news_dim)
        self.precision = precision
        self.max_tokens = max_tokens

    def forward(self, source: NewsInput, rows: np.ndarray) -> torch.Tensor:
        """Encode the given news.

        No padding is encoded, and a news vector does not depend on the others.

        Parameters
        ----------
        source : NewsInput
            All news.
        rows : int ndarray of shape (n,)
            The news wanted.

        Returns
        -------
        Tensor of shape (n, news_dim)
        """
        return self.dense(self.pool(source, rows))

    def pool(self, source: NewsInput, rows: np.ndarray) -> torch.Tensor:
        """Return what the linear map gets for the given news, shape (n, hidden), unrounded."""
        if not len(rows):
            return self.dense.weight.new_zeros(0, self.dense.in_features)
        order = np.argsort(source.lengths[rows], kind="stable")
        with self._autocast(source.values.device):
            parts = [
                self.pooling.packed(self.plm(self._states(source, part, groups), groups), groups)
                for part, groups in self._packs(source.lengths, rows[order])
            ]
        pooled = torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(source.values.device)]
        return pooled.to(self.dense.weight.dtype)

    @torch.no_grad()
    def frozen_input(self, source: NewsInput, rows: np.ndarray) -> NewsInput:
        """Compute the frozen part once for the given news; the result holds no others.

        Takes ``4 * hidden`` bytes a token (half of it in bfloat16).
        """
        kept = np.zeros_like(source.lengths)
        kept[rows] = source.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(kept)])
        size = int(offsets[-1]), self.plm.hidden_size
        states = torch.empty(size, dtype=self.state_dtype, device=source.values.device)
        order = np.argsort(source.lengths[rows], kind="stable")
        with self._autocast(source.values.device):
            for part, groups in self._packs(source.lengths, rows[order]):
                states[torch.from_numpy(places(offsets, part))] = self._states(source, part, groups)
        return NewsInput(states, offsets)

    @property
    def state_dtype(self) -> torch.dtype:
        """Type of the states that enter the trained layers, kept or not."""
        return torch.bfloat16 if self.precision == "bfloat16" else self.dense.weight.dtype

    def _states(self, source: NewsInput, rows: np.ndarray, groups: Groups) -> torch.Tensor:
        values = source.packed(rows)
        return values if values.is_floating_point() else self.plm.frozen_states(values, groups).to(self.state_dtype)

    def _packs(self, lengths: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, Groups]]:
        """Cut news that are ordered by length into batches of at most ``max_tokens``."""
        tokens = np.concatenate([[0], np.cumsum(lengths[rows])])
        start = 0
        while start < len(rows):
            stop = int(np.searchsorted(tokens, tokens[start] + self.max_tokens, side="right")) - 1
            pack = rows[start : max(stop, start + 1)]  # one news at least, however long
            values, numbers = np.unique(lengths[pack], return_counts=True)
            yield pack, list(zip(numbers.tolist(), values.tolist(), strict=True))
            start += len(pack)

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
