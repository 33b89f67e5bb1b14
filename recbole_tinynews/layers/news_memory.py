"""News vectors kept from earlier steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from recbole_tinynews.layers.click_model import NewsSlots

__all__ = ["NewsMemory"]


class NewsMemory(nn.Module):
    """Encode candidates in every step, but a news of a history only when its vector has become too old.

    An approximation: a vector that is kept was made by weights of some steps ago, and no gradient flows through it
    (the cache of SpeedyFeed, arXiv 2102.09268).

    Parameters
    ----------
    num_news : int
        News of the table, padding included.
    news_dim : int
        Size of a news vector.
    max_age : int
        Most steps that a vector is used after the one in which it was made.
    """

    vectors: torch.Tensor
    made_in: torch.Tensor
    step: torch.Tensor

    def __init__(self, num_news: int, news_dim: int, max_age: int) -> None:
        super().__init__()
        self.max_age = max_age
        # Buffers, so that an interrupted training goes on with the same vectors.
        self.register_buffer("vectors", torch.zeros(num_news, news_dim))
        self.register_buffer("made_in", torch.full((num_news,), -max_age - 1))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, encode: Callable[[np.ndarray], torch.Tensor], slots: NewsSlots) -> torch.Tensor:
        """Return the vectors of the distinct news of a batch, shape (distinct, news_dim).

        Parameters
        ----------
        encode : callable
            Encodes the news that are not kept, shape (n, news_dim).
        slots : NewsSlots
            What the batch holds; a call is a step.
        """
        news = torch.from_numpy(slots.news).to(self.vectors.device)
        fresh = self.step - self.made_in[news] > self.max_age
        fresh[slots.slots[:, -slots.num_candidates :].flatten() - 1] = True
        encoded = encode(slots.news[fresh.cpu().numpy()])
        result = self.vectors[news].masked_scatter(fresh.unsqueeze(1), encoded)
        self.vectors[news] = result.detach()
        self.made_in[news[fresh]] = self.step
        self.step += 1
        return result
