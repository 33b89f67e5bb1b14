"""Vectors kept from earlier steps, against an encoder that is changed between the steps."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.layers import NewsMemory, NewsSlots
from tests.plm_fixtures import make_encoder, make_news

NEWS = make_news((4, 9, 4, 1, 9, 6, 5))
DIM = 6


def slots(history, candidates) -> NewsSlots:
    zeros = torch.zeros(len(history), dtype=torch.int64)
    batch = ClickBatch(torch.tensor(history), torch.tensor(candidates), zeros, zeros)
    return NewsSlots.of(batch, torch.device("cpu"))


@pytest.fixture
def encoder(plm_folder):
    return make_encoder(plm_folder, news_dim=DIM).double()


@pytest.fixture
def encoded(encoder, monkeypatch) -> list[list[int]]:
    """The news that were encoded, call by call."""
    calls: list[list[int]] = []
    original = type(encoder).forward

    def watched(module, source, rows):
        calls.append(rows.tolist())
        return original(module, source, rows)

    monkeypatch.setattr(type(encoder), "forward", watched)
    return calls


def test_candidates_are_always_encoded_and_clicked_news_when_they_are_too_old(encoder, encoded):
    memory = NewsMemory(8, DIM, max_age=2).double()
    for history, candidates in [([[1, 2]], [[3, 4]]), ([[1, 3]], [[4, 5]]), ([[1, 4]], [[2, 6]]), ([[1, 3]], [[5, 6]])]:
        memory(partial(encoder, NEWS), slots(history, candidates))
    # In step 4, news 1 was encoded three steps ago and news 3 as well: two steps are allowed.
    assert encoded == [[1, 2, 3, 4], [4, 5], [2, 6], [1, 3, 5, 6]]


def test_a_kept_vector_is_the_one_of_its_step_and_has_no_gradient(encoder):
    memory = NewsMemory(8, DIM, max_age=5).double()
    first = memory(partial(encoder, NEWS), slots([[1, 2]], [[3, 4]])).detach()
    with torch.no_grad():
        encoder.dense.bias += 1
    second = memory(partial(encoder, NEWS), slots([[2, 1]], [[3, 5]]))  # news 1, 2, 3, 5
    torch.testing.assert_close(second[:2], first[:2], rtol=0, atol=0)
    torch.testing.assert_close(second[2:], encoder(NEWS, np.array([3, 5])), rtol=0, atol=1e-10)
    second[:2].sum().backward(retain_graph=True)
    assert encoder.dense.weight.grad is None or not encoder.dense.weight.grad.any()
    second[2:].sum().backward()
    assert encoder.dense.weight.grad.any()


def test_a_first_step_is_exact(encoder):
    memory = NewsMemory(8, DIM, max_age=5).double()
    batch = slots([[1, 2, 1], [7, 0, 0]], [[3, 1], [4, 5]])
    torch.testing.assert_close(memory(partial(encoder, NEWS), batch), encoder(NEWS, batch.news), rtol=0, atol=0)


def test_a_reloaded_memory_goes_on_as_it_would_have(encoder, encoded):
    memory, copy = NewsMemory(8, DIM, 3).double(), NewsMemory(8, DIM, 3).double()
    memory(partial(encoder, NEWS), slots([[1, 2]], [[3, 4]]))
    copy.load_state_dict(memory.state_dict())
    batch = slots([[1, 2]], [[5, 6]])
    assert torch.equal(copy(partial(encoder, NEWS), batch), memory(partial(encoder, NEWS), batch))
    assert encoded[1] == encoded[2] == [5, 6]
