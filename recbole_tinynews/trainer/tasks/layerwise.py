"""Learning from one fine-tuned teacher, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from recbole_tinynews import distributed
from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.layers import ClickModel, LayerStates, NewsMemory, NewsSlots, PackStates, TextSource
from recbole_tinynews.layers.texts import Groups, text_offsets
from recbole_tinynews.losses import soft_label_loss
from recbole_tinynews.losses.layerwise import (
    attention_score_error,
    cosine_distance,
    direction_error,
    hidden_state_error,
)
from recbole_tinynews.trainer.tasks.clicks import ClickTask

__all__ = ["LAYER_LOSSES", "LayerwiseDistillation", "layer_error", "matched_layers"]


class LayerwiseDistillation(ClickTask):
    """Click like a fine-tuned teacher, and read like it: TinyBERT's losses, or DistilBERT's or BERT-PKD's.

    ``distill_weight * KD + target_weight * CE + layer_weight * (sum over matched layers)``; in KD only the teacher's
    scores are divided by the temperature. The teacher's last layers run in every step, since their states are too many
    to be kept; all else takes the fast path.

    Parameters
    ----------
    student, teacher : ClickModel
        The teacher is frozen.
    teacher_news : Tensor of shape (all news, news_dim)
        The teacher's news vectors, computed once.
    titles, teacher_titles : TextSource
        Titles as the trained layers of the student, and the matched layers of the teacher, get them.
    matched : mapping of int to int
        Layers of the student, and which of the teacher's they are compared with; see :func:`matched_layers`.
    layer_loss : {"tinybert", "distilbert", "pkd"}
        How they are compared.
    weights : mapping
        ``temperature``, ``distill_weight``, ``layer_weight`` and ``target_weight``.
    memory : NewsMemory, optional
        As for :class:`ClickTask`; only news that are encoded are compared layer by layer.
    """

    titles: TextSource

    def __init__(
        self,
        student: ClickModel,
        teacher: ClickModel,
        teacher_news: torch.Tensor,
        titles: TextSource,
        teacher_titles: TextSource,
        matched: Mapping[int, int],
        layer_loss: str,
        weights: Mapping[str, float],
        memory: NewsMemory | None = None,
    ) -> None:
        super().__init__(student, titles, memory)
        self.teacher = (teacher.eval(),)  # in tuples: no part of the task's state
        self.teacher_news = (teacher_news,)
        self.teacher_titles = teacher_titles
        self.matched = dict(matched)
        self.layer_loss = layer_loss
        self.weights = dict(weights)

    def forward(self, batch: ClickBatch) -> dict[str, torch.Tensor]:
        """Loss, and its parts before their weights."""
        slots, (teacher,), (table,) = NewsSlots.of(batch, self.student.device), self.teacher, self.teacher_news
        layers: list[torch.Tensor] = []

        def encode(rows: np.ndarray) -> torch.Tensor:
            vectors, own = self.student.news_encoder.with_layers(self.titles, rows, list(self.matched))
            with torch.no_grad():
                _, masters = teacher.news_encoder.with_layers(self.teacher_titles, rows, list(self.matched.values()))
            heads = teacher.news_encoder.plm.model.config.num_attention_heads
            counts, lengths = slots.counts(rows), self.titles.lengths[rows]
            layers.append(layer_error(own, masters, self.matched, self.layer_loss, counts, lengths, heads))
            return vectors

        student = self.student.score(self.vectors(slots, encode), slots)
        with torch.no_grad():
            teacher_scores = teacher.score(table[torch.from_numpy(slots.news)], slots).scores
        distill = soft_label_loss(student.scores, teacher_scores / self.weights["temperature"])
        target = cross_entropy(student.scores, batch.labels.to(self.student.device))
        loss = (
            self.weights["distill_weight"] * distill
            + self.weights["target_weight"] * target
            + self.weights["layer_weight"] * layers[0]
        )
        return {"loss": loss, "distill": distill, "layers": layers[0], "target": target}


def matched_layers(student: int, teacher: int, number: int, how: str) -> dict[int, int]:
    """Say which layers of a teacher the last layers of a student are compared with.

    Parameters
    ----------
    student, teacher : int
        Layers that they have.
    number : int
        Layers of the student that are compared, at most; counted from its last.
    how : {"last", "skip"}
        The teacher's last ones, or such as stand at the same part of its depth.

    Returns
    -------
    dict of int to int
        Numbers counted from 0.

    Examples
    --------
    >>> matched_layers(4, 12, 2, "last")
    {2: 10, 3: 11}
    >>> matched_layers(4, 12, 2, "skip")
    {2: 8, 3: 11}
    """
    chosen = range(max(0, student - number), student)
    if how == "last":
        return {layer: teacher - student + layer for layer in chosen}
    return {layer: round((layer + 1) * teacher / student) - 1 for layer in chosen}


class _Weights(NamedTuple):
    """Weights that add up to 1 over a batch: of its texts, of their tokens, of their tokens' scores."""

    texts: torch.Tensor
    tokens: torch.Tensor
    scores: torch.Tensor


def layer_error(
    student: Sequence[PackStates],
    teacher: Sequence[PackStates],
    matched: Mapping[int, int],
    layer_loss: str,
    counts: torch.Tensor,
    lengths: np.ndarray,
    heads: int,
) -> torch.Tensor:
    """Compare the matched layers for all news of a batch; the sum over layers.

    Parameters
    ----------
    student, teacher : sequence of PackStates
        Of the same news in the same order.
    matched : mapping of int to int
        Layers of the student and of the teacher.
    layer_loss : {"tinybert", "distilbert", "pkd"}
        How.
    counts : Tensor of shape (news,)
        How often each news counts.
    lengths : int ndarray of shape (news,)
        Tokens of each news.
    heads : int
        Attention heads.
    """
    sizes = torch.from_numpy(lengths).to(counts)
    total = counts.new_zeros(())
    for own, master in zip(student, teacher, strict=True):
        place = torch.from_numpy(own.places).to(counts.device)
        texts = counts[place]
        weights = _Weights(
            texts / counts.sum(),
            (texts / (counts * sizes).sum()).repeat_interleave(sizes[place].long()),
            texts / (counts * sizes.square()).sum(),
        )
        for layer, of_teacher in matched.items():
            pair = own.layers[layer], master.layers[of_teacher]
            total = total + LAYER_LOSSES[layer_loss](*pair, weights, own.groups, heads)
    return distributed.whole(total)


def _tinybert(own: LayerStates, master: LayerStates, weights: _Weights, groups: Groups, heads: int) -> torch.Tensor:
    states = hidden_state_error(own.hidden, master.hidden, weights.tokens)
    return states + attention_score_error(own[1:], master[1:], heads, groups, weights.scores)


def _distilbert(own: LayerStates, master: LayerStates, weights: _Weights, *_: object) -> torch.Tensor:
    return cosine_distance(own.hidden, master.hidden, weights.tokens)


def _pkd(own: LayerStates, master: LayerStates, weights: _Weights, groups: Groups, heads: int) -> torch.Tensor:
    first = text_offsets(groups, own.hidden.device)[:-1]
    return direction_error(own.hidden[first], master.hidden[first], weights.texts)


def _states(own: LayerStates, master: LayerStates, weights: _Weights, *_: object) -> torch.Tensor:
    return hidden_state_error(own.hidden, master.hidden, weights.tokens)


LAYER_LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "tinybert": _tinybert,
    "distilbert": _distilbert,
    "pkd": _pkd,
    "newsbert": _states,
}
