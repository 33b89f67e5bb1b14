"""Losses: pure functions of tensors."""

from recbole_tinynews.losses.matching import MatchingDistillationLoss, matching_scores
from recbole_tinynews.losses.multi_teacher import MultiTeacherLoss
from recbole_tinynews.losses.soft_label import soft_label_loss
from recbole_tinynews.losses.teacher_weights import teacher_weights

__all__ = ["MatchingDistillationLoss", "MultiTeacherLoss", "matching_scores", "soft_label_loss", "teacher_weights"]
