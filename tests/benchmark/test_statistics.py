"""Means and comparisons, against loops and formulas."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from recbole_tinynews.benchmark.plan import Row
from recbole_tinynews.benchmark.records import Measured
from recbole_tinynews.benchmark.statistics import compare, is_better, summarise

METRICS = ("auc", "mrr", "ndcg@5", "ndcg@10")


def measured(name, values, depth=2, ours=False, model="TinyNewsRec", **more) -> Measured:
    """A row with one array of values of each impression a seed, the same for all metrics."""
    arrays = [np.asarray(of_seed, dtype=float) for of_seed in values]
    means = [dict.fromkeys(METRICS, np.nanmean(array)) for array in arrays]
    results = [
        {"seed": seed, "seconds": 1.5, "parameters": 1_500_000, "test_result": mean, "stages": []}
        for seed, mean in enumerate(means)
    ]
    return Measured(
        Row(name, name.rsplit("-", 1)[0], model, depth, {}, ours, **more), results,
        [dict.fromkeys(METRICS, array) for array in arrays],
    )  # fmt: skip


def test_mean_and_standard_deviation_are_over_repeats():
    summary = summarise(measured("a", [[0.1, 0.3], [0.5, 0.5], [0.4, 0.2]]), "auc")
    assert (summary.mean, summary.repeats) == (pytest.approx((0.2 + 0.5 + 0.3) / 3), 3)
    assert summary.std == pytest.approx(statistics.stdev([0.2, 0.5, 0.3]))
    assert summarise(measured("a", [[0.1, 0.3]]), "auc").std is None


def test_the_test_is_paired_and_over_impressions_with_the_mean_over_seeds():
    one, other = [[0.9, 0.4, 0.7, 0.8], [0.7, 0.6, 0.9, 0.8]], [[0.5, 0.5, 0.6, 0.9], [0.5, 0.3, 0.6, 0.5]]
    result = compare(measured("a", one), measured("b", other))
    differences = [sum(column[:2]) / 2 - sum(column[2:]) / 2 for column in zip(*one, *other, strict=True)]
    mean = statistics.mean(differences)
    assert result.difference == pytest.approx(mean)
    t = mean / (statistics.stdev(differences) / math.sqrt(4))
    # Student's t with 3 degrees of freedom has this distribution function in closed form
    x = t / math.sqrt(3)
    upper = 0.5 - (x / (1 + x * x) + math.atan(x)) / math.pi
    assert result.p == pytest.approx(2 * upper, abs=1e-9)
    assert (result.better, result.other, result.impressions) == ("a", "b", 4)
    assert min(differences) <= result.low < mean < result.high <= max(differences)
    assert is_better(measured("a", one), measured("b", other), "auc", result.p + 1e-9)
    assert not is_better(measured("a", one), measured("b", other), "auc", result.p)
    assert not is_better(measured("b", other), measured("a", one), "auc", 1.0)
    assert not is_better(measured("a", one), measured("a", one), "auc", 1.0)


def test_the_interval_covers_two_standard_errors_of_many_impressions():
    rng = np.random.default_rng(1)
    noise = rng.normal(0.02, 0.1, 4000)
    result = compare(measured("a", [noise]), measured("b", [np.zeros(4000)]))
    error = 0.1 / math.sqrt(4000)
    assert result.low == pytest.approx(noise.mean() - 1.96 * error, abs=0.1 * error)
    assert result.high == pytest.approx(noise.mean() + 1.96 * error, abs=0.1 * error)


def test_impressions_that_are_not_evaluated_do_not_count():
    nan = float("nan")
    result = compare(measured("a", [[0.9, nan, 0.5]]), measured("b", [[0.4, nan, 0.4]]))
    assert (result.difference, result.impressions) == (pytest.approx(0.3), 2)


def test_equal_systems_do_not_differ():
    result = compare(measured("a", [[0.5, 0.7]]), measured("b", [[0.5, 0.7]]))
    assert (result.difference, result.low, result.high, result.p) == (0, 0, 0, 1)
