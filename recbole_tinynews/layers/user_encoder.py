"""From the vectors of clicked news to a user's."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn
from torch.nn.functional import dropout1d
from torch.nn.utils.rnn import pack_padded_sequence

from recbole_tinynews.layers.attention import AdditiveAttention, SelfAttention
from recbole_tinynews.layers.dropout import Dropout

__all__ = ["AttentiveUser", "RecurrentUser", "SelfAttentiveUser", "UserEncoder"]


class UserEncoder(nn.Module):
    """Make one vector of a user's clicks.

    Attributes
    ----------
    needs_id : bool
        Whether users with the same clicks can have different vectors.
    """

    needs_id = False

    @abstractmethod
    def forward(
        self, vectors: torch.Tensor, mask: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode users.

        Parameters
        ----------
        vectors : Tensor of shape (..., n, dim)
            News clicked, oldest first.
        mask : bool Tensor of shape (..., n), optional
            False where there is none; such places come last.
        users : int64 Tensor of shape (...), optional
            Ids; 0 for a user without one.

        Returns
        -------
        Tensor of shape (..., dim)
        """


class AttentiveUser(AdditiveAttention, UserEncoder):
    """Additive attention over the clicks: PLM-NR (Tiny-NewsRec, section 3.1), NAML (arXiv 1907.05576, section 3.2).

    Parameters are those of :class:`AdditiveAttention`.
    """

    def forward(
        self, vectors: torch.Tensor, mask: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode users, as :meth:`UserEncoder.forward` says; one without clicks has the zero vector."""
        return super().forward(vectors, mask)


class SelfAttentiveUser(UserEncoder):
    """Self-attention among the clicks, then additive attention: NRMS (Wu et al., EMNLP 2019, section 2.2).

    Parameters
    ----------
    heads, head_dim : int
        Their product is the size of news and user vectors.
    query_dim : int
        Size of the attention's query.
    dropout : float
        Of what the heads give.
    """

    def __init__(self, heads: int, head_dim: int, query_dim: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = SelfAttention(heads * head_dim, heads, head_dim)
        self.dropout = Dropout(dropout)
        self.pooling = AdditiveAttention(heads * head_dim, query_dim)

    def forward(
        self, vectors: torch.Tensor, mask: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode users, as :meth:`UserEncoder.forward` says; one without clicks has the zero vector."""
        return self.pooling(self.dropout(self.self_attention(vectors, mask)), mask)


class RecurrentUser(UserEncoder):
    """A GRU reads the clicks and starts from the user's own vector: LSTUR-ini (An et al., ACL 2019, section 3.3.3).

    A user without clicks has the own vector; one without an id starts from zero, as do some in training.

    Parameters
    ----------
    num_users : int
        Ids, 0 included.
    news_dim : int
        Size of news and user vectors.
    user_dropout : float
        Share of own vectors that are zero in a training step.
    """

    needs_id = True

    def __init__(self, num_users: int, news_dim: int, user_dropout: float) -> None:
        super().__init__()
        self.users = nn.Embedding(num_users, news_dim, padding_idx=0)
        nn.init.zeros_(self.users.weight)
        self.gru = nn.GRU(news_dim, news_dim, batch_first=True)
        self.user_dropout = user_dropout

    def forward(
        self, vectors: torch.Tensor, mask: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode users, as :meth:`UserEncoder.forward` says, but one batch of them, with ``mask`` and ``users``."""
        assert mask is not None
        assert users is not None
        # of a matrix, dropout1d clears whole rows
        own = dropout1d(self.users(users), self.user_dropout, self.training)
        lengths = mask.sum(dim=1)
        read = lengths > 0
        if not read.any():
            return own
        packed = pack_padded_sequence(vectors[read], lengths[read].cpu(), batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed, own[read].unsqueeze(0))
        return own.masked_scatter(read.unsqueeze(1), last.squeeze(0).to(own.dtype))
