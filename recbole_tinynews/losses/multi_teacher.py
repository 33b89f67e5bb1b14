"""Stage 2: several fine-tuned teachers teach one student."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from recbole_tinynews.losses.projections import identities
from recbole_tinynews.losses.soft_label import soft_label_loss
from recbole_tinynews.losses.teacher_weights import teacher_weights

__all__ = ["MultiTeacherLoss"]


class MultiTeacherLoss(nn.Module):
    """Multi-teacher knowledge distillation (paper, section 3.3).

    ``KD(y_s, sum_i w_i y_i) + mean_b sum_i w_i (L_news,i + L_user,i) + target_weight * CE(y_s, y)``, the first two
    terms times weights that are 1 in the paper. ``w`` comes from :func:`teacher_weights`, ``L_news,i`` is the mean
    squared difference of the student's news vectors and the projected ones of teacher ``i`` over the real history and
    candidate news, and ``L_user,i`` the same for the user vector. Scores are mixed, the softmax comes afterwards.
    Projections start as the identity.

    Parameters
    ----------
    news_dim : int
        Size of news and user vectors.
    num_teachers : int
        Number of teachers.
    temperature : float
        Temperature of the soft labels.
    target_weight : float
        Weight of the cross-entropy with the clicks (the paper's beta2).
    learn_omega : bool
        Learn the sharpness of the weights, which starts at 1 and stays positive; else it is 1.
    shared_projection : bool
        One linear map a teacher for news and user vectors, as in the authors' code, instead of two, as in
        the paper.
    distill_weight, embedding_weight : float
        Weights of the other two terms.
    """

    def __init__(
        self,
        news_dim: int,
        num_teachers: int,
        temperature: float = 1.0,
        target_weight: float = 0.1,
        learn_omega: bool = True,
        shared_projection: bool = False,
        distill_weight: float = 1.0,
        embedding_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.distill_weight = distill_weight
        self.embedding_weight = embedding_weight
        self.temperature = temperature
        self.target_weight = target_weight
        self.log_omega = nn.Parameter(torch.zeros(()), requires_grad=learn_omega)
        self.news_projections = identities(news_dim, num_teachers)
        self.user_projections = self.news_projections if shared_projection else identities(news_dim, num_teachers)

    @property
    def omega(self) -> torch.Tensor:
        """Sharpness of the teachers' weights."""
        return self.log_omega.exp()

    def forward(
        self,
        student_scores: torch.Tensor,
        student_news: torch.Tensor,
        student_user: torch.Tensor,
        teacher_scores: torch.Tensor,
        teacher_news: torch.Tensor,
        teacher_user: torch.Tensor,
        labels: torch.Tensor,
        news_mask: torch.Tensor,
        news_slots: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute the loss of a batch.

        Parameters
        ----------
        student_scores : Tensor of shape (batch, candidates)
            Student's scores.
        student_news : Tensor of shape (batch, slots, news_dim) or (news, news_dim)
            Student's vectors of history and candidates; with ``news_slots`` those of the distinct news only.
        student_user : Tensor of shape (batch, news_dim)
            Student's user vectors.
        teacher_scores, teacher_news, teacher_user : Tensor
            The same of all teachers, with a leading dimension of ``teachers``.
        labels : int64 Tensor of shape (batch,)
            Position of the clicked candidate.
        news_mask : bool Tensor of shape (batch, slots)
            True where a slot holds a news.
        news_slots : int64 Tensor of shape (batch, slots), optional
            Row of ``student_news`` and ``teacher_news`` that each slot holds.

        Returns
        -------
        dict
            ``loss``, its parts ``distill``, ``embedding`` and ``target`` (before their weights), and
            ``weights`` of shape (batch, teachers).
        """
        if news_slots is None:
            batch, slots, _ = student_news.shape
            news_slots = torch.arange(batch * slots, device=student_news.device).view(batch, slots)
            student_news, teacher_news = student_news.flatten(0, 1), teacher_news.flatten(1, 2)
        weights = teacher_weights(teacher_scores, labels, self.omega)
        mixed_scores = torch.einsum("bi,ibc->bc", weights, teacher_scores)

        news_errors = _squared_errors(student_news, teacher_news, self.news_projections)
        user_errors = _squared_errors(student_user, teacher_user, self.user_projections)
        in_sample = news_mask.unsqueeze(-1) * nn.functional.embedding(news_slots, news_errors)
        news_loss = in_sample.sum(dim=1) / news_mask.sum(dim=1, keepdim=True)

        distill = soft_label_loss(student_scores, mixed_scores, self.temperature)
        embedding = (weights * (news_loss + user_errors)).sum(dim=1).mean()
        target = cross_entropy(student_scores, labels)
        return {
            "loss": self.distill_weight * distill + self.embedding_weight * embedding + self.target_weight * target,
            "distill": distill,
            "embedding": embedding,
            "target": target,
            "weights": weights,
        }


def _squared_errors(student: torch.Tensor, teachers: torch.Tensor, projections: nn.ModuleList) -> torch.Tensor:
    """Mean squared error of each vector against each projected teacher's, shape (vectors, teachers)."""
    errors = [
        (student - projection(vectors)).square().mean(dim=-1)
        for projection, vectors in zip(projections, teachers, strict=True)
    ]
    return torch.stack(errors, dim=-1)
