"""Popularity: the number of clicks of each news in the training data."""

from __future__ import annotations

import torch
from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType

__all__ = ["Pop"]


class Pop(GeneralRecommender):
    """Scores an item by how often it was clicked.

    RecBole's model of this name counts an item once a batch, and sampled negatives, too; here each click counts once.

    Parameters
    ----------
    config : Config
        Configuration of the run.
    dataset : Dataset
        Training data.
    """

    input_type = InputType.POINTWISE
    type = ModelType.TRADITIONAL

    clicks: torch.Tensor

    def __init__(self, config: Config, dataset: Dataset) -> None:
        super().__init__(config, dataset)
        items = torch.as_tensor(dataset.inter_feat[self.ITEM_ID])
        self.register_buffer("clicks", torch.bincount(items, minlength=self.n_items).float())
        self.nothing = torch.nn.Parameter(torch.zeros(0))  # RecBole's optimizer wants a parameter

    def calculate_loss(self, interaction: Interaction) -> torch.Tensor:
        """Return 0: there is nothing to learn."""
        return self.nothing.sum()

    def predict(self, interaction: Interaction) -> torch.Tensor:
        """Score the item of each row, shape (rows,)."""
        return self.clicks[interaction[self.ITEM_ID]]

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        """Score all items for each row, shape (rows * items,)."""
        return self.clicks.repeat(len(interaction))
