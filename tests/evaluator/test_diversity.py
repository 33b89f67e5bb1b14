"""Variety of rankings against plain loops."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.evaluator import diversity_metrics


def by_hand(scores, rows, categories, clicks, k):
    entropies, distances, popularity, seen, start = [], [], [], set(), 0
    for shown in rows:
        of = dict(zip(shown, scores[start : start + len(shown)], strict=True))
        start += len(shown)
        best = sorted(shown, key=lambda item: -of[item])[:k]
        seen |= set(best)
        shares = [count / len(best) for count in Counter(categories[item] for item in best).values()]
        entropies.append(-sum(share * math.log2(share) for share in shares))
        pairs = [categories[a] != categories[b] for a, b in combinations(best, 2)]
        distances += [sum(pairs) / len(pairs)] if pairs else []
        popularity.append(sum(clicks[item] for item in best) / len(best))
    catalogue = {item for shown in rows for item in shown}
    return {
        f"entropy@{k}": np.mean(entropies),
        f"ild@{k}": np.mean(distances) if distances else 0.0,
        f"popularity@{k}": np.mean(popularity),
        f"coverage@{k}": len(seen) / len(catalogue),
    }


@pytest.mark.parametrize("k", [1, 3, 10])
def test_variety_coverage_and_popularity_are_those_of_a_plain_loop(k):
    rng = np.random.default_rng(0)
    rows = [rng.choice(np.arange(1, 40), size=size, replace=False).tolist() for size in (5, 1, 12, 2, 30)]
    categories, clicks = rng.integers(0, 4, 40), rng.integers(0, 9, 40)
    scores = rng.normal(size=sum(map(len, rows)))
    found = diversity_metrics(scores, Ragged.from_rows(rows), categories, clicks, ks=[k])
    expected = by_hand(scores, rows, categories, clicks, k)
    assert found == pytest.approx(expected)
