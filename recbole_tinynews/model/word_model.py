"""Shallow models: they read words instead of a language model's word pieces."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from functools import cached_property
from logging import getLogger
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from recbole_tinynews.data.news_table import tokenize
from recbole_tinynews.data.words import load_categories, load_word_vectors, word_tokenizer
from recbole_tinynews.layers import ClickModel, WordInput
from recbole_tinynews.model.news_model import NewsModel

__all__ = ["WordModel"]

_SPREAD = 0.1  # of the vectors of words that start without any


class WordModel(NewsModel):
    """A network over word vectors that are learnt from the clicks, or loaded and learnt on.

    Subclasses say which. Settings: ``properties/model/WordModel.yaml``.

    Attributes
    ----------
    network_keys : tuple of str
        Settings that :meth:`network` takes.
    reads_bodies : bool
        Whether it reads more than titles.
    """

    network_keys: tuple[str, ...]
    reads_bodies = False

    @abstractmethod
    def network(self, words: torch.Tensor, *settings: Any) -> ClickModel:
        """Build the untrained network, with word vectors to start from and the values of ``network_keys``."""

    def build(self) -> ClickModel:
        """Build the untrained network."""
        return self.network(self._start(), *(self.config[key] for key in self.network_keys)).to(self.device)

    @property
    def key(self) -> dict[str, Any]:
        """All that makes the untrained network what it is, but for the seed."""
        settings = {key: self.config[key] for key in ("word_dim", *self.network_keys)}
        loaded = self._loaded and hashlib.sha256(self._loaded[0].numpy().data).hexdigest()[:12]
        return {"model": type(self).__name__, "words": len(self.tokenizer), "loaded": loaded, **settings}

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Words of the texts that are read."""
        texts = [*self.texts.titles, *(self.texts.bodies if self.reads_bodies else ())]
        return word_tokenizer(texts, self.config["vocabulary"])

    @cached_property
    def categories(self) -> tuple[torch.Tensor, tuple[int, int]]:
        """Category and subcategory of each news, and how many there are."""
        numbers, sizes = load_categories(self.config["data_path"], self.item_ids)
        return torch.from_numpy(numbers), sizes

    @cached_property
    def _loaded(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Vectors of the file that the settings name, and which words have one."""
        if not self.config["word_vectors"]:
            return None
        vectors, known = load_word_vectors(self.config["word_vectors"], self.tokenizer.get_vocab())
        getLogger().info("%d of %d words have a vector", known.sum(), len(known))
        return torch.from_numpy(vectors), torch.from_numpy(known)

    def _start(self) -> torch.Tensor:
        """Word vectors to start from, shape (vocabulary, word_dim)."""
        if self._loaded is None:
            vectors = _SPREAD * torch.randn(len(self.tokenizer), self.config["word_dim"])
        else:
            loaded, known = self._loaded
            vectors = torch.where(known[:, None], loaded, loaded[known].std() * torch.randn(loaded.shape))
        vectors[0] = 0
        return vectors

    def read_titles(self) -> WordInput:
        """Return words and categories."""
        lengths = self.config["title_length"], self.config["body_length"] if self.reads_bodies else 0
        columns = [
            torch.from_numpy(tokenize(texts, self.tokenizer, length, self.cache).padded(length)).int()
            if length
            else torch.zeros(len(texts), 0, dtype=torch.int32)
            for texts, length in zip((self.texts.titles, self.texts.bodies), lengths, strict=True)
        ]
        return WordInput(*(values.to(self.device) for values in (*columns, self.categories[0])))
