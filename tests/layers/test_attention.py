"""Additive attention against a plain loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from recbole_tinynews.layers import AdditiveAttention, SelfAttention
from recbole_tinynews.layers.attention import _pool_segments
from recbole_tinynews.layers.texts import text_offsets

DIM, QUERY = 4, 3


def make(dim=DIM, query_dim=QUERY, scale=1.0) -> AdditiveAttention:
    torch.manual_seed(0)
    attention = AdditiveAttention(dim, query_dim).double()
    nn.init.normal_(attention.query.weight, std=scale)
    nn.init.normal_(attention.query.bias)
    return attention


def by_hand(attention: AdditiveAttention, vectors: list[list[float]]) -> list[float]:
    """q^T tanh(W h + b) + c for each vector, softmax over them, weighted sum."""
    weight, bias = attention.projection.weight.tolist(), attention.projection.bias.tolist()
    query, constant = attention.query.weight[0].tolist(), attention.query.bias.item()
    exponentials = []
    for h in vectors:
        hidden = [
            math.tanh(sum(w * x for w, x in zip(row, h, strict=True)) + b) for row, b in zip(weight, bias, strict=True)
        ]
        exponentials.append(math.exp(sum(q * x for q, x in zip(query, hidden, strict=True)) + constant))
    weights = [e / sum(exponentials) for e in exponentials]
    return [sum(w * x for w, x in zip(weights, column, strict=True)) for column in zip(*vectors, strict=True)]


def test_the_pool_is_the_softmax_weighted_sum_of_a_plain_loop():
    attention, vectors = make(), torch.randn(3, 5, DIM, dtype=torch.float64)
    expected = torch.tensor([by_hand(attention, rows.tolist()) for rows in vectors], dtype=torch.float64)
    torch.testing.assert_close(attention(vectors), expected, rtol=0, atol=1e-12)


def test_only_what_the_mask_shows_is_attended_to():
    attention, vectors = make(), torch.randn(3, 5, DIM, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 1]], dtype=torch.bool)
    expected = torch.tensor(
        [by_hand(attention, rows[shown].tolist()) for rows, shown in zip(vectors, mask, strict=True)],
        dtype=torch.float64,
    )
    torch.testing.assert_close(attention(vectors, mask), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("place", ["CPU", "GPU"])
def test_packed_sequences_are_pooled_each_by_itself(place):
    attention, vectors, groups = make(), torch.randn(13, DIM, dtype=torch.float64), [(1, 0), (2, 1), (1, 5), (3, 2)]
    pooled = attention.packed(vectors, groups)
    if place == "GPU":  # the same call, with what it does there
        pooled = _pool_segments(attention.logits(vectors), vectors, text_offsets(groups, vectors.device))
    lengths = (1, 1, 5, 2, 2, 2)
    expected = [[0.0] * DIM, *(by_hand(attention, rows.tolist()) for rows in vectors.split(lengths))]
    torch.testing.assert_close(pooled, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_pooling_as_on_a_gpu_has_the_gradients_of_pooling_on_a_cpu():
    attention, vectors, groups = make(), torch.randn(13, DIM, dtype=torch.float64, requires_grad=True), [(3, 1), (2, 5)]
    segments = _pool_segments(attention.logits(vectors), vectors, text_offsets(groups, vectors.device))
    found, expected = (
        torch.autograd.grad(pooled.square().sum(), [vectors, attention.query.weight])
        for pooled in (segments, attention.packed(vectors, groups))
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_padding_has_no_influence_and_gets_no_gradient():
    attention, vectors = make(), torch.randn(1, 4, DIM, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, False]])
    before = attention(vectors, mask)
    vectors[0, 2:] = 1e6
    vectors.requires_grad_()
    after = attention(vectors, mask)
    after.sum().backward()
    assert torch.equal(before, after)
    assert torch.equal(vectors.grad[0, 2:], torch.zeros(2, DIM, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_pool_of_nothing_is_zero_and_its_gradient_is_zero_not_nan(dtype):
    attention = make().to(dtype)
    vectors = torch.randn(2, 3, DIM, dtype=dtype, requires_grad=True)
    mask = torch.tensor([[False, False, False], [True, False, True]])
    pooled = attention(vectors, mask)
    pooled.sum().backward()
    assert pooled[0].tolist() == [0] * DIM
    assert vectors.grad[0].abs().max() == 0
    assert all(p.grad.isfinite().all() for p in attention.parameters())


def test_no_positions_at_all_pool_to_zero():
    assert make()(torch.zeros(2, 0, DIM, dtype=torch.float64), torch.zeros(2, 0, dtype=torch.bool)).tolist() == [
        [0] * DIM
    ] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_logits_do_not_overflow_in_half_precision(dtype):
    attention = make().to(dtype)
    with torch.no_grad():
        attention.projection.weight.zero_()
        attention.projection.weight[0, 0] = 100
        attention.projection.bias.zero_()
        attention.query.weight.fill_(2.0**14)
        attention.query.bias.fill_(2.0**14)
    vectors = torch.tensor([[[1.0, 0, 0, 5], [-1.0, 0, 0, 7]]], dtype=dtype)  # logits 2^15 and 0
    assert attention(vectors).tolist() == [[1.0, 0, 0, 5]]
    assert attention(vectors, torch.tensor([[False, True]])).tolist() == [[-1.0, 0, 0, 7]]


def test_untrained_attention_is_the_mean():
    vectors = torch.randn(2, 3, DIM)
    torch.testing.assert_close(AdditiveAttention(DIM, QUERY)(vectors), vectors.mean(dim=1))


def test_a_constant_added_to_all_logits_changes_nothing():
    attention, vectors = make(), torch.randn(2, 3, DIM, dtype=torch.float64)
    before = attention(vectors)
    with torch.no_grad():
        attention.query.bias += 5
    torch.testing.assert_close(attention(vectors), before, rtol=0, atol=1e-12)


def test_self_attention_is_torch_s_without_its_last_linear_map():
    torch.manual_seed(0)
    heads, head_dim, n = 3, 2, 5
    dim = heads * head_dim
    attention = SelfAttention(dim, heads, head_dim).double()
    reference = nn.MultiheadAttention(dim, heads, bias=False, batch_first=True).double()
    with torch.no_grad():
        reference.in_proj_weight.copy_(attention.projections.weight)
        reference.out_proj.weight.copy_(torch.eye(dim))
    vectors = torch.randn(4, n, dim, dtype=torch.float64)
    mask = torch.arange(n) < torch.tensor([5, 3, 1, 4])[:, None]
    expected, _ = reference(vectors, vectors, vectors, key_padding_mask=~mask)
    torch.testing.assert_close(attention(vectors, mask)[mask], expected[mask], rtol=0, atol=1e-12)


def test_self_attention_to_nothing_is_a_number():
    attention = SelfAttention(4, 2, 3)
    assert attention(torch.randn(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool)).isfinite().all()
