"""TinyBERT for news recommendation, as a RecBole model: the student."""

from __future__ import annotations

from recbole_tinynews.model.plm_model import PLMModel

__all__ = ["TinyBERT"]


class TinyBERT(PLMModel):
    """A student that learns from one fine-tuned teacher, layer by layer (a baseline of the paper; arXiv 1909.10351).

    Other losses between layers make it DistilBERT (arXiv 1910.01108) or BERT-PKD (arXiv 1908.09355).
    """
