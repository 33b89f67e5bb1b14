"""Means over repeats, and whether one system is better than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from recbole_tinynews.benchmark.records import Measured

__all__ = ["Comparison", "Summary", "compare", "summarise"]

_RESAMPLES, _AT_ONCE = 9_999, 500


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
    difference = _mean_of_seeds(one, metric) - _mean_of_seeds(other, metric)
    difference = difference[~np.isnan(difference)]
    mean, names = float(difference.mean()), (one.row.name, other.row.name)
    if not difference.std() or len(difference) < 2:  # the same scores: there is nothing to be tested
        return Comparison(*names, metric, mean, mean, mean, 1.0, len(difference))
    interval = stats.bootstrap(
        (difference,), np.mean, n_resamples=_RESAMPLES, batch=_AT_ONCE, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    p = float(stats.ttest_1samp(difference, 0.0).pvalue)
    return Comparison(*names, metric, mean, float(interval.low), float(interval.high), p, len(difference))


def _mean_of_seeds(measured: Measured, metric: str) -> np.ndarray:
    arrays: Sequence[np.ndarray] = [values[metric] for values in measured.values]
    return np.mean(arrays, axis=0)
