"""Parts of a split on which models differ most."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.evaluator.metrics import mean_of

__all__ = ["rate_slices", "slices"]

_SHORT = 10  # clicks


def slices(log: ImpressionLog, clicks: np.ndarray) -> dict[str, np.ndarray]:
    """Tell which impressions are in which slice.

    ==================  ============================================================================
    warm news           every clicked candidate has a click in ``D.inter``, what models train on
    cold news           none of them has
    no history          no click before the impression
    short history       1 to 9 clicks before
    unknown user        the user has no click in ``D.inter``
    ==================  ============================================================================

    Parameters
    ----------
    log : ImpressionLog
        Impressions with labels.
    clicks : int ndarray of shape (items,)
        Clicks of each news in ``D.inter``.

    Returns
    -------
    dict of str to bool ndarray of shape (n,)
    """
    is_click = log.labels == 1
    row = log.candidates.row_of[is_click]
    known = clicks[np.asarray(log.candidates.values)[is_click]] > 0
    number = np.bincount(row, minlength=len(log))
    number_known = np.bincount(row, weights=known, minlength=len(log))
    length = log.history.lengths
    return {
        "warm news": (number > 0) & (number_known == number),
        "cold news": (number > 0) & (number_known == 0),
        "no history": length == 0,
        "short history": (length > 0) & (length < _SHORT),
        "unknown user": np.asarray(log.users) == 0,
    }


def rate_slices(
    values: Mapping[str, np.ndarray], log: ImpressionLog, clicks: np.ndarray
) -> dict[str, dict[str, float]]:
    """Mean of each metric in each slice, and its number of evaluated impressions; where that is 0, nothing else.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (n,)
        Metrics of each impression, NaN where it is not evaluated.
    log, clicks
        As for :func:`slices`.
    """
    result: dict[str, dict[str, float]] = {}
    for name, members in slices(log, clicks).items():
        members = members & ~np.isnan(values["auc"])
        result[name] = {"impressions": int(members.sum())}
        if members.any():
            result[name] |= mean_of({metric: of_each[members] for metric, of_each in values.items()})
    return result
