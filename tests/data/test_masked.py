"""Masks, by Hugging Face's collator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recbole_tinynews.data.masked import MaskedTexts
from recbole_tinynews.data.news_table import tokenize
from recbole_tinynews.pretrain import train_vocabulary

WORDS = ["snow", "rain", "wind", "chess", "rowing", "opera", "jazz", "bread", "cheese", "storm", "market", "trade"]


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))).capitalize() + "." for _ in range(60)]


def test_15_percent_are_guessed_and_80_10_10_of_them_masked_replaced_left(texts):
    tokenizer = train_vocabulary(texts, 80, 400)
    (batch,) = MaskedTexts(tokenize([" ".join(texts)] * 200, tokenizer, 400), tokenizer, 200, seed=1).epoch(0)
    original = tokenizer(" ".join(texts), truncation=True)["input_ids"]
    original = torch.tensor(original).expand(200, -1)
    guessed = batch["labels"] >= 0
    assert guessed.shape == (200, 400)
    assert torch.equal(batch["labels"][guessed], original[guessed])
    assert not guessed[:, [0, -1]].any()  # [CLS] and [SEP]
    # 79,600 places: a rate of .15 has a standard error of .0013; of 11,940 of these .8 has one of .0037
    assert guessed[:, 1:-1].float().mean().item() == pytest.approx(0.15, abs=0.006)
    seen = batch["input_ids"]
    masked, left = seen[guessed] == tokenizer.mask_token_id, seen[guessed] == original[guessed]
    assert masked.float().mean().item() == pytest.approx(0.8, abs=0.015)
    # a piece drawn at random may be the own one: 1 in the number of pieces
    assert left.float().mean().item() == pytest.approx(0.1 + 0.1 / len(tokenizer), abs=0.012)
    assert torch.equal(seen[~guessed], original[~guessed])


def test_an_epoch_holds_each_text_once_and_repeats_by_its_number(texts):
    tokenizer = train_vocabulary(texts, 80, 16)
    batches = MaskedTexts(tokenize(texts, tokenizer, 16), tokenizer, 8, seed=1)
    first, again, second = (list(batches.epoch(number)) for number in (0, 0, 1))
    assert len(first) == len(batches) == 8  # 60 texts
    assert sum(len(batch["input_ids"]) for batch in first) == 60
    assert all(torch.equal(a["input_ids"], b["input_ids"]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0]["input_ids"], second[0]["input_ids"])
