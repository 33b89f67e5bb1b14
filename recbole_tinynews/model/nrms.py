"""NRMS as a RecBole model."""

from __future__ import annotations

import torch

from recbole_tinynews.layers import ClickModel, NRMSEncoder, SelfAttentiveUser
from recbole_tinynews.model.word_model import WordModel

__all__ = ["NRMS"]


class NRMS(WordModel):
    """Self-attention over a title's words and over a user's clicks (Wu et al., EMNLP 2019).

    Settings: ``properties/model/NRMS.yaml``.
    """

    network_keys = ("dropout", "heads", "head_dim", "query_dim")

    def network(self, words: torch.Tensor, dropout: float, heads: int, head_dim: int, query_dim: int) -> ClickModel:
        """Build the untrained network."""
        news_encoder = NRMSEncoder(words, dropout, heads, head_dim, query_dim)
        return ClickModel(news_encoder, SelfAttentiveUser(heads, head_dim, query_dim, dropout))
