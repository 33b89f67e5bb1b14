"""Ranking metrics of impressions, as MIND defines them, with ties counted by expectation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import chunks
from recbole_tinynews.errors import InputError

__all__ = ["METRICS", "evaluated", "impression_metrics", "mean_of", "rate"]

METRICS = ("auc", "mrr", "ndcg@5", "ndcg@10")

_IMPRESSIONS_AT_ONCE = 100_000  # so that ranking a long log takes no more memory than a short one


@overload
def impression_metrics(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    offsets: npt.ArrayLike,
    ks: Sequence[int] = ...,
    per_impression: Literal[False] = ...,
) -> dict[str, float]: ...


@overload
def impression_metrics(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    offsets: npt.ArrayLike,
    ks: Sequence[int] = ...,
    *,
    per_impression: Literal[True],
) -> dict[str, np.ndarray]: ...


def impression_metrics(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    offsets: npt.ArrayLike,
    ks: Sequence[int] = (5, 10),
    per_impression: bool = False,
) -> dict[str, float] | dict[str, np.ndarray]:
    """Rate how each impression's candidates are ranked.

    AUC is the share of (clicked, not clicked) pairs in the right order. MRR is the mean of 1/rank over all clicked
    candidates. nDCG@k has gain 1 for a click and discount 1/log2(rank + 1). Candidates with the same score stand in
    every order equally often: each value is the expectation over these orders.

    Parameters
    ----------
    scores : ndarray of shape (total,)
        Impression ``i`` is ``scores[offsets[i]:offsets[i + 1]]``; computed in double precision.
    labels : ndarray of shape (total,)
        1 clicked, 0 not clicked.
    offsets : ndarray of shape (n + 1,)
        Where each impression starts, from 0 to ``total``.
    ks : sequence of int
        Cuts of nDCG.
    per_impression : bool
        Return the value of each impression, NaN where it is not evaluated (see `evaluated`), not the mean.

    Returns
    -------
    dict
        ``auc``, ``mrr`` and ``ndcg@k``: the mean over the evaluated impressions (NaN if there are none), or arrays of
        shape (n,).

    Raises
    ------
    InputError
        If a score is NaN, a label is not 0 or 1, or the lengths do not fit.

    Examples
    --------
    >>> impression_metrics([0.3, 0.1, 0.2], [0, 0, 1], [0, 3])["auc"]
    0.5
    """
    scores = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(labels)
    offsets = np.asarray(offsets, dtype=np.int64)
    _check(scores, labels, offsets)
    result: dict[str, np.ndarray] = {}
    for name in ("auc", "mrr", *(f"ndcg@{k}" for k in ks)):
        result[name] = np.full(len(offsets) - 1, np.nan)
    for start, stop in chunks(len(offsets) - 1, _IMPRESSIONS_AT_ONCE):
        rows = slice(offsets[start], offsets[stop])
        part = _metrics_of_rows(scores[rows], labels[rows], offsets[start : stop + 1] - offsets[start], ks)
        for name, values in part.items():
            result[name][start:stop] = values
    return result if per_impression else mean_of(result)


def _metrics_of_rows(
    scores: np.ndarray, labels: np.ndarray, offsets: np.ndarray, ks: Sequence[int]
) -> dict[str, np.ndarray]:
    """Metrics of each impression, NaN where it is not evaluated."""
    rows = len(offsets) - 1
    row_of = np.repeat(np.arange(rows), np.diff(offsets))
    order = np.lexsort((-scores, row_of))
    scores, clicked = scores[order], labels[order].astype(np.float64)

    # Groups of tied candidates, best first within each impression.
    is_start = np.ones(len(scores), dtype=bool)
    is_start[1:] = (scores[1:] != scores[:-1]) | (row_of[1:] != row_of[:-1])
    starts = np.flatnonzero(is_start)
    row = row_of[starts]
    size = np.diff(starts, append=len(scores))
    above = starts - offsets[row]  # candidates of the impression ranked before the group
    clicks = np.add.reduceat(clicked, starts) if len(starts) else np.zeros(0)
    misses = size - clicks

    def per_row(values: np.ndarray) -> np.ndarray:
        return np.bincount(row, weights=values, minlength=rows)

    def mean_over_ranks(weight_of_rank: np.ndarray) -> np.ndarray:
        """Mean of a weight over the ranks that each group takes."""
        cumulated = np.concatenate([[0.0], np.cumsum(weight_of_rank)])
        return (cumulated[above + size] - cumulated[above]) / size

    clicks_in, misses_in = per_row(clicks), per_row(misses)
    all_misses_before = np.cumsum(misses) - misses
    first_group = np.searchsorted(row, np.arange(rows))
    misses_before_row = np.append(all_misses_before, misses.sum())[first_group]
    misses_above = all_misses_before - misses_before_row[row]
    misses_below = misses_in[row] - misses_above - misses

    ranks = np.arange(1, np.diff(offsets).max(initial=0) + 1)
    counts = (clicks_in > 0) & (misses_in > 0)
    result = {
        "auc": _ratio(per_row(clicks * (misses_below + misses / 2)), clicks_in * misses_in, counts),
        "mrr": _ratio(per_row(clicks * mean_over_ranks(1 / ranks)), clicks_in, counts),
    }
    for k in ks:
        discount = np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)
        ideal = np.concatenate([[0.0], np.cumsum(discount)])[clicks_in.astype(np.int64)]
        result[f"ndcg@{k}"] = _ratio(per_row(clicks * mean_over_ranks(discount)), ideal, counts)
    return result


def mean_of(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean of each metric over the evaluated impressions; NaN if there are none."""
    counts = ~np.isnan(values["auc"])
    return {name: float(of_each[counts].mean()) if counts.any() else np.nan for name, of_each in values.items()}


def rate(scores: np.ndarray, log: ImpressionLog) -> dict[str, np.ndarray]:
    """Metrics of each impression for scores that are aligned with ``log.candidates.values``; see `impression_metrics`.

    Raises
    ------
    InputError
        If no impression has both a clicked and a not-clicked candidate, or as for `impression_metrics`.
    """
    result = impression_metrics(scores, log.labels, log.candidates.offsets, per_impression=True)
    if np.isnan(result["auc"]).all():
        raise InputError("no impression has both a clicked and a not-clicked candidate: nothing to evaluate")
    return result


def evaluated(labels: npt.ArrayLike, offsets: npt.ArrayLike) -> np.ndarray:
    """Tell which impressions have both a clicked and a not-clicked candidate, shape (n,). The others are skipped.

    Examples
    --------
    >>> evaluated([1, 0, 1, 1], [0, 2, 4, 4]).tolist()
    [True, False, False]
    """
    offsets = np.asarray(offsets, dtype=np.int64)
    clicks = np.diff(np.concatenate([[0], np.cumsum(np.asarray(labels) == 1)])[offsets])
    return (clicks > 0) & (clicks < np.diff(offsets))


def _check(scores: np.ndarray, labels: np.ndarray, offsets: np.ndarray) -> None:
    if scores.ndim != 1 or labels.shape != scores.shape:
        raise InputError(f"expected one label for each score, found {labels.shape} labels and {scores.shape} scores")
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(scores) or (np.diff(offsets) < 0).any():
        raise InputError(f"offsets must rise from 0 to the number of scores, {len(scores)}")
    wrong = np.flatnonzero((labels != 0) & (labels != 1))
    if len(wrong):
        place = _place(wrong[0], offsets)
        raise InputError(f"metrics need labels 0 or 1, found {labels[wrong[0]]} at {place} ({len(wrong)} in all)")
    broken = np.flatnonzero(np.isnan(scores))
    if len(broken):
        raise InputError(f"the score of {_place(broken[0], offsets)} is NaN ({len(broken)} in all)")


def _place(index: int, offsets: np.ndarray) -> str:
    row = int(np.searchsorted(offsets, index, side="right")) - 1
    return f"candidate {index - offsets[row]} of impression {row}"


def _ratio(top: np.ndarray, bottom: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=where)
