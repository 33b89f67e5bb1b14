"""Impression metrics against scikit-learn and against every order of tied candidates."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from recbole_tinynews import InputError
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.evaluator import evaluated, impression_metrics, metrics

IMPRESSION = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 1)), max_size=6)


def in_every_order(scores: list[float], labels: list[int]) -> dict[str, float]:
    """MRR and nDCG by hand: the mean over all permutations that sort the scores."""
    values: dict[str, list[float]] = {"mrr": [], "ndcg@5": [], "ndcg@10": []}
    for order in permutations(range(len(scores))):
        ranked = [scores[i] for i in order]
        if ranked != sorted(ranked, reverse=True):
            continue
        ranks = [rank for rank, i in enumerate(order, start=1) if labels[i]]
        values["mrr"].append(sum(1 / rank for rank in ranks) / len(ranks))
        for k in (5, 10):
            gain = sum(1 / np.log2(rank + 1) for rank in ranks if rank <= k)
            ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(ranks)) + 1))
            values[f"ndcg@{k}"].append(gain / ideal)
    return {name: float(np.mean(value)) for name, value in values.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(IMPRESSION, max_size=4))
def test_each_impression_gets_the_expectation_over_all_orders_of_ties(impressions):
    scores = np.array([score for rows in impressions for score, _ in rows], dtype=float)
    labels = np.array([label for rows in impressions for _, label in rows], dtype=int)
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in impressions], dtype=int)])
    result = impression_metrics(scores, labels, offsets, per_impression=True)
    for row, (start, stop) in enumerate(pairwise(offsets)):
        own_scores, own_labels = scores[start:stop], labels[start:stop]
        if len(set(own_labels)) < 2:
            assert all(np.isnan(values[row]) for values in result.values())
            continue
        expected = in_every_order(list(own_scores), list(own_labels))
        expected["auc"] = roc_auc_score(own_labels, own_scores)
        assert {name: values[row] for name, values in result.items()} == pytest.approx(expected, abs=1e-12)


def test_two_clicks_in_hand_arithmetic():
    # ranks: clicked 1 and 3 of 4
    result = impression_metrics([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0], [0, 4])
    assert result == pytest.approx(
        {
            "auc": 3 / 4,
            "mrr": (1 + 1 / 3) / 2,
            "ndcg@5": (1 + 1 / 2) / (1 + 1 / np.log2(3)),
            "ndcg@10": (1 + 1 / 2) / (1 + 1 / np.log2(3)),
        },
        abs=1e-15,
    )


def test_a_click_below_the_cut_counts_nothing():
    assert impression_metrics(-np.arange(6.0), np.arange(6) == 5, [0, 6], ks=(5,))["ndcg@5"] == 0


def test_a_constant_scorer_gets_what_chance_gets():
    result = impression_metrics(np.zeros(4), [0, 0, 1, 0], [0, 4])
    assert result["auc"] == 0.5
    assert result["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_many_impressions_agree_with_sklearn_on_the_mean_auc():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, size=300)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scores, labels = rng.normal(size=offsets[-1]).round(1), rng.random(offsets[-1]) < 0.1
    expected = [
        roc_auc_score(labels[a:b], scores[a:b])
        for a, b in pairwise(offsets)
        if 0 < labels[a:b].sum() < b - a
    ]
    assert 0 < len(expected) < 300
    assert impression_metrics(scores, labels, offsets)["auc"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert evaluated(labels, offsets).sum() == len(expected)


def test_neither_a_constant_nor_the_order_of_candidates_matters():
    rng = np.random.default_rng(1)
    offsets = np.array([0, 7, 9, 20])
    scores, labels = rng.integers(0, 4, size=20).astype(float), rng.integers(0, 2, size=20)
    expected = impression_metrics(scores, labels, offsets, per_impression=True)
    moved = scores + np.repeat([1000.0, -3.0, 0.5], np.diff(offsets))
    shuffled = np.concatenate([a + rng.permutation(b - a) for a, b in pairwise(offsets)])
    for other in (
        impression_metrics(moved, labels, offsets, per_impression=True),
        impression_metrics(scores[shuffled], labels[shuffled], offsets, per_impression=True),
    ):
        for name, values in expected.items():
            np.testing.assert_array_equal(other[name], values)


def test_infinite_scores_are_ranked():
    assert impression_metrics([np.inf, 0.0, -np.inf], [1, 0, 0], [0, 3])["auc"] == 1


def test_single_class_impressions_are_left_out_of_the_mean():
    both = impression_metrics([0.2, 0.1, 0.5, 0.3], [1, 0, 0, 0], [0, 2, 4])
    assert both == impression_metrics([0.2, 0.1], [1, 0], [0, 2])
    assert evaluated([1, 0, 0, 0, 1], [0, 2, 4, 4, 5]).tolist() == [True, False, False, False]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_a_log_rated_in_parts_gets_the_mean_over_all_of_it(monkeypatch, at_once):
    monkeypatch.setattr(metrics, "_IMPRESSIONS_AT_ONCE", at_once)
    shown = Ragged.from_rows([[1, 2], [1, 2, 3], [4], [2, 3, 5, 6], [1, 2]])
    labels = np.array([1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0], dtype=np.int8)
    log = ImpressionLog(np.arange(5).astype(str), np.arange(5), np.zeros(5), Ragged.from_rows([[]] * 5), shown, labels)
    scores = np.random.default_rng(0).normal(size=12)
    rows = [slice(0, 2), slice(2, 5), slice(6, 10)]  # the others have one class
    expected = np.mean([roc_auc_score(labels[row], scores[row]) for row in rows])
    assert metrics.mean_of(metrics.rate(scores, log))["auc"] == pytest.approx(expected, abs=1e-12)
    scores[11] = np.nan
    with pytest.raises(InputError, match="candidate 1 of impression 4 is NaN"):
        metrics.rate(scores, log)


def test_without_any_evaluated_impression_the_mean_is_nan():
    assert all(np.isnan(value) for value in impression_metrics([0.1, 0.2], [1, 1], [0, 2]).values())
    assert all(np.isnan(value) for value in impression_metrics([], [], [0]).values())


@pytest.mark.parametrize(
    ("scores", "labels", "offsets", "message"),
    [
        ([0.1, np.nan], [1, 0], [0, 1, 2], "candidate 0 of impression 1 is NaN"),
        ([0.1, 0.2], [1, -1], [0, 2], "found -1 at candidate 1 of impression 0"),
        ([0.1, 0.2], [1], [0, 2], "one label for each score"),
        ([0.1, 0.2], [1, 0], [0, 1], "offsets must rise from 0 to the number of scores, 2"),
        ([0.1, 0.2], [1, 0], [0, 2, 1, 2], "offsets must rise"),
    ],
)
def test_input_that_cannot_be_rated_is_named(scores, labels, offsets, message):
    with pytest.raises(InputError, match=message):
        impression_metrics(np.array(scores), np.array(labels), np.array(offsets))
