"""PLM-NR as a RecBole model."""

from __future__ import annotations

from recbole_tinynews.model.plm_model import PLMModel

__all__ = ["PLMNR"]


class PLMNR(PLMModel):
    """PLM-NR: the language model's last layers are fine-tuned on clicks (paper, section 3.1).

    With ``pretraining`` the encoder first reads bodies (masked language modelling, the paper's FP) or learns to match
    titles with them (DP, what the teachers of Tiny-NewsRec start from).
    """

    depth_key = "layers"
