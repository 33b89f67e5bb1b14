"""Slices of a split, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.evaluator import rate_slices, slices

# user, clicks before, candidates, labels; news 1 to 3 have been clicked in training
ROWS = (
    (1, [], [1, 4], [1, 0]),
    (0, [1] * 9, [1, 4], [0, 1]),
    (2, [1] * 10, [1, 4, 5], [1, 1, 0]),
    (3, [2], [4, 5], [0, 0]),
)
CLICKS = np.array([0, 5, 1, 2, 0, 0])
AUC = np.array([0.25, 0.75, 0.5, np.nan])


def make_log() -> ImpressionLog:
    users, histories, shown, labels = zip(*ROWS, strict=True)
    flat = np.concatenate(labels).astype(np.int8)
    ids = np.arange(len(ROWS)).astype(str)
    return ImpressionLog(
        ids, np.array(users), np.zeros(len(ROWS)), Ragged.from_rows(histories), Ragged.from_rows(shown), flat
    )


def test_an_impression_is_warm_or_cold_by_what_was_clicked_and_short_by_the_history():
    found = {name: np.flatnonzero(members).tolist() for name, members in slices(make_log(), CLICKS).items()}
    assert found == {
        "warm news": [0],
        "cold news": [1],  # the third has clicked one of each kind, the fourth nothing
        "no history": [0],
        "short history": [1, 3],
        "unknown user": [1],
    }


def test_a_slice_has_the_mean_over_its_evaluated_impressions_and_an_empty_one_only_their_number():
    rated = rate_slices({"auc": AUC}, make_log(), CLICKS)
    assert rated["short history"] == {"impressions": 1, "auc": pytest.approx(0.75)}
    nobody = rate_slices({"auc": np.full(4, np.nan)}, make_log(), CLICKS)
    assert nobody["warm news"] == {"impressions": 0}
