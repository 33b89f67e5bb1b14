"""Tiny-NewsRec as a RecBole model: the student."""

from __future__ import annotations

from recbole_tinynews.model.plm_model import PLMModel

__all__ = ["TinyNewsRec"]


class TinyNewsRec(PLMModel):
    """A student of few layers, made by two stages of distillation (paper, sections 3.2 and 3.3)."""
