"""LSTUR as a RecBole model."""

from __future__ import annotations

import torch

from recbole_tinynews.layers import ClickModel, LSTUREncoder, RecurrentUser
from recbole_tinynews.model.word_model import WordModel

__all__ = ["LSTUR"]


class LSTUR(WordModel):
    """A GRU over a user's clicks that starts from the user's own vector (An et al., ACL 2019; LSTUR-ini).

    Settings: ``properties/model/LSTUR.yaml``.
    """

    network_keys = ("dropout", "filters", "window", "category_dim", "query_dim", "user_dropout")

    def network(
        self,
        words: torch.Tensor,
        dropout: float,
        filters: int,
        window: int,
        category_dim: int,
        query_dim: int,
        user_dropout: float,
    ) -> ClickModel:
        """Build the untrained network."""
        news_encoder = LSTUREncoder(words, dropout, self.categories[1], filters, window, category_dim, query_dim)
        return ClickModel(news_encoder, RecurrentUser(self.n_users, news_encoder.news_dim, user_dropout))
