"""News encoders of the shallow models: word vectors, learnt or loaded, and what reads them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from recbole_tinynews import distributed
from recbole_tinynews.data.ragged import chunks
from recbole_tinynews.layers.attention import AdditiveAttention, SelfAttention
from recbole_tinynews.layers.dropout import Dropout

__all__ = ["LSTUREncoder", "NAMLEncoder", "NRMSEncoder", "WordEncoder", "WordInput"]

_NEWS_AT_ONCE = 1024


@dataclass(frozen=True)
class WordInput:
    """What the shallow models read of all news; row 0 is padding.

    Parameters
    ----------
    titles, bodies : int32 Tensor of shape (news, length)
        Words; 0 where there is none, which comes last.
    categories : int64 Tensor of shape (news, 2)
        Category and subcategory; 0 where unknown.
    """

    titles: torch.Tensor
    bodies: torch.Tensor
    categories: torch.Tensor

    @property
    def num_news(self) -> int:
        """Rows, padding included."""
        return len(self.titles)

    def take(self, rows: torch.Tensor) -> WordInput:
        """Return some news, in the given order."""
        return WordInput(self.titles[rows], self.bodies[rows], self.categories[rows])


class WordEncoder(nn.Module):
    """Make vectors of news that are given as words.

    Parameters
    ----------
    words : Tensor of shape (vocabulary, word_dim)
        Word vectors to start from; row 0 is padding and zero.
    dropout : float
        Of the word vectors and of what is made of them.

    Attributes
    ----------
    news_dim : int
        Size of a news vector; set by subclasses.
    """

    news_dim: int

    def __init__(self, words: torch.Tensor, dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding.from_pretrained(words, freeze=False, padding_idx=0)
        self.dropout = Dropout(dropout)

    @abstractmethod
    def encode(self, news: WordInput) -> torch.Tensor:
        """Encode all of the given news, shape (n, news_dim)."""

    def forward(self, source: WordInput, rows: np.ndarray) -> torch.Tensor:
        """Encode news, of which those with titles of like length go together.

        Of several processes each encodes its share, and all get all of it.

        Parameters
        ----------
        source : WordInput
            All news.
        rows : int ndarray of shape (n,)
            The news wanted.

        Returns
        -------
        Tensor of shape (n, news_dim)
        """
        at = torch.from_numpy(rows).to(source.titles.device)
        own = distributed.share((source.titles[at] > 0).sum(dim=1).argsort(stable=True).cpu().numpy())
        parts = []
        for start, stop in chunks(len(own), _NEWS_AT_ONCE):
            part = at[torch.from_numpy(own[start:stop]).to(at.device)]
            parts.append(self.encode(source.take(part)))
        return distributed.gathered(parts, own, self.words.weight.new_zeros(len(rows), self.news_dim))

    def embed(self, words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Look words up: vectors of shape (n, longest, word_dim), and where there are any, (n, longest)."""
        mask = words > 0
        longest = int(mask.sum(dim=1).max()) if len(words) else 0
        mask = mask[:, : max(longest, 1)]
        return self.dropout(self.words(words[:, : mask.shape[1]])), mask


class _WordCNN(nn.Module):
    """A convolution over words and attention over its places: the text part of NAML and LSTUR."""

    def __init__(self, word_dim: int, filters: int, window: int, query_dim: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(word_dim, filters, window, padding="same")
        self.dropout = Dropout(dropout)
        self.pooling = AdditiveAttention(filters, query_dim)

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Turn (n, longest, word_dim) into (n, filters)."""
        states = torch.relu(self.convolution(vectors.transpose(1, 2))).transpose(1, 2)
        return self.pooling(self.dropout(states), mask)


class NRMSEncoder(WordEncoder):
    """Self-attention among a title's words, then additive attention (Wu et al., EMNLP 2019, section 2.1).

    Parameters
    ----------
    words, dropout
        As for :class:`WordEncoder`.
    heads, head_dim : int
        Their product is ``news_dim``.
    query_dim : int
        Size of the attention's query.
    """

    def __init__(self, words: torch.Tensor, dropout: float, heads: int, head_dim: int, query_dim: int) -> None:
        super().__init__(words, dropout)
        self.news_dim = heads * head_dim
        self.self_attention = SelfAttention(words.shape[1], heads, head_dim)
        self.pooling = AdditiveAttention(self.news_dim, query_dim)

    def encode(self, news: WordInput) -> torch.Tensor:
        """Encode titles."""
        vectors, mask = self.embed(news.titles)
        return self.pooling(self.dropout(self.self_attention(vectors, mask)), mask)


class NAMLEncoder(WordEncoder):
    """Title, body, category and subcategory as views of a news, and attention over them.

    Wu et al., IJCAI 2019 (arXiv 1907.05576), section 3.1. A view that a news lacks gets no attention.

    Parameters
    ----------
    words, dropout
        As for :class:`WordEncoder`.
    num_categories : tuple of int
        Categories and subcategories, 0 included.
    filters : int
        Of the convolutions, and ``news_dim``.
    window : int
        Words that a filter sees at once.
    category_dim : int
        Size of a category's vector.
    query_dim : int
        Size of the attentions' queries.
    """

    def __init__(
        self,
        words: torch.Tensor,
        dropout: float,
        num_categories: tuple[int, int],
        filters: int,
        window: int,
        category_dim: int,
        query_dim: int,
    ) -> None:
        super().__init__(words, dropout)
        self.news_dim = filters
        self.title = _WordCNN(words.shape[1], filters, window, query_dim, dropout)
        self.body = _WordCNN(words.shape[1], filters, window, query_dim, dropout)
        self.categories = nn.ModuleList(nn.Embedding(size, category_dim, padding_idx=0) for size in num_categories)
        self.dense = nn.ModuleList(nn.Linear(category_dim, filters) for _ in num_categories)
        self.pooling = AdditiveAttention(filters, query_dim)

    def encode(self, news: WordInput) -> torch.Tensor:
        """Encode titles, bodies and categories."""
        views, present = [], []
        for network, text in ((self.title, news.titles), (self.body, news.bodies)):
            vectors, mask = self.embed(text)
            views.append(network(vectors, mask))
            present.append(mask[:, 0])
        for vectors_of, dense, category in zip(self.categories, self.dense, news.categories.T, strict=True):
            views.append(torch.relu(dense(vectors_of(category))))
            present.append(category > 0)
        return self.pooling(torch.stack(views, dim=1), torch.stack(present, dim=1))


class LSTUREncoder(WordEncoder):
    """A title's vector beside those of category and subcategory (An et al., ACL 2019, section 3.1).

    Parameters
    ----------
    words, dropout, num_categories, filters, window, category_dim, query_dim
        As for :class:`NAMLEncoder`; ``news_dim`` is ``filters + 2 * category_dim``.
    """

    def __init__(
        self,
        words: torch.Tensor,
        dropout: float,
        num_categories: tuple[int, int],
        filters: int,
        window: int,
        category_dim: int,
        query_dim: int,
    ) -> None:
        super().__init__(words, dropout)
        self.news_dim = filters + 2 * category_dim
        self.title = _WordCNN(words.shape[1], filters, window, query_dim, dropout)
        self.categories = nn.ModuleList(nn.Embedding(size, category_dim, padding_idx=0) for size in num_categories)

    def encode(self, news: WordInput) -> torch.Tensor:
        """Encode titles and categories."""
        parts = [vectors_of(column) for vectors_of, column in zip(self.categories, news.categories.T, strict=True)]
        return torch.cat([self.title(*self.embed(news.titles)), *parts], dim=1)
