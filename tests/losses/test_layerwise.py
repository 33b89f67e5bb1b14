"""Distances between layers, against plain loops over texts, tokens and heads."""

from __future__ import annotations

import math

import pytest
import torch

from recbole_tinynews.losses.layerwise import (
    attention_score_error,
    cosine_distance,
    direction_error,
    hidden_state_error,
)

HIDDEN, HEADS = 6, 2
GROUPS = [(2, 3), (1, 4)]  # two texts of 3 tokens, one of 4
LENGTHS = [3, 3, 4]
TEXT_WEIGHTS = torch.tensor([0.5, 1.5, 2.0], dtype=torch.float64)
TOKEN_WEIGHTS = TEXT_WEIGHTS.repeat_interleave(torch.tensor(LENGTHS))


def tokens(seed: int) -> torch.Tensor:
    return torch.randn(sum(LENGTHS), HIDDEN, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_hidden_states_are_compared_token_by_token():
    student, teacher = tokens(0), tokens(1)
    expected = 0.0
    for t, weight in enumerate(TOKEN_WEIGHTS.tolist()):
        expected += weight * sum((student[t, d] - teacher[t, d]).item() ** 2 for d in range(HIDDEN)) / HIDDEN
    assert hidden_state_error(student, teacher, TOKEN_WEIGHTS).item() == pytest.approx(expected, rel=1e-6)


def test_attention_scores_are_compared_for_each_pair_of_tokens_of_a_text_before_the_softmax():
    sq, sk, tq, tk = (tokens(seed) for seed in range(4))
    size = HIDDEN // HEADS
    expected, start = 0.0, 0
    for weight, length in zip(TEXT_WEIGHTS.tolist(), LENGTHS, strict=True):
        for i in range(start, start + length):
            for j in range(start, start + length):
                for head in range(HEADS):
                    part = slice(head * size, (head + 1) * size)
                    student = (sq[i, part] @ sk[j, part]).item() / math.sqrt(size)
                    teacher = (tq[i, part] @ tk[j, part]).item() / math.sqrt(size)
                    expected += weight * (student - teacher) ** 2 / HEADS
        start += length
    value = attention_score_error((sq, sk), (tq, tk), HEADS, GROUPS, TEXT_WEIGHTS)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_the_cosine_distance_looks_at_directions_only():
    student, teacher = tokens(0), tokens(1)
    expected = sum(
        weight * (1 - (s @ t).item() / (s.norm() * t.norm()).item())
        for s, t, weight in zip(student, teacher, TOKEN_WEIGHTS.tolist(), strict=True)
    )
    assert cosine_distance(student, teacher, TOKEN_WEIGHTS).item() == pytest.approx(expected, rel=1e-5)
    assert cosine_distance(student, 3 * student, TOKEN_WEIGHTS).item() == pytest.approx(0, abs=1e-6)


def test_first_tokens_are_compared_at_length_1():
    student, teacher = tokens(0)[:3], tokens(1)[:3]
    expected = sum(
        weight * ((s / s.norm() - t / t.norm()) ** 2).sum().item()
        for s, t, weight in zip(student, teacher, TEXT_WEIGHTS.tolist(), strict=True)
    )
    assert direction_error(student, teacher, TEXT_WEIGHTS).item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_computed_in_parts_gives_the_sum():
    student, teacher = tokens(0), tokens(1)
    whole = hidden_state_error(student, teacher, TOKEN_WEIGHTS)
    parts = [
        hidden_state_error(student[rows], teacher[rows], TOKEN_WEIGHTS[rows]) for rows in (slice(0, 4), slice(4, None))
    ]
    torch.testing.assert_close(sum(parts), whole)
