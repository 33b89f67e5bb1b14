"""Evaluation of any RecBole model on impressions."""

from recbole_tinynews.evaluator.metrics import METRICS, evaluated, impression_metrics

__all__ = ["METRICS", "evaluated", "impression_metrics"]
