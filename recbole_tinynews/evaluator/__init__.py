"""Evaluation of any RecBole model on impressions."""

from recbole_tinynews.evaluator.diversity import diversity_metrics
from recbole_tinynews.evaluator.metrics import METRICS, evaluated, impression_metrics, mean_of, rate
from recbole_tinynews.evaluator.scoring import score_impressions
from recbole_tinynews.evaluator.slices import rate_slices, slices

__all__ = [
    "METRICS",
    "diversity_metrics",
    "evaluated",
    "impression_metrics",
    "mean_of",
    "rate",
    "rate_slices",
    "score_impressions",
    "slices",
]
