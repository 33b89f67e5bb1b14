"""Evaluation of any RecBole model on impressions."""

from recbole_tinynews.evaluator.metrics import METRICS, evaluated, impression_metrics, mean_of, rate
from recbole_tinynews.evaluator.scoring import score_impressions

__all__ = ["METRICS", "evaluated", "impression_metrics", "mean_of", "rate", "score_impressions"]
