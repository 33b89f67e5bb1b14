"""Texts with masked tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from transformers import BatchEncoding, DataCollatorForLanguageModeling, PreTrainedTokenizerBase

from recbole_tinynews.data.ragged import Ragged

__all__ = ["MaskedTexts"]


class MaskedTexts:
    """Batches of texts of like length, masked anew in each epoch by Hugging Face's collator.

    15 % of the tokens are to be guessed: 80 % of these are masked, 10 % replaced, 10 % left.

    Parameters
    ----------
    tokens : Ragged
        Token ids of each text, special tokens included.
    tokenizer : PreTrainedTokenizerBase
        Where they come from.
    batch_size : int
        Texts in a batch.
    seed : int
        Seed of order and masks.
    """

    def __init__(self, tokens: Ragged, tokenizer: PreTrainedTokenizerBase, batch_size: int, seed: int) -> None:
        self.tokens = tokens
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.seed = seed
        self._special = [tokenizer.cls_token_id, tokenizer.sep_token_id]

    def __len__(self) -> int:
        return -(-len(self.tokens) // self.batch_size)

    def epoch(self, number: int) -> Iterator[BatchEncoding]:
        """Yield the batches of an epoch, the same for the same number."""
        random = np.random.default_rng([self.seed, number])
        by_length = np.lexsort([random.random(len(self.tokens)), self.tokens.lengths])
        collate = DataCollatorForLanguageModeling(self.tokenizer, seed=int(random.integers(2**31)))
        collate.generator = collate.get_generator(collate.seed)  # made by itself in a process of its own only
        for batch in random.permutation(len(self)):
            chosen = by_length[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield collate([self._row(text) for text in chosen])

    def _row(self, text: int) -> dict[str, list[int]]:
        ids = self.tokens[text]
        return {"input_ids": ids.tolist(), "special_tokens_mask": np.isin(ids, self._special).astype(int).tolist()}
