"""What runs leave behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_tinynews.benchmark.plan import Row

__all__ = ["Measured", "Speed"]


@dataclass(frozen=True)
class Measured:
    """Finished runs of a row.

    Parameters
    ----------
    row : Row
        The system.
    results : sequence of mapping
        What :func:`recbole_tinynews.run` returned, one a seed.
    values : sequence of mapping of str to ndarray
        Metrics of each test impression, in the same order: ``impression_id``, ``auc``, ``mrr``, ``ndcg@5`` and
        ``ndcg@10``; NaN where an impression is not evaluated.
    """

    row: Row
    results: Sequence[Mapping[str, Any]]
    values: Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Speed:
    """Size and speed of a system.

    Parameters
    ----------
    row : Row
        The system.
    parameters : int
        Its weights.
    news_per_second : mapping of str to float
        Titles encoded in a second, on each device.
    """

    row: Row
    parameters: int
    news_per_second: Mapping[str, float]
