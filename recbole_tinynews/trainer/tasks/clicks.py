"""What each stage learns: a batch in, a loss and its parts out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.data.pairs import PairBatch
from recbole_tinynews.layers import ClickModel, ClickScores, NewsEncoder, NewsInput, NewsMemory, NewsSlots
from recbole_tinynews.losses import MatchingDistillationLoss, MultiTeacherLoss, matching_scores
from recbole_tinynews.trainer.loop import Task

__all__ = ["ClickDistillation", "ClickTask", "Matching", "MatchingDistillation"]


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


class ClickTask(Task):
    """Fine-tuning: tell the clicked news from those shown beside it.

    Parameters
    ----------
    student : ClickModel
        What is trained.
    titles : NewsInput
        Titles of all news.
    memory : NewsMemory, optional
        Vectors of clicked news from earlier steps; without it every news of a batch is encoded.
    """

    student: ClickModel

    def __init__(self, student: ClickModel, titles: NewsInput, memory: NewsMemory | None = None) -> None:
        super().__init__()
        self.student = student
        self.titles = titles
        self.memory = memory

    @property
    def device(self) -> torch.device:
        """Where the student is; frozen states may be elsewhere."""
        return self.student.news_encoder.dense.weight.device

    def score(self, slots: NewsSlots) -> ClickScores:
        """What the student says about a batch."""
        if self.memory is None:
            return self.student(self.titles, slots)
        return self.student.score(self.memory(self.student.news_encoder, self.titles, slots), slots)

    def forward(self, batch: ClickBatch) -> dict[str, torch.Tensor]:
        """Cross-entropy over the candidates."""
        output = self.score(NewsSlots.of(batch, self.device))
        return {"loss": cross_entropy(output.scores, batch.labels.to(output.scores.device))}


class ClickDistillation(ClickTask):
    """Stage 2: click like the fine-tuned teachers.

    Parameters
    ----------
    student : ClickModel
        What is trained.
    teachers : sequence of ClickModel
        Frozen; only their user encoders are run.
    teacher_news : Tensor of shape (teachers, all news, news_dim)
        The teachers' news vectors, computed once.
    titles : NewsInput
        Titles of all news.
    loss : MultiTeacherLoss
        How the student is compared with them.
    memory : NewsMemory, optional
        As for :class:`ClickTask`.
    """

    def __init__(
        self,
        student: ClickModel,
        teachers: Sequence[ClickModel],
        teacher_news: torch.Tensor,
        titles: NewsInput,
        loss: MultiTeacherLoss,
        memory: NewsMemory | None = None,
    ) -> None:
        super().__init__(student, titles, memory)
        self.loss = loss
        self.teachers = tuple(teacher.eval() for teacher in teachers)
        self.teacher_news = (teacher_news,)  # in a tuple, not a buffer: it is no part of the task's state

    def forward(self, batch: ClickBatch) -> dict[str, torch.Tensor]:
        """Loss and parts of :class:`MultiTeacherLoss`, and omega."""
        slots = NewsSlots.of(batch, self.device)
        student = self.score(slots)
        with torch.no_grad():
            vectors = self.teacher_news[0][:, torch.from_numpy(slots.news)]
            teachers = [teacher.score(news, slots) for teacher, news in zip(self.teachers, vectors, strict=True)]
        parts = self.loss(
            student.scores,
            student.news,
            student.user,
            torch.stack([teacher.scores for teacher in teachers]),
            torch.stack([teacher.news for teacher in teachers]),
            torch.stack([teacher.user for teacher in teachers]),
            batch.labels.to(student.scores.device),
            news_mask=slots.slots > 0,
            news_slots=slots.slots,
        )
        return {**parts, "omega": self.loss.omega}
