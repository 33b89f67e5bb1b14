"""RecBole's face of a network that reads news."""

from __future__ import annotations

from abc import abstractmethod
from logging import getLogger
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch.nn.functional import cross_entropy

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.data.dataset import cache_folder
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import ClickModel, NewsSlots, NewsSource

__all__ = ["NewsModel"]


class NewsModel(SequentialRecommender):
    """A model that reads titles, and knows a user by the news that were clicked.

    The dataset needs a ``.news`` file. With impressions (``.imp`` files) the model learns from what was shown and not
    clicked; without, from RecBole's sampled negatives. Subclasses say what a title is and what the network.

    Parameters
    ----------
    config : Config
        The keys of ``properties/model/NewsModel.yaml`` and of the subclass's file.
    dataset : Dataset
        RecBole's dataset, for its ids and its folder.
    """

    input_type = InputType.PAIRWISE
    uses_impressions = True

    def __init__(self, config: Any, dataset: Dataset) -> None:
        super().__init__(config, dataset)
        self.config = config
        self.n_users = dataset.num(dataset.uid_field)
        self.cache = cache_folder(config["data_path"])
        self.item_ids = dataset.field2token_id[dataset.iid_field]
        self.texts = self._load_texts(config["data_path"])
        self.click_model = self.build()
        self.titles = self.read_titles()
        self._vectors: torch.Tensor | None = None
        self.register_load_state_dict_post_hook(NewsModel._forget_vectors)

    @abstractmethod
    def build(self) -> ClickModel:
        """Build the untrained network."""

    @abstractmethod
    def read_titles(self) -> NewsSource:
        """Return the news as the network gets them."""

    def _load_texts(self, folder: str) -> NewsTable:
        texts = NewsTable.load(folder, self.item_ids)
        without = sum(not title for title in texts.titles[1:])
        if without == self.n_items - 1:
            raise InputError("holds no title of the dataset's news: other ids?", path=atomic_file(folder, "news"))
        if without:
            getLogger().warning("%d of %d news have no title", without, self.n_items - 1)
        return texts

    def train(self, mode: bool = True) -> NewsModel:
        """Switch dropout; vectors kept for prediction are forgotten, since weights may change now."""
        self._forget_vectors()
        return super().train(mode)

    def calculate_loss(self, interaction: Interaction) -> torch.Tensor:
        """Cross-entropy of each click against its sampled negatives."""
        batch = self.click_batch(interaction)
        output = self.click_model(self.titles, NewsSlots.of(batch, self.device))
        return cross_entropy(output.scores, batch.labels.to(self.device))

    def predict(self, interaction: Interaction) -> torch.Tensor:
        """Score one news a row, shape (batch,)."""
        return (self._users(interaction) * self.news_vectors()[interaction[self.ITEM_ID]]).sum(dim=-1)

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        """Score all news, shape (batch, items)."""
        return self._users(interaction) @ self.news_vectors().T

    def score_impressions(self, log: ImpressionLog) -> np.ndarray:
        """Score all candidates of all impressions, float64, aligned with ``log.candidates.values``."""
        if self._vectors is not None:
            return self.click_model.score_encoded(self._vectors, log, self.config["history_length"])
        return self.click_model.score_impressions(self.titles, log, self.config["history_length"])

    def click_batch(self, interaction: Interaction) -> ClickBatch:
        """Turn RecBole's pairs, in which a click stands once for each of its negatives, into candidates."""
        negatives = interaction[self.NEG_ITEM_ID]
        clicks = len(negatives) // self.config["train_neg_sample_args"]["sample_num"]
        candidates = torch.cat([interaction[self.ITEM_ID][:clicks, None], negatives.view(-1, clicks).T], dim=1)
        history = interaction[self.ITEM_SEQ][:clicks]
        users = interaction[self.USER_ID][:clicks]
        return ClickBatch(history.cpu(), candidates.cpu(), torch.zeros(clicks, dtype=torch.int64), users.cpu())

    def _forget_vectors(self, *_: object) -> None:
        self._vectors = None

    @torch.no_grad()
    def news_vectors(self) -> torch.Tensor:
        """Vectors of all news, shape (items, news_dim), which are kept while the weights stay as they are."""
        if self._vectors is None:
            self._vectors = self.click_model.news_table(self.titles, np.arange(1, self.n_items))
        return self._vectors

    def _users(self, interaction: Interaction) -> torch.Tensor:
        history = interaction[self.ITEM_SEQ].cpu().numpy()
        clicks = Ragged.from_lengths(history[history > 0], (history > 0).sum(axis=1))
        users = interaction[self.USER_ID].cpu().numpy()
        return self.click_model.encode_users(self.news_vectors(), clicks.last(self.config["history_length"]), users)
