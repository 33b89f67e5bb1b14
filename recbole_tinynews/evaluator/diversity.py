"""What a ranking shows beside what is clicked: its variety, its coverage, its taste for the popular."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recbole_tinynews.data.ragged import Ragged

__all__ = ["diversity_metrics"]


def diversity_metrics(
    scores: np.ndarray, candidates: Ragged, categories: np.ndarray, clicks: np.ndarray, ks: Sequence[int] = (5, 10)
) -> dict[str, float]:
    """Describe the k best candidates of each impression.

    ``entropy@k`` is the Shannon entropy (in bits) of the categories among them; ``ild@k``, the intra-list distance,
    the share of their pairs that differ in category (Zhang and Hurley, RecSys 2008, with distance 0 or 1), over
    impressions with two candidates or more; ``popularity@k`` the mean of their clicks in ``D.inter``. All three
    are means over impressions. ``coverage@k`` is the share of the news shown anywhere in the split that is among the k
    best of some impression. Candidates with the same score keep their order.

    Parameters
    ----------
    scores : ndarray of shape (total,)
        Aligned with ``candidates.values``.
    candidates : Ragged
        News shown in each impression.
    categories : int ndarray of shape (items,)
        Category of each news; 0, unknown, counts as one.
    clicks : int ndarray of shape (items,)
        Clicks of each news in ``D.inter``.
    ks : sequence of int
        How many of the best are looked at.

    Examples
    --------
    >>> shown = Ragged.from_rows([[1, 2, 3]])
    >>> diversity_metrics(np.array([3.0, 2.0, 1.0]), shown, np.array([0, 1, 1, 2]), np.array([0, 4, 0, 9]), ks=[2])
    {'entropy@2': 0.0, 'ild@2': 0.0, 'popularity@2': 2.0, 'coverage@2': 0.6666666666666666}
    """
    row_of = candidates.row_of
    order = np.lexsort((-np.asarray(scores), row_of))
    place = np.arange(len(order)) - candidates.offsets[row_of]  # the order keeps rows where they are
    catalogue, kinds = len(np.unique(candidates.values)), int(categories.max()) + 1
    result = {}
    for k in ks:
        top = order[place < k]
        items, row = np.asarray(candidates.values)[top], row_of[top]
        size = np.minimum(candidates.lengths, k)
        _, first, count = np.unique(row * kinds + categories[items], return_index=True, return_counts=True)
        share = count / size[row[first]]
        entropy = np.bincount(row[first], weights=-share * np.log2(share), minlength=len(size))
        same = np.bincount(row[first], weights=count * (count - 1.0), minlength=len(size))
        pairs = size * (size - 1.0)
        popularity = np.bincount(row, weights=clicks[items], minlength=len(size)) / np.maximum(size, 1)
        result[f"entropy@{k}"] = float(entropy[size > 0].mean())
        result[f"ild@{k}"] = float((1 - same[size > 1] / pairs[size > 1]).mean()) if (size > 1).any() else 0.0
        result[f"popularity@{k}"] = float(popularity[size > 0].mean())
        result[f"coverage@{k}"] = len(np.unique(items)) / catalogue
    return result
