"""NAML as a RecBole model."""

from __future__ import annotations

import torch

from recbole_tinynews.layers import AttentiveUser, ClickModel, NAMLEncoder
from recbole_tinynews.model.word_model import WordModel

__all__ = ["NAML"]


class NAML(WordModel):
    """Attention over a news's title, body (or abstract), category and subcategory (Wu et al., arXiv 1907.05576).

    Settings: ``properties/model/NAML.yaml``.
    """

    reads_bodies = True
    network_keys = ("dropout", "filters", "window", "category_dim", "query_dim")

    def network(
        self, words: torch.Tensor, dropout: float, filters: int, window: int, category_dim: int, query_dim: int
    ) -> ClickModel:
        """Build the untrained network."""
        news_encoder = NAMLEncoder(words, dropout, self.categories[1], filters, window, category_dim, query_dim)
        return ClickModel(news_encoder, AttentiveUser(filters, query_dim))
