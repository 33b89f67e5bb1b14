"""Negatives for RecBole's models, from what was shown beside a click."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.sampler import Sampler

from recbole_tinynews.data.clicks import Clicks, missed
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged

__all__ = ["ImpressionNegatives"]


class ImpressionNegatives:
    """Draw what a user was shown beside a click and did not click, instead of any news of the catalogue.

    Stands in the place of RecBole's sampler. A click that is known from a history only has its negatives drawn by
    that sampler. What was shown beside one news to one user in several impressions counts as one impression.

    Parameters
    ----------
    log : ImpressionLog
        Training impressions, with labels.
    num_items : int
        News ids, 0 included.
    otherwise : Sampler
        RecBole's sampler.
    """

    def __init__(self, log: ImpressionLog, num_items: int, otherwise: Sampler) -> None:
        self.num_items = num_items
        self.otherwise = otherwise
        clicks = Clicks.of(log)
        pairs = self._pair(log.users[clicks.impressions], log.candidates.values[clicks.places])
        order = np.argsort(pairs, kind="stable")
        beside = missed(log, clicks.impressions[order])
        self.pairs, first = np.unique(pairs[order], return_index=True)
        self.beside = Ragged(beside.values, np.append(beside.offsets[first], len(beside.values)))

    def _pair(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return users.astype(np.int64) * self.num_items + items

    def sample_by_user_ids(self, users: np.ndarray, items: np.ndarray, num: int) -> torch.Tensor:
        """Draw ``num`` news for each click.

        Parameters
        ----------
        users, items : ndarray of shape (n,)
            Clicks.
        num : int
            Negatives of each.

        Returns
        -------
        int64 Tensor of shape (num * n,)
            The first negative of each click, then the second of each, and so on, as RecBole has it.
        """
        drawn = self.otherwise.sample_by_user_ids(users, items, num).numpy().reshape(num, -1)
        pairs = self._pair(np.asarray(users), np.asarray(items))
        place = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        known = self.pairs[place] == pairs
        place = place[known]
        # numpy's global generator, which RecBole seeds and draws from, too
        choice = np.random.randint(0, self.beside.lengths[place], (num, len(place)))  # noqa: NPY002
        drawn[:, known] = self.beside.values[self.beside.offsets[place] + choice]
        return torch.from_numpy(drawn.reshape(-1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.otherwise, name)
