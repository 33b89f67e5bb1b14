"""Soft labels: the student learns the teacher's distribution over candidates."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

__all__ = ["soft_label_loss"]


def soft_label_loss(
    student_scores: torch.Tensor, teacher_scores: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Cross-entropy between the softmax of the teacher's and of the student's scores.

    ``- mean_b sum_k softmax(t_b / T)_k log softmax(s_b / T)_k``; unlike Hinton's, without a factor ``T^2``
    (paper, section 3.2).

    Parameters
    ----------
    student_scores, teacher_scores : Tensor of shape (batch, candidates)
        Scores before any softmax.
    temperature : float
        ``T``.

    Returns
    -------
    Tensor, scalar
        The mean over the batch.

    Examples
    --------
    >>> soft_label_loss(torch.zeros(1, 2), torch.tensor([[3.0, -3.0]])).item()  # log 2
    0.6931471824645996
    """
    return cross_entropy(student_scores / temperature, (teacher_scores / temperature).softmax(dim=-1))
