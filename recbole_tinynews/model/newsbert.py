"""NewsBERT as a RecBole model: the student."""

from __future__ import annotations

from recbole_tinynews.model.plm_model import PLMModel

__all__ = ["NewsBERT"]


class NewsBERT(PLMModel):
    """A student that is trained together with its teacher (a baseline of the paper; arXiv 2102.04887)."""
