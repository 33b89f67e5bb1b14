"""Masked language modelling on the fast path."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import BatchEncoding

from recbole_tinynews import distributed
from recbole_tinynews.data.ragged import Ragged, places
from recbole_tinynews.layers import MaskedHead, NewsEncoder, NewsInput
from recbole_tinynews.trainer.loop import Task

__all__ = ["MaskedLanguage"]


class MaskedLanguage(Task):
    """Guess masked tokens: further pre-training, the paper's FP.

    Parameters
    ----------
    student : NewsEncoder
        Its PLM is trained.
    head : MaskedHead
        From states to words.
    """

    student: NewsEncoder

    def __init__(self, student: NewsEncoder, head: MaskedHead) -> None:
        super().__init__()
        self.student = student
        self.head = head

    def forward(self, batch: BatchEncoding) -> dict[str, torch.Tensor]:
        """Cross-entropy over the tokens that Hugging Face's collator has chosen, and how often the guess is right."""
        device = self.student.dense.weight.device
        real = batch["attention_mask"].bool()
        tokens = Ragged.from_lengths(batch["input_ids"][real].numpy(), real.sum(dim=1).numpy())
        labels = batch["labels"][real]
        source = NewsInput.from_tokens(tokens, device)
        _, packs = self.student.with_layers(source, np.arange(len(tokens)))
        losses, hits = torch.zeros(2, device=device)
        for pack in packs:
            expected = labels[torch.from_numpy(places(tokens.offsets, pack.places))].to(device)
            with self.student.autocast():
                scores = self.head(pack.states[expected >= 0]).float()
            losses = losses + cross_entropy(scores, expected[expected >= 0], reduction="sum")
            hits = hits + (scores.argmax(dim=1) == expected[expected >= 0]).sum()
        number = (labels >= 0).sum().clamp(min=1)
        return {"loss": distributed.whole(losses) / number, "accuracy": distributed.whole(hits) / number}
