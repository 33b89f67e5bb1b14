import numpy as np
import pytest

from recbole_tinynews.data.converters.clicks import ClickLog
from recbole_tinynews.data.converters.records import Impressions

ITEMS = "abcdefghvwtx"


def add(log, split, user, time, history, clicked):
    numbers = [[ITEMS.index(item) for item in text.split()] for text in (history, clicked)]
    shown = [*numbers[1], ITEMS.index("x")]
    codes = np.array(["uvw".index(user)], dtype=np.int32)
    log.add(split, Impressions.from_rows([("1", user, time, numbers[0], shown, [1] * len(numbers[1]) + [0])]), codes)


def clicks_of(log):
    """Each user's clicks as pairs of item and time."""
    known = {}
    for users, items, times in log.users():
        for user, item, time in zip(users.tolist(), items.tolist(), times.tolist(), strict=True):
            known.setdefault("uvw"[user], []).append((ITEMS[item], time))
    return known


def known(*visits, histories="all"):
    """Clicks of a log; a visit is split, time, history and clicked items of user u."""
    log = ClickLog(histories)
    for split, time, history, clicked in visits:
        add(log, split, "u", time, history, clicked)
    return clicks_of(log).get("u", []), log


def test_history_clicks_are_dated_just_before_the_impression_and_in_order():
    clicks, _ = known(("train", 100.0, "a b c", "d"))
    assert clicks == [("a", 97.0), ("b", 98.0), ("c", 99.0), ("d", 100.0)]


def test_the_earliest_train_impression_dates_a_history_whatever_the_order_of_rows():
    clicks, _ = known(("train", 200.0, "a b", "d"), ("train", 100.0, "a b", "c"))
    assert clicks == [("a", 98.0), ("b", 99.0), ("c", 100.0), ("d", 200.0)]


def test_a_growing_history_does_not_move_clicks_whose_time_is_known():
    clicks, _ = known(("train", 100.0, "a", "b"), ("train", 200.0, "a b c", "d"))
    assert clicks == [("a", 99.0), ("b", 100.0), ("c", 199.0), ("d", 200.0)]


def test_a_pair_is_kept_once_with_its_first_time():
    clicks, log = known(("train", 100.0, "a b a", "a"), ("train", 150.0, "a b a", "c"), ("train", 160.0, "a b a", "c"))
    assert clicks == [("a", 98.0), ("b", 99.0), ("c", 150.0)]
    assert log.repeated == 2


def test_only_the_first_valid_history_counts_and_lies_before_validation():
    clicks, _ = known(
        ("train", 100.0, "a", "b"), ("valid", 300.0, "a b e f", "g"), ("valid", 250.0, "a b c d", "h")
    )  # fmt: skip
    assert clicks == [("a", 99.0), ("b", 100.0), ("c", 248.0), ("d", 249.0)]


def test_validation_starts_with_its_first_impression_of_any_user():
    log = ClickLog()
    add(log, "train", "w", 1.0, "", "")
    add(log, "valid", "v", 240.0, "", "x")
    add(log, "valid", "u", 300.0, "a", "")
    assert clicks_of(log) == {"u": [("a", 239.0)]}


def test_valid_and_test_labels_and_test_histories_are_never_seen():
    clicks, _ = known(("train", 1.0, "", ""), ("valid", 250.0, "", "v"), ("test", 300.0, "t", "w"))
    assert clicks == []


def test_where_splits_share_their_time_only_a_users_first_history_counts():
    visits = [("train", 200.0, "a b v", "d"), ("valid", 100.0, "a", "v"), ("train", 300.0, "a b v d", "e")]
    assert known(*visits, histories="first")[0] == [("a", 99.0), ("d", 200.0), ("e", 300.0)]


def test_histories_that_repeat_the_log_can_be_left_aside():
    assert known(("train", 200.0, "a b", "d"), histories="none")[0] == [("d", 200.0)]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_users_keep_apart_however_many_are_done_at_once(monkeypatch, at_once):
    monkeypatch.setattr("recbole_tinynews.data.converters.clicks._USERS_AT_ONCE", at_once)
    log = ClickLog()
    for user in "uvw":
        add(log, "train", user, 100.0, "a b", "c")
        add(log, "train", user, 50.0, "a", "")
    expected = [("a", 49.0), ("b", 99.0), ("c", 100.0)]
    assert clicks_of(log) == dict.fromkeys("uvw", expected)
