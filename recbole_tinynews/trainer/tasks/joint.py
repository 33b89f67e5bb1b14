"""Training a teacher and a student together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.layers import ClickModel, NewsMemory, NewsSlots, TextSource
from recbole_tinynews.losses import soft_label_loss
from recbole_tinynews.trainer.tasks.clicks import ClickTask
from recbole_tinynews.trainer.tasks.layerwise import layer_error

__all__ = ["JointTraining", "blend_gradients"]


class JointTraining(ClickTask):
    """NewsBERT (arXiv 2102.04887): a teacher learns from clicks, and a student from clicks and from the teacher.

    They share pooling, linear map and user encoder. Loss of the teacher: cross-entropy. Of the student:
    ``distill_weight * KD + target_weight * CE + layer_weight * (squared errors of the matched layers' states) +
    embedding_weight * (squared errors of news vectors and of user vectors)``; what the teacher says is taken as given
    there. After each backward pass the gradients of the student's layers are blended with the teacher's, see
    :func:`blend_gradients`.

    Parameters
    ----------
    student, teacher : ClickModel
        Both are trained; the teacher's pooling, linear map and user encoder are put into the student.
    titles, teacher_titles : TextSource
        Titles as the trained layers of each get them.
    matched : mapping of int to int
        Layers of the student, and which of the teacher's they are compared with.
    weights : mapping
        ``temperature``, ``momentum`` and the four weights.
    memory : NewsMemory, optional
        For vectors of student and teacher side by side.
    """

    titles: TextSource

    def __init__(
        self,
        student: ClickModel,
        teacher: ClickModel,
        titles: TextSource,
        teacher_titles: TextSource,
        matched: Mapping[int, int],
        weights: Mapping[str, float],
        memory: NewsMemory | None = None,
    ) -> None:
        super().__init__(student, titles, memory)
        student.user_encoder = teacher.user_encoder
        student.news_encoder.pooling = teacher.news_encoder.pooling
        student.news_encoder.dense = teacher.news_encoder.dense
        self.teacher = teacher
        self.teacher_titles = teacher_titles
        self.matched = dict(matched)
        self.weights = dict(weights)

    def forward(self, batch: ClickBatch) -> dict[str, torch.Tensor]:
        """Loss, and its parts before their weights."""
        slots = NewsSlots.of(batch, self.student.device)
        layers: list[torch.Tensor] = []

        def encode(rows: np.ndarray) -> torch.Tensor:
            vectors, own = self.student.news_encoder.with_layers(self.titles, rows, list(self.matched))
            of_teacher, masters = self.teacher.news_encoder.with_layers(
                self.teacher_titles, rows, list(self.matched.values())
            )
            fixed = [
                master._replace(layers={n: type(s)(*(t.detach() for t in s)) for n, s in master.layers.items()})
                for master in masters
            ]
            counts, lengths = slots.counts(rows), self.titles.lengths[rows]
            layers.append(layer_error(own, fixed, self.matched, "newsbert", counts, lengths, 1))
            return torch.cat([vectors, of_teacher], dim=1)

        vectors, of_teacher = self.vectors(slots, encode).chunk(2, dim=1)
        student, teacher = self.student.score(vectors, slots), self.teacher.score(of_teacher, slots)
        labels = batch.labels.to(self.student.device)
        counts = slots.counts(slots.news)
        errors = (vectors - of_teacher.detach()).square().mean(dim=1)
        parts = {
            "distill": soft_label_loss(student.scores, teacher.scores.detach() / self.weights["temperature"]),
            "target": cross_entropy(student.scores, labels),
            "layer": layers[0],
            "embedding": (counts * errors).sum() / counts.sum() + mse_loss(student.user, teacher.user.detach()),
        }
        of_student = sum(self.weights[f"{name}_weight"] * part for name, part in parts.items())
        target = cross_entropy(teacher.scores, labels)
        return {"loss": target + of_student, "teacher_target": target, **parts}

    def after_backward(self) -> None:
        """Blend the gradients of the matched layers; a student of one layer gets those of the teacher's last two."""
        own, masters = self.student.news_encoder.plm, self.teacher.news_encoder.plm
        pairs = {layer: [of_teacher] for layer, of_teacher in self.matched.items()}
        if len(own.layers) == 1:
            pairs = {0: list(range(max(masters.num_frozen, len(masters.layers) - 2), len(masters.layers)))}
        for layer, of_teacher in pairs.items():
            blend_gradients(own.layers[layer], [masters.layers[number] for number in of_teacher],
                            self.weights["momentum"])  # fmt: skip


def blend_gradients(student: nn.Module, teachers: Sequence[nn.Module], momentum: float) -> None:
    """Set ``grad_s = (1 - momentum) * grad_s + momentum * (mean of the teachers' gradients)`` (NewsBERT).

    Parameters
    ----------
    student, teachers : Module
        Of the same form.
    momentum : float
        Share of the teachers.
    """
    for own, *masters in zip(student.parameters(), *(teacher.parameters() for teacher in teachers), strict=True):
        gradients = [master.grad for master in masters if master.grad is not None]
        if own.grad is not None and gradients:
            own.grad.mul_(1 - momentum).add_(torch.stack(gradients).mean(dim=0), alpha=momentum)
