"""Pairs of title and body, and the other titles each body is compared with."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from recbole_tinynews.data.pairs import PairLoader
from recbole_tinynews.errors import InputError

NEWS = np.array([3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37])


@pytest.mark.parametrize("batch_size", [2, 4, 11, 50])
def test_an_epoch_holds_every_pair_once_unless_the_last_is_left_alone(batch_size):
    loader = PairLoader(NEWS, 3, batch_size, seed=1)
    for epoch in range(3):
        batches = list(loader.epoch(epoch))
        news = np.concatenate([batch.news for batch in batches])
        alone = len(NEWS) % batch_size == 1
        assert len(set(news)) == len(news) == len(NEWS) - alone
        assert set(news) <= set(NEWS)
        assert len(batches) == len(loader)
        assert min(len(batch.news) for batch in batches) > 1


@pytest.mark.parametrize("negatives", [1, 3, 9])
def test_a_body_never_meets_its_own_title_nor_another_twice(negatives):
    for epoch in range(10):
        for batch in PairLoader(NEWS, negatives, 6, seed=1).epoch(epoch):
            size = len(batch.news)
            assert batch.negatives.shape == (size, min(negatives, size - 1))
            for own, row in enumerate(batch.negatives.tolist()):
                assert own not in row
                assert len(set(row)) == len(row)
                assert all(0 <= other < size for other in row)


def test_each_other_title_of_the_batch_is_equally_likely():
    loader, counts = PairLoader(np.arange(5), 2, 5, seed=1), Counter()
    for epoch in range(300):
        (batch,) = loader.epoch(epoch)
        counts.update((own, other) for own, row in enumerate(batch.negatives.tolist()) for other in row)
    assert len(counts) == 5 * 4
    assert chisquare(list(counts.values())).pvalue > 0.001


def test_bodies_of_a_batch_meet_different_titles():
    (batch,) = PairLoader(np.arange(40), 3, 40, seed=1).epoch(0)
    steps = (batch.negatives.numpy() - np.arange(40)[:, None]) % 40
    assert len({tuple(row) for row in steps}) > 30


def test_every_epoch_is_another_and_the_same_seed_gives_the_same():
    def drawn(seed, epoch):
        return [(b.news.tolist(), b.negatives.tolist()) for b in PairLoader(NEWS, 3, 4, seed).epoch(epoch)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(1, 1)
    assert drawn(1, 0) != drawn(2, 0)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_news_for_a_pair_give_no_batch(count):
    loader = PairLoader(NEWS[:count], 3, 4, seed=1)
    assert len(loader) == 0
    assert list(loader.epoch(0)) == []


def test_batches_of_a_single_pair_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        PairLoader(NEWS, 3, 1, seed=1)
