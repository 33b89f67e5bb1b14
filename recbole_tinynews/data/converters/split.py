"""Splitting of a log by a rule."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from recbole_tinynews.data.converters.mapping import SplitRule
from recbole_tinynews.data.schema import SPLITS
from recbole_tinynews.errors import InputError

__all__ = ["split_rows"]

_TRAIN, _VALID, _TEST = range(len(SPLITS))


def split_rows(given: str, times: np.ndarray, rule: SplitRule) -> np.ndarray:
    """Split of each row, as its place among ``SPLITS``.

    Parameters
    ----------
    given : {"", "train"}
        Whether the rows are a whole log or train impressions, out of which only validation is taken.
    times : ndarray of float64
        Times of all rows.
    rule : SplitRule
        The rule.

    Raises
    ------
    InputError
        If a split would be empty that a training needs.
    """
    if rule.valid_share is None and rule.valid_from is None:
        raise InputError("no rule for validation: set valid_share or valid_from under split: in the yaml")
    valid, test = rule.valid_start(), rule.test_start(times.max(initial=-np.inf)) if given == "" else np.inf
    if rule.valid_from is not None and test <= valid:
        raise InputError("split: valid_from must be before the test split")
    splits = np.select([times >= test, times >= valid], [_TEST, _VALID], _TRAIN)
    if rule.valid_share is not None:
        train = np.flatnonzero(splits == _TRAIN)
        drawn = np.random.default_rng(rule.seed).permutation(train)[: round(rule.valid_share * len(train))]
        splits[drawn] = _VALID
    wanted = given == "" and (rule.test_last_days is not None or rule.test_from is not None)
    for split in (_TRAIN, _VALID, *([_TEST] if wanted else [])):
        if not (splits == split).any():
            raise InputError(f"no {SPLITS[split]} impressions by the rule under split: in the yaml; {_span(times)}")
    return splits


def _span(times: np.ndarray) -> str:
    if not len(times):
        return "there are none at all"
    ends = (datetime.fromtimestamp(time, timezone.utc) for time in (times.min(), times.max()))
    return "the log reaches from {:%Y-%m-%d %H:%M:%S} to {:%Y-%m-%d %H:%M:%S}".format(*ends)
