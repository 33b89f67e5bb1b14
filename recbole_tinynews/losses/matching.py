"""Title-body matching: post-training and stage 1."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from recbole_tinynews.losses.projections import identities
from recbole_tinynews.losses.soft_label import soft_label_loss
from recbole_tinynews.losses.teacher_weights import teacher_weights

__all__ = ["MatchingDistillationLoss", "matching_scores"]


def matching_scores(titles: torch.Tensor, bodies: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Scores of each body with its own title and with some other titles of the batch.

    Parameters
    ----------
    titles, bodies : Tensor of shape (batch, news_dim)
        Vectors; row ``b`` of both is one news.
    negatives : int64 Tensor of shape (batch, N)
        Rows of the other titles.

    Returns
    -------
    Tensor of shape (batch, 1 + N)
        Dot products; column 0 is the own title.
    """
    own = torch.arange(len(titles), device=titles.device).unsqueeze(1)
    return (bodies @ titles.T).gather(1, torch.cat([own, negatives], dim=1))


class MatchingDistillationLoss(nn.Module):
    """Stage 1: a student learns to match titles with bodies from post-trained teachers (paper, section 3.2).

    With one teacher (v1): ``KD + MSE(titles) + MSE(bodies) + target_weight * CE``, the first three terms times
    weights that are 1 in the paper. With several (v2) each sample weighs them by :func:`teacher_weights`, their scores
    are mixed, and a linear map on each teacher's side, the identity at the start, stands before the squared errors.

    Parameters
    ----------
    news_dim : int
        Size of news vectors.
    num_teachers : int
        Number of teachers; the linear maps exist from two on.
    temperature : float
        Temperature of the soft labels.
    target_weight : float
        Weight of the cross-entropy (the paper's beta1).
    distill_weight, embedding_weight : float
        Weights of KD and of the squared errors.
    """

    def __init__(
        self,
        news_dim: int,
        num_teachers: int = 1,
        temperature: float = 1.0,
        target_weight: float = 1.0,
        distill_weight: float = 1.0,
        embedding_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.distill_weight = distill_weight
        self.embedding_weight = embedding_weight
        self.temperature = temperature
        self.target_weight = target_weight
        self.projections = identities(news_dim, num_teachers) if num_teachers > 1 else nn.ModuleList([nn.Identity()])

    def forward(
        self,
        student_titles: torch.Tensor,
        student_bodies: torch.Tensor,
        teacher_titles: torch.Tensor,
        teacher_bodies: torch.Tensor,
        negatives: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Compute the loss of a batch.

        Parameters
        ----------
        student_titles, student_bodies : Tensor of shape (batch, news_dim)
            Student's vectors; row ``b`` of both is one news.
        teacher_titles, teacher_bodies : Tensor of shape (teachers, batch, news_dim)
            Teachers' vectors.
        negatives : int64 Tensor of shape (batch, N)
            Rows of the other titles that each body is compared with.

        Returns
        -------
        dict
            ``loss`` and its parts ``distill``, ``embedding`` and ``target`` (before their weights).
        """
        scores = matching_scores(student_titles, student_bodies, negatives)
        teacher_scores = torch.stack(
            [matching_scores(t, b, negatives) for t, b in zip(teacher_titles, teacher_bodies, strict=True)]
        )
        labels = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
        weights = teacher_weights(teacher_scores, labels)

        distill = soft_label_loss(scores, torch.einsum("bi,ibc->bc", weights, teacher_scores), self.temperature)
        errors = [
            mse_loss(student_titles, projection(titles), reduction="none").mean(dim=-1)
            + mse_loss(student_bodies, projection(bodies), reduction="none").mean(dim=-1)
            for projection, titles, bodies in zip(self.projections, teacher_titles, teacher_bodies, strict=True)
        ]
        embedding = (weights * torch.stack(errors, dim=-1)).sum(dim=-1).mean()
        target = cross_entropy(scores, labels)
        return {
            "loss": self.distill_weight * distill + self.embedding_weight * embedding + self.target_weight * target,
            "distill": distill,
            "embedding": embedding,
            "target": target,
        }
