"""Means over repeats, and whether one system is better than another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from recbole_tinynews.benchmark.records import Measured

__all__ = ["Comparison", "Summary", "compare", "is_better", "summarise"]

_RESAMPLES, _DRAWN_AT_ONCE = 9_999, 2**22


@dataclass(frozen=True)
class Summary:
    """A metric over repeats.

    Parameters
    ----------
    mean : float
        Mean over repeats.
    std : float, optional
        Standard deviation over repeats (divided by their number less one); None with one repeat.
    repeats : int
        How many there are.
    """

    mean: float
    std: float | None
    repeats: int


@dataclass(frozen=True)
class Comparison:
    """How much better one system ranks the same impressions than another.

    Parameters
    ----------
    better, other : str
        Names of the rows.
    metric : str
        What is compared.
    difference : float
        Mean over impressions of the first less the second.
    low, high : float
        Bootstrap interval of the difference, 95 %, over impressions.
    p : float
        Of a paired t test over impressions.
    impressions : int
        How many were compared.
    """

    better: str
    other: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    impressions: int


def summarise(measured: Measured, metric: str) -> Summary:
    """Mean and standard deviation of a metric over the repeats of a row."""
    values = [result["test_result"][metric] for result in measured.results]
    return Summary(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def compare(one: Measured, other: Measured, metric: str = "auc") -> Comparison:
    """Compare two rows impression by impression, each with its mean over seeds.

    What another seed would change is averaged, not tested: the interval is over impressions.
    """
    difference = _difference(one, other, metric)
    mean, names = float(difference.mean()), (one.row.name, other.row.name)
    p = _p(difference)
    if p is None:
        return Comparison(*names, metric, mean, mean, mean, 1.0, len(difference))
    at_once = max(1, _DRAWN_AT_ONCE // len(difference))
    interval = stats.bootstrap(
        (difference,), np.mean, n_resamples=_RESAMPLES, batch=at_once, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Comparison(*names, metric, mean, float(interval.low), float(interval.high), p, len(difference))


def is_better(one: Measured, other: Measured, metric: str, level: float) -> bool:
    """Tell whether one row is better than another with a p below a level, as :func:`compare` has it."""
    difference = _difference(one, other, metric)
    p = _p(difference)
    return p is not None and p < level and bool(difference.mean() > 0)


def _p(difference: np.ndarray) -> float | None:
    """Of a t test; None where the scores are the same, so that there is nothing to be tested."""
    if len(difference) < 2 or not difference.std():
        return None
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def _difference(one: Measured, other: Measured, metric: str) -> np.ndarray:
    """Difference of each impression that is evaluated, of means over seeds."""
    means = [np.mean([values[metric] for values in measured.values], axis=0) for measured in (one, other)]
    difference = means[0] - means[1]
    return difference[~np.isnan(difference)]
