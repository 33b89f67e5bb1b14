"""Negatives of a click are what was shown beside it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.impression_negatives import ImpressionNegatives
from recbole_tinynews.data.ragged import Ragged

# user, candidates, labels
ROWS = (
    (1, [10, 11, 12], [1, 0, 0]),
    (2, [10, 13], [1, 0]),
    (1, [10, 14], [1, 0]),  # the same click again, beside another news
    (1, [15, 16, 17], [1, 1, 0]),
    (3, [18], [1]),  # nothing beside it
)
BESIDE = {(1, 10): {11, 12, 14}, (2, 10): {13}, (1, 15): {17}, (1, 16): {17}}


class Always:
    """Stands for RecBole's sampler."""

    used_ids = "used"

    def sample_by_user_ids(self, users, items, num) -> torch.Tensor:
        return torch.full((num * len(users),), 99)


def make() -> ImpressionNegatives:
    users, shown, labels = zip(*ROWS, strict=True)
    flat = np.concatenate(labels).astype(np.int8)
    none = Ragged.from_rows([[] for _ in ROWS])
    log = ImpressionLog(np.array(["x"] * len(ROWS)), np.array(users), np.zeros(len(ROWS)), none,
                        Ragged.from_rows(shown), flat)  # fmt: skip
    return ImpressionNegatives(log, 100, Always())


def test_each_click_gets_what_was_shown_beside_it_and_others_what_the_catalogue_gives():
    np.random.seed(0)  # noqa: NPY002
    clicks = [*BESIDE, (3, 18), (1, 50), (2, 15)]
    users, items = (np.array(column) for column in zip(*clicks, strict=True))
    drawn = make().sample_by_user_ids(users, items, 600).reshape(600, len(clicks))
    assert drawn.dtype == torch.int64
    for click, column in zip(clicks, drawn.T.tolist(), strict=True):
        counts = Counter(column)
        wanted = BESIDE.get(click, {99})
        assert set(counts) == wanted
        assert min(counts.values()) > 0.7 * 600 / len(wanted)


def test_a_seed_repeats_what_is_drawn():
    draws = []
    for _ in range(2):
        np.random.seed(3)  # noqa: NPY002
        draws.append(make().sample_by_user_ids(np.array([1, 1]), np.array([10, 10]), 9).tolist())
    assert draws[0] == draws[1]


def test_it_stands_in_the_place_of_recbole_s_sampler():
    assert make().used_ids == "used"
