"""News encoders over words: one news at a time, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from recbole_tinynews.layers import LSTUREncoder, NAMLEncoder, NRMSEncoder, WordInput, word_encoder

WORD_DIM, QUERY, FILTERS, WINDOW, CATEGORY_DIM = 4, 3, 5, 3, 2
SIZES = (3, 4)
TITLES = [[], [2, 3, 4], [5], [], [6, 2, 2, 7, 3]]
BODIES = [[], [4, 4], [], [2, 6, 7], [3]]
CATEGORIES = [[0, 0], [1, 2], [2, 3], [0, 1], [1, 0]]


def padded(rows, width) -> torch.Tensor:
    return torch.tensor([row + [0] * (width - len(row)) for row in rows], dtype=torch.int32)


SOURCE = WordInput(padded(TITLES, 7), padded(BODIES, 4), torch.tensor(CATEGORIES))


def make(kind):
    torch.manual_seed(0)
    words = torch.randn(8, WORD_DIM)
    words[0] = 0
    shape = (SIZES, FILTERS, WINDOW, CATEGORY_DIM, QUERY)
    encoder = {
        "NRMS": lambda: NRMSEncoder(words, 0.2, 2, 3, QUERY),
        "NAML": lambda: NAMLEncoder(words, 0.2, *shape),
        "LSTUR": lambda: LSTUREncoder(words, 0.2, *shape),
    }[kind]()
    for name, parameter in encoder.named_parameters():
        if "query" in name:
            nn.init.normal_(parameter)
    return encoder.double().eval()


def read_by_hand(cnn, words, text) -> torch.Tensor:
    """Convolution as sums over windows, with zeros beyond both ends; then attention over the places."""
    if not text:
        return torch.zeros(FILTERS, dtype=torch.float64)
    zero = torch.zeros(WORD_DIM, dtype=torch.float64)
    vectors = [zero, *(words[word] for word in text), zero]
    kernel, bias = cnn.convolution.weight, cnn.convolution.bias  # (filters, word_dim, window)
    states = [
        torch.relu(sum(kernel[:, :, j] @ vectors[place + j] for j in range(WINDOW)) + bias)
        for place in range(len(text))
    ]
    return cnn.pooling(torch.stack(states))


@pytest.mark.parametrize("kind", ["NRMS", "NAML", "LSTUR"])
@pytest.mark.parametrize("at_once", [1, 2, 1024])
def test_a_news_vector_does_not_depend_on_the_others(kind, at_once, monkeypatch):
    monkeypatch.setattr(word_encoder, "_NEWS_AT_ONCE", at_once)
    encoder, rows = make(kind), np.array([4, 1, 3, 2, 1])
    together = encoder(SOURCE, rows)
    assert together.shape == (5, encoder.news_dim)
    for row, vector in zip(rows, together, strict=True):
        torch.testing.assert_close(encoder(SOURCE, np.array([row]))[0], vector, rtol=0, atol=1e-12)


def test_nrms_reads_a_title_as_one_user_s_worth_of_words():
    encoder = make("NRMS")
    words, attention = encoder.words.weight, encoder.self_attention
    for row, title in enumerate(TITLES):
        if title:
            expected = encoder.pooling(attention(words[title]))
            torch.testing.assert_close(encoder(SOURCE, np.array([row]))[0], expected, rtol=0, atol=1e-12)


def test_lstur_puts_the_title_s_vector_before_those_of_category_and_subcategory():
    encoder = make("LSTUR")
    for row, (title, (category, subcategory)) in enumerate(zip(TITLES, CATEGORIES, strict=True)):
        text = read_by_hand(encoder.title, encoder.words.weight, title)
        of = encoder.categories
        expected = torch.cat([text, of[0].weight[category], of[1].weight[subcategory]])
        torch.testing.assert_close(encoder(SOURCE, np.array([row]))[0], expected, rtol=0, atol=1e-12)
    assert encoder.categories[0].weight[0].abs().max() == 0  # unknown


def test_naml_attends_to_the_views_that_a_news_has():
    encoder = make("NAML")
    for row, (title, body, numbers) in enumerate(zip(TITLES, BODIES, CATEGORIES, strict=True)):
        views = [
            read_by_hand(cnn, encoder.words.weight, text)
            for cnn, text in ((encoder.title, title), (encoder.body, body))
            if text
        ]
        for number, vectors, dense in zip(numbers, encoder.categories, encoder.dense, strict=True):
            if number:
                views.append(torch.relu(dense(vectors.weight[number])))
        expected = encoder.pooling(torch.stack(views)) if views else torch.zeros(FILTERS, dtype=torch.float64)
        torch.testing.assert_close(encoder(SOURCE, np.array([row]))[0], expected, rtol=0, atol=1e-12)


def test_padding_is_never_learnt():
    encoder = make("NAML").train()
    encoder(SOURCE, np.arange(5)).sum().backward()
    assert encoder.words.weight.grad[0].abs().max() == 0
    assert encoder.words.weight.grad[2].abs().max() > 0
