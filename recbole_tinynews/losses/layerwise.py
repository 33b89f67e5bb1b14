"""Distances between what a layer of the student and one of the teacher make of the same tokens.

Texts lie one after another without padding. Each distance is a sum with given weights; with weights that add up to 1
over a batch, it is a mean over the batch, which may then be computed part by part.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import cosine_similarity, normalize

__all__ = ["attention_score_error", "cosine_distance", "direction_error", "hidden_state_error"]


def hidden_state_error(student: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Squared error of states, mean over their numbers (TinyBERT, arXiv 1909.10351, without its map between sizes).

    Parameters
    ----------
    student, teacher : Tensor of shape (tokens, hidden)
        States after a layer.
    weights : Tensor of shape (tokens,)
        Weight of each token.

    Returns
    -------
    Tensor, scalar
    """
    return (weights * (student.float() - teacher.float()).square().mean(dim=-1)).sum()


def attention_score_error(
    student: tuple[torch.Tensor, torch.Tensor],
    teacher: tuple[torch.Tensor, torch.Tensor],
    heads: int,
    groups: Sequence[tuple[int, int]],
    weights: torch.Tensor,
) -> torch.Tensor:
    """Squared error of attention scores before the softmax (TinyBERT, arXiv 1909.10351).

    A score is the dot product of a query and a key of the same text, divided by the root of a head's size. A relative
    position bias, which student and teacher share, drops out.

    Parameters
    ----------
    student, teacher : two Tensors of shape (tokens, hidden) each
        Queries and keys, all heads side by side.
    heads : int
        Attention heads.
    groups : sequence of (number, length)
        How many texts of which length follow each other.
    weights : Tensor of shape (texts,)
        Weight of each of the ``length * length`` scores of a text; heads are averaged.

    Returns
    -------
    Tensor, scalar
    """
    sizes = [number * length for number, length in groups]
    parts = zip(*(part.split(sizes) for part in (*student, *teacher)), strict=True)
    errors = [
        (_scores(sq, sk, heads, group) - _scores(tq, tk, heads, group)).square().mean(dim=1).sum(dim=(1, 2))
        for (sq, sk, tq, tk), group in zip(parts, groups, strict=True)
    ]
    return (weights * torch.cat(errors)).sum()


def cosine_distance(student: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """One minus the cosine of states (DistilBERT, arXiv 1910.01108); parameters as for :func:`hidden_state_error`."""
    return (weights * (1 - cosine_similarity(student.float(), teacher.float(), dim=-1))).sum()


def direction_error(student: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Squared distance of states of length 1 (BERT-PKD, arXiv 1908.09355).

    Parameters
    ----------
    student, teacher : Tensor of shape (texts, hidden)
        States of the first token of each text.
    weights : Tensor of shape (texts,)
        Weight of each text.

    Returns
    -------
    Tensor, scalar
    """
    difference = normalize(student.float(), dim=-1) - normalize(teacher.float(), dim=-1)
    return (weights * difference.square().sum(dim=-1)).sum()


def _scores(query: torch.Tensor, key: torch.Tensor, heads: int, group: tuple[int, int]) -> torch.Tensor:
    """Scores before the softmax, shape (texts, heads, length, length)."""
    q, k = (part.unflatten(0, group).unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key))
    return (q @ k.mT).float() / q.shape[-1] ** 0.5
