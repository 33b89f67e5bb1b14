"""Clicks with their negatives, against the impressions they come from."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from recbole_tinynews.data.clicks import ClickLoader
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.errors import InputError

# user, history, (news, label) of each impression
IMPRESSIONS = (
    (1, [1, 2, 3], [(11, 1), (12, 0), (13, 0), (14, 0), (15, 0)]),
    (2, [], [(21, 1), (22, 0)]),  # fewer than K
    (1, [1, 2], [(31, 1), (32, 1)]),  # nothing that was not clicked
    (0, [9], [(41, 0), (42, 0)]),  # no click; a user unknown to the dataset
    (2, [5], [(51, 1), (52, 0), (53, 1), (54, 0), (55, 0)]),  # two clicks
    (0, [7, 8], [(61, -1), (62, -1)]),  # labels unknown
    (3, [1, 2, 3, 4, 5, 6], [(71, 0), (72, 1)]),
    (1, [1, 2, 3], [(81, 0), (82, 0), (83, 1)]),
)
CLICKS = (11, 21, 51, 53, 72, 83)  # those with a negative
NEGATIVES = {
    news: [other for other, y in shown if y == 0] for _, _, shown in IMPRESSIONS for news, label in shown if label == 1
}
HISTORY = {news: history for _, history, shown in IMPRESSIONS for news, label in shown if label == 1}
USER = {news: user for user, _, shown in IMPRESSIONS for news, label in shown if label == 1}


def make_log(impressions=IMPRESSIONS) -> ImpressionLog:
    n = len(impressions)
    return ImpressionLog(
        np.arange(n).astype(str),
        np.array([user for user, _, _ in impressions]),
        np.zeros(n),
        Ragged.from_rows([history for _, history, _ in impressions]),
        Ragged.from_rows([[news for news, _ in shown] for _, _, shown in impressions]),
        np.array([label for _, _, shown in impressions for _, label in shown], dtype=np.int8),
    )


def make_loader(k=3, history_length=50, batch_size=4, seed=1, group_by_user=False, log=None) -> ClickLoader:
    return ClickLoader(log or make_log(), k, history_length, batch_size, seed, group_by_user)


def samples(loader, epoch=0) -> list[tuple[list[int], list[int]]]:
    """History without padding, and candidates, of each click of an epoch."""
    return [
        ([item for item in history if item], candidates)
        for batch in loader.epoch(epoch)
        for history, candidates in zip(batch.history.tolist(), batch.candidates.tolist(), strict=True)
    ]


@pytest.mark.parametrize("group_by_user", [False, True])
def test_an_epoch_holds_each_click_that_has_a_negative_exactly_once(group_by_user):
    loader = make_loader(group_by_user=group_by_user)
    for epoch in range(3):
        assert sorted(candidates[0] for _, candidates in samples(loader, epoch)) == sorted(CLICKS)
    assert loader.num_samples == len(CLICKS)
    assert len(loader) == math.ceil(len(CLICKS) / 4) == len(list(loader.epoch(0)))


def test_clicks_beside_which_nothing_else_was_shown_are_left_out_and_counted():
    assert make_loader().skipped == 2
    assert make_loader(log=make_log(IMPRESSIONS[:1])).skipped == 0


def test_batches_have_the_documented_form():
    batches = list(make_loader().epoch(0))
    assert [len(batch.labels) for batch in batches] == [4, 2]
    for batch in batches:
        assert batch.history.dtype == batch.candidates.dtype == batch.labels.dtype == torch.int64
        assert batch.candidates.shape[1] == 1 + 3
        assert batch.labels.tolist() == [0] * len(batch.labels)


def test_negatives_were_shown_and_not_clicked_in_the_same_impression():
    for epoch in range(20):
        for _, (click, *negatives) in samples(make_loader(), epoch):
            assert set(negatives) <= set(NEGATIVES[click])


def test_negatives_are_drawn_without_replacement_where_there_are_enough_and_with_it_elsewhere():
    repeated = Counter()
    for epoch in range(60):
        for _, (click, *negatives) in samples(make_loader(), epoch):
            assert len(negatives) == 3
            repeated[click] += len(set(negatives)) < 3
    assert repeated[11] == repeated[51] == repeated[53] == 0  # four and three to draw from
    assert repeated[21] == repeated[72] == repeated[83] == 60  # one, one and two


def test_a_click_with_exactly_k_negatives_gets_all_of_them():
    for epoch in range(10):
        for _, (click, *negatives) in samples(make_loader(), epoch):
            if click in (51, 53):
                assert sorted(negatives) == [52, 54, 55]


def draws(k: int, shown: int) -> list[list[int]]:
    """What 3000 clicks draw, each from news 0 .. shown - 1."""
    log = make_log([(1, [1], [(100, 1), *((n, 0) for n in range(shown))])] * 3000)
    return torch.cat([batch.candidates for batch in make_loader(k, log=log).epoch(0)])[:, 1:].tolist()


@pytest.mark.parametrize(("k", "shown"), [(2, 4), (3, 7), (4, 5), (1, 9)])
def test_every_set_of_negatives_is_equally_likely(k, shown):
    sets = Counter(tuple(sorted(row)) for row in draws(k, shown))
    assert len(sets) == math.comb(shown, k)
    assert chisquare(list(sets.values())).pvalue > 0.001


def test_draws_with_replacement_are_uniform_and_independent():
    pairs = Counter((row[0], row[4]) for row in draws(5, 3))
    assert len(pairs) == 3 * 3
    assert chisquare(list(pairs.values())).pvalue > 0.001


def test_every_epoch_draws_and_orders_anew():
    loader = make_loader(k=2)
    epochs = [samples(loader, number) for number in range(6)]
    assert len({tuple(candidates[0] for _, candidates in epoch) for epoch in epochs}) > 1
    drawn = [{c[0]: tuple(c[1:]) for _, c in epoch}[11] for epoch in epochs]
    assert len(set(drawn)) > 1


@pytest.mark.parametrize("group_by_user", [False, True])
def test_the_same_seed_and_epoch_give_the_same_and_another_seed_another(group_by_user):
    torch.manual_seed(0)
    first = samples(make_loader(group_by_user=group_by_user), 3)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - global generators must not matter
    loader = make_loader(group_by_user=group_by_user)
    list(loader.epoch(1))  # nor epochs that were drawn before
    assert samples(loader, 3) == first
    assert samples(make_loader(seed=2, group_by_user=group_by_user), 3) != first


@pytest.mark.parametrize("length", [1, 3, 50])
def test_the_last_clicks_of_the_history_are_kept_in_order_and_empty_histories_stay(length):
    for history, (click, *_) in samples(make_loader(history_length=length)):
        assert history == HISTORY[click][-length:]


def test_histories_are_padded_behind_their_end():
    for batch in make_loader().epoch(0):
        filled = batch.history > 0
        assert torch.equal(filled, filled.cummin(dim=1).values)


def test_grouping_keeps_the_clicks_of_a_user_together_and_orders_users_anew_each_epoch():
    many = [(user, [1], [(10 * user + i, 1), (900, 0)]) for i in range(5) for user in range(1, 9)]
    loader = make_loader(1, group_by_user=True, log=make_log(many))
    orders = set()
    for epoch in range(4):
        users = [candidates[0] // 10 if candidates[0] % 10 < 5 else None for _, candidates in samples(loader, epoch)]
        order = [user for place, user in enumerate(users) if place == 0 or users[place - 1] != user]
        assert sorted(order) == list(range(1, 9))
        orders.add(tuple(order))
    assert len(orders) == 4


def test_clicks_of_a_user_within_a_group_are_in_random_order():
    many = [(1, [1], [(i, 1), (900, 0)]) for i in range(1, 20)]
    loader = make_loader(1, group_by_user=True, log=make_log(many))
    assert len({tuple(c[0] for _, c in samples(loader, epoch)) for epoch in range(4)}) == 4


@pytest.mark.parametrize("number", [2, 3, 5])
def test_a_log_without_a_usable_click_is_refused(number):
    """Everything clicked, nothing clicked, labels unknown."""
    with pytest.raises(InputError, match="no click"):
        make_loader(log=make_log([IMPRESSIONS[number]]))


def test_arrays_that_are_memory_mapped_serve_as_well(tmp_path):
    def mapped(name, array):
        np.save(tmp_path / name, array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    log = make_log()
    history, candidates = (
        Ragged(mapped(f"{name}-values", rows.values), mapped(f"{name}-offsets", rows.offsets))
        for name, rows in (("history", log.history), ("candidates", log.candidates))
    )
    log = replace(log, history=history, candidates=candidates, labels=mapped("labels", log.labels))
    assert samples(make_loader(log=log)) == samples(make_loader())


def test_a_loader_keeps_no_copy_of_a_log_that_may_be_larger_than_memory():
    shown = [(1, list(range(1, 101)), [(news, int(news == 1)) for news in range(1, 101)])] * 2000
    log = make_log(shown)
    tracemalloc.start()
    loader = make_loader(log=log)
    next(loader.epoch(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (log.candidates.values.nbytes + log.history.values.nbytes) / 2
