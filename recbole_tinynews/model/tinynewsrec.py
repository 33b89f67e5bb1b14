"""Tiny-NewsRec as a RecBole model: the student."""

from __future__ import annotations

from recbole_tinynews.model.plmnr import PLMNR

__all__ = ["TinyNewsRec"]


class TinyNewsRec(PLMNR):
    """A PLM-NR of few layers, made by two stages of distillation.

    The network is that of :class:`PLMNR` at ``student_layers``; how it comes to its weights is the matter
    of :class:`recbole_tinynews.trainer.TinyNewsRecTrainer`.
    """

    depth_key = "student_layers"
