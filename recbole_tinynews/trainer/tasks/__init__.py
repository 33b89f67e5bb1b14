"""What each stage learns: a batch in, a loss and its parts out."""

from recbole_tinynews.trainer.tasks.clicks import ClickDistillation, ClickTask
from recbole_tinynews.trainer.tasks.joint import JointTraining, blend_gradients
from recbole_tinynews.trainer.tasks.layerwise import LAYER_LOSSES, LayerwiseDistillation, matched_layers
from recbole_tinynews.trainer.tasks.masked import MaskedLanguage
from recbole_tinynews.trainer.tasks.matching import Matching, MatchingDistillation

__all__ = [
    "LAYER_LOSSES",
    "ClickDistillation",
    "ClickTask",
    "JointTraining",
    "LayerwiseDistillation",
    "MaskedLanguage",
    "Matching",
    "MatchingDistillation",
    "blend_gradients",
    "matched_layers",
]
