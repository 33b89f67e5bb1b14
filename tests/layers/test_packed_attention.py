"""Attention inside packed texts, against torch's own on each text alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from recbole_tinynews.layers.packed_attention import packed_attention

NO_DROPOUT, NEARLY_NONE = 0.0, 1e-13  # the second takes the way of dropout, rounds to dropping nothing
GROUPS = [(3, 5), (1, 8), (2, 9), (1, 4), (2, 17), (1, 1)]  # not ordered by length


def attend_alone(query, key, value, scale):
    sizes = [length for number, length in GROUPS for _ in range(number)]
    texts = zip(*(tensor.split(sizes, dim=2) for tensor in (query, key, value)), strict=True)
    return torch.cat([scaled_dot_product_attention(*text, scale=scale) for text in texts], dim=2).transpose(1, 2)


@pytest.mark.parametrize("dropout", [NO_DROPOUT, NEARLY_NONE])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_each_text_attends_as_if_alone_and_so_do_gradients(dropout, scale):
    torch.manual_seed(0)
    tokens = sum(number * length for number, length in GROUPS)
    projections = [torch.randn(1, 2, tokens, 8, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    expected = attend_alone(*projections, scale)
    got, _ = packed_attention(torch.nn.Module(), *projections, None, torch.tensor(GROUPS), dropout, scale)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(got, projections, weights),
        torch.autograd.grad(expected, projections, weights),
        rtol=0,
        atol=1e-10,
    )


def test_dropped_weights_keep_the_mean_of_what_is_attended_to():
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 2, 12, 4)
    value = torch.ones(1, 2, 12, 4)  # any weights that sum to one give one
    groups = torch.tensor([(2, 6)])
    draws = [packed_attention(torch.nn.Module(), query, key, value, None, groups, 0.3)[0] for _ in range(3000)]
    values = torch.stack(draws)[:, 0, :, :, 0].flatten(1)  # (draws, tokens of both texts and heads)
    torch.testing.assert_close(values.mean(dim=0), torch.ones(24), rtol=0, atol=0.06)
    shared = values.T.corrcoef() - torch.eye(24)
    assert shared.abs().max() < 0.1  # each token of each text and head has its own draw


@pytest.mark.parametrize("longest", [17, 300])
def test_in_bfloat16_gradients_without_dropout_are_those_of_each_text_alone_up_to_rounding(longest, monkeypatch):
    monkeypatch.setitem(globals(), "GROUPS", [*GROUPS, (1, longest)])
    torch.manual_seed(0)
    tokens = sum(number * length for number, length in GROUPS)
    exact = [torch.randn(1, 2, tokens, 8).bfloat16().double().requires_grad_() for _ in range(3)]
    rounded = [tensor.detach().bfloat16().requires_grad_() for tensor in exact]
    got, _ = packed_attention(torch.nn.Module(), *rounded, None, torch.tensor(GROUPS))
    expected = attend_alone(*exact, None)
    torch.testing.assert_close(got.double(), expected, rtol=0.02, atol=0.02)
    found = torch.autograd.grad(got.sum(), rounded)
    for own, alone in zip(found, torch.autograd.grad(expected.sum(), exact), strict=True):
        torch.testing.assert_close(own.double(), alone, rtol=0.05, atol=0.05)
