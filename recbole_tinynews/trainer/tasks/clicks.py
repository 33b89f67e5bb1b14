"""Learning from clicks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.layers import ClickModel, ClickScores, NewsMemory, NewsSlots, NewsSource
from recbole_tinynews.losses import MultiTeacherLoss
from recbole_tinynews.trainer.loop import Task

__all__ = ["ClickDistillation", "ClickTask"]


class ClickTask(Task):
    """Fine-tuning: tell the clicked news from those shown beside it.

    Parameters
    ----------
    student : ClickModel
        What is trained.
    titles : NewsSource
        Titles of all news.
    memory : NewsMemory, optional
        Vectors of clicked news from earlier steps; without it every news of a batch is encoded.
    """

    student: ClickModel

    def __init__(self, student: ClickModel, titles: NewsSource, memory: NewsMemory | None = None) -> None:
        super().__init__()
        self.student = student
        self.titles = titles
        self.memory = memory

    def vectors(self, slots: NewsSlots, encode: Callable[[np.ndarray], torch.Tensor]) -> torch.Tensor:
        """Vectors of the distinct news of a batch: encoded, but for those that are kept."""
        return encode(slots.news) if self.memory is None else self.memory(encode, slots)

    def score(self, slots: NewsSlots) -> ClickScores:
        """What the student says about a batch."""
        return self.student.score(self.vectors(slots, partial(self.student.news_encoder, self.titles)), slots)

    def forward(self, batch: ClickBatch) -> dict[str, torch.Tensor]:
        """Cross-entropy over the candidates."""
        output = self.score(NewsSlots.of(batch, self.student.device))
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
    titles : NewsSource
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
        titles: NewsSource,
        loss: MultiTeacherLoss,
        memory: NewsMemory | None = None,
    ) -> None:
        super().__init__(student, titles, memory)
        self.loss = loss
        self.teachers = tuple(teacher.eval() for teacher in teachers)
        self.teacher_news = (teacher_news,)  # in a tuple, not a buffer: it is no part of the task's state

    def forward(self, batch: ClickBatch) -> dict[str, torch.Tensor]:
        """Loss and parts of :class:`MultiTeacherLoss`, and omega."""
        slots = NewsSlots.of(batch, self.student.device)
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
