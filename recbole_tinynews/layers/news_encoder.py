"""From tokens to news vectors, many news at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from recbole_tinynews import distributed
from recbole_tinynews.layers.attention import AdditiveAttention
from recbole_tinynews.layers.news_input import FrozenStates, NewsInput, TextSource
from recbole_tinynews.layers.plm import PLM, LayerStates
from recbole_tinynews.layers.texts import Groups

__all__ = ["NewsEncoder", "PackStates"]

# Numbers that one layer keeps of a token for the backward pass, in sizes of its state; an estimate for texts as short
# as titles: attention keeps more of long ones.
_KEPT_STATES = 24
_AT_ONCE, _AT_ONCE_ON_GPU = 8192, 131_072  # tokens: what fits a CPU's cache, what keeps a GPU busy


class PackStates(NamedTuple):
    """What the layers made of some news, without padding.

    Parameters
    ----------
    places : int ndarray of shape (n,)
        Which of the wanted news these are.
    groups : sequence of (number, length)
        How many of them of which length follow each other.
    states : Tensor of shape (tokens, hidden)
        States of their tokens after the last layer.
    layers : dict of int to LayerStates
        The same of the layers that were asked for, by number.
    """

    places: np.ndarray
    groups: Groups
    states: torch.Tensor
    layers: dict[int, LayerStates]


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
    max_tokens : int, optional
        Most tokens that go through the encoder at once; if not given 8,192, and 131,072 in bfloat16 on a GPU (but for
        MPNet, whose attention needs more memory).
    memory_gb : float, optional
        Memory for what the backward pass through one call needs, by an estimate for texts as short as titles. A batch
        that needs more goes through in packs that do not, each of which is computed once more for the backward pass.
        No limit if not given.
    """

    def __init__(
        self,
        plm: PLM,
        news_dim: int,
        query_dim: int,
        precision: str = "float32",
        max_tokens: int | None = None,
        memory_gb: float | None = None,
    ) -> None:
        super().__init__()
        self.plm = plm
        self.pooling = AdditiveAttention(plm.hidden_size, query_dim)
        self.dense = nn.Linear(plm.hidden_size, news_dim)
        self.news_dim = news_dim
        self.precision = precision
        self.max_tokens = max_tokens
        self.memory_gb = memory_gb

    def forward(self, source: TextSource, rows: np.ndarray) -> torch.Tensor:
        """Encode the given news.

        No padding is encoded, and a news vector does not depend on the others.

        Parameters
        ----------
        source : TextSource
            All news.
        rows : int ndarray of shape (n,)
            The news wanted.

        Returns
        -------
        Tensor of shape (n, news_dim)
        """
        return self.dense(self.pool(source, rows))

    def pool(self, source: TextSource, rows: np.ndarray) -> torch.Tensor:
        """Return what the linear map gets for the given news, shape (n, hidden), unrounded.

        Of several processes each encodes its share, and all get all of it.
        """
        own = distributed.share(np.argsort(source.lengths[rows], kind="stable"))
        encode, at_once = partial(self._pool_pack, source), self._at_once()
        if torch.is_grad_enabled() and self.memory_gb is not None:
            fitting = self._tokens_within(self.memory_gb)
            if source.lengths[rows[own]].sum() > fitting:
                encode, at_once = partial(self._pool_pack_twice, source), min(at_once, fitting)
        packs = [encode(*pack) for pack in _packs(source.lengths, rows[own], at_once)]
        return distributed.gathered(packs, own, self._unpooled(len(rows)))

    def with_layers(
        self, source: TextSource, rows: np.ndarray, wanted: Sequence[int] = ()
    ) -> tuple[torch.Tensor, list[PackStates]]:
        """Encode the given news and show what the layers make of their tokens.

        All states are kept for the backward pass, whatever ``memory_gb`` says.

        Parameters
        ----------
        source, rows
            As for :meth:`forward`.
        wanted : sequence of int
            Numbers of layers to be shown, counted from 0; not frozen ones.

        Returns
        -------
        Tensor of shape (n, news_dim), and list of PackStates
            Of several processes each gets all vectors, but the states of its share only.
        """
        own = distributed.share(np.argsort(source.lengths[rows], kind="stable"))
        pooled, packs, start = [], [], 0
        for pack, groups in _packs(source.lengths, rows[own], self._at_once()):
            with self.autocast():
                states, layers = self.plm.layer_states(self._states(source, pack), groups, wanted)
                pooled.append(self.pooling.packed(states, groups))
            packs.append(PackStates(own[start : start + len(pack)], groups, states, layers))
            start += len(pack)
        return self.dense(distributed.gathered(pooled, own, self._unpooled(len(rows)))), packs

    def _unpooled(self, size: int) -> torch.Tensor:
        return self.dense.weight.new_zeros(size, self.dense.in_features)

    def _pool_pack(self, source: TextSource, rows: np.ndarray, groups: Groups) -> torch.Tensor:
        with self.autocast():
            return self.pooling.packed(self.plm(self._states(source, rows), groups), groups)

    def _pool_pack_twice(self, source: TextSource, rows: np.ndarray, groups: Groups) -> torch.Tensor:
        """Compute a pack once more for the backward pass, instead of keeping what it needs."""

        def encode(_: torch.Tensor, *pack: Any) -> torch.Tensor:
            return self._pool_pack(source, *pack)

        # By a tensor among the arguments torch knows which GPU's random state is to be as it was.
        return checkpoint(encode, self.dense.weight, rows, groups, use_reentrant=False)

    def _at_once(self) -> int:
        kernel = self.dense.weight.device.type == "cuda" and self.precision == "bfloat16" and self.plm.packed
        return self.max_tokens or (_AT_ONCE_ON_GPU if kernel else _AT_ONCE)

    def _tokens_within(self, gigabytes: float) -> int:
        """Tokens whose backward pass needs no more memory than this."""
        trained = max(1, len(self.plm.layers) - self.plm.num_frozen)
        of_token = _KEPT_STATES * self.plm.hidden_size * self.state_dtype.itemsize * trained
        return int(gigabytes * 2**30 / of_token)

    def frozen_input(self, source: NewsInput, rows: np.ndarray, folder: Path | None = None) -> FrozenStates:
        """Keep what the frozen part makes of the given news; it can be read in the place of their tokens.

        Parameters
        ----------
        source : NewsInput
            Tokens of all news.
        rows : int ndarray of shape (n,)
            The news that will be read.
        folder : Path, optional
            Where to keep the states in a file; else they are in memory.

        Returns
        -------
        FrozenStates
            Takes :meth:`frozen_bytes`. Encoders with the same frozen part may share it.

        Raises
        ------
        OSError
            If there is no room for the file.
        """
        return FrozenStates(source, rows, self.plm.hidden_size, self.state_dtype, folder)

    def frozen_bytes(self, source: NewsInput, rows: np.ndarray) -> int:
        """Size of the frozen states of the given news: ``4 * hidden`` bytes a token, half of it in bfloat16."""
        return int(source.lengths[rows].sum()) * self.plm.hidden_size * self.state_dtype.itemsize

    @property
    def state_dtype(self) -> torch.dtype:
        """Type of the states that enter the trained layers, kept or not."""
        return torch.bfloat16 if self.precision == "bfloat16" else self.dense.weight.dtype

    def _states(self, source: TextSource, rows: np.ndarray) -> torch.Tensor:
        """Return the states that enter the first trained layer, of news that are ordered by length."""
        if isinstance(source, FrozenStates) and len(missing := source.to_compute(rows, self._at_once())):
            source.put(missing, self._states(source.tokens, missing))
        values = source.packed(rows).to(self.dense.weight.device)
        if isinstance(source, FrozenStates):
            return values
        return self.plm.frozen_states(values, _groups(source.lengths[rows]), self.state_dtype)

    def autocast(self) -> torch.autocast:
        """Arithmetic of ``precision`` on the encoder's device."""
        return torch.autocast(self.dense.weight.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


def _packs(lengths: np.ndarray, rows: np.ndarray, max_tokens: int) -> Iterator[tuple[np.ndarray, Groups]]:
    """Cut news that are ordered by length into packs of at most ``max_tokens``."""
    tokens = np.concatenate([[0], np.cumsum(lengths[rows])])
    start = 0
    while start < len(rows):
        stop = int(np.searchsorted(tokens, tokens[start] + max_tokens, side="right")) - 1
        pack = rows[start : max(stop, start + 1)]  # one news at least, however long
        yield pack, _groups(lengths[pack])
        start += len(pack)


def _groups(lengths: np.ndarray) -> Groups:
    values, numbers = np.unique(lengths, return_counts=True)
    return list(zip(numbers.tolist(), values.tolist(), strict=True))
