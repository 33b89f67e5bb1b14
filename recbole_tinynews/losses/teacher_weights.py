"""How much each teacher is trusted with a sample."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

__all__ = ["teacher_weights"]


def teacher_weights(
    teacher_scores: torch.Tensor, labels: torch.Tensor, omega: torch.Tensor | float = 1.0
) -> torch.Tensor:
    """Weights ``w_b = softmax_i(-omega l_ib)`` with ``l_ib = CE(scores of teacher i, label)``.

    The teacher that is less wrong about a sample counts more there (paper, section 3.3).

    Parameters
    ----------
    teacher_scores : Tensor of shape (teachers, batch, candidates)
        Scores before any softmax.
    labels : int64 Tensor of shape (batch,)
        Position of the clicked candidate.
    omega : float or scalar Tensor
        Sharpness, positive. Gradients flow to it.

    Returns
    -------
    Tensor of shape (batch, teachers)
        Rows sum to 1.
    """
    teachers, batch, candidates = teacher_scores.shape
    losses = cross_entropy(
        teacher_scores.reshape(-1, candidates), labels.repeat(teachers), reduction="none"
    ).view(teachers, batch)
    return torch.softmax(-omega * losses, dim=0).T
