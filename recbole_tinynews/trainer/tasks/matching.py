"""Learning to match titles with bodies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from recbole_tinynews.data.pairs import PairBatch
from recbole_tinynews.layers import NewsEncoder, NewsInput
from recbole_tinynews.losses import MatchingDistillationLoss, matching_scores
from recbole_tinynews.trainer.loop import Task

__all__ = ["Matching", "MatchingDistillation"]


class Matching(Task):
    """Post-training: tell a body's own title from others.

    Parameters
    ----------
    student : NewsEncoder
        What is trained.
    titles, bodies : NewsInput
        Texts of the corpus.
    """

    def __init__(self, student: NewsEncoder, titles: NewsInput, bodies: NewsInput) -> None:
        super().__init__()
        self.student = student
        self.titles = titles
        self.bodies = bodies

    def forward(self, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Cross-entropy, and the share of bodies whose own title scores highest."""
        titles, bodies = (self.student(texts, batch.news) for texts in (self.titles, self.bodies))
        scores = matching_scores(titles, bodies, batch.negatives.to(titles.device))
        labels = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
        return {"loss": cross_entropy(scores, labels), "accuracy": (scores.argmax(dim=1) == 0).float().mean()}


class MatchingDistillation(Task):
    """Stage 1: match titles with bodies as the post-trained teachers do.

    Parameters
    ----------
    student : NewsEncoder
        What is trained.
    teachers : sequence of NewsEncoder
        Frozen.
    titles, bodies : NewsInput
        Texts of the corpus.
    loss : MatchingDistillationLoss
        How the student is compared with them.
    """

    def __init__(
        self,
        student: NewsEncoder,
        teachers: Sequence[NewsEncoder],
        titles: NewsInput,
        bodies: NewsInput,
        loss: MatchingDistillationLoss,
    ) -> None:
        super().__init__()
        self.student = student
        self.loss = loss
        self.teachers = tuple(teacher.eval() for teacher in teachers)
        self.titles = titles
        self.bodies = bodies

    def forward(self, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Loss and parts of :class:`MatchingDistillationLoss`."""
        titles, bodies = (self.student(texts, batch.news) for texts in (self.titles, self.bodies))
        with torch.no_grad():
            teacher_titles, teacher_bodies = (
                torch.stack([teacher(texts, batch.news) for teacher in self.teachers])
                for texts in (self.titles, self.bodies)
            )
        return self.loss(titles, bodies, teacher_titles, teacher_bodies, batch.negatives.to(titles.device))
