from recbole_tinynews.data.converters.clicks import ClickLog
from recbole_tinynews.data.converters.records import Impression


def known(*visits):
    """Clicks of a log; a visit is split, time, history and clicked items of user u."""
    log = ClickLog()
    for split, time, history, clicked in visits:
        impression = Impression(
            "1", "u", time, history.split(), [*clicked.split(), "x"], ["1"] * len(clicked.split()) + ["0"]
        )
        log.add(split, impression.seen(history))
    return dict(log.users()).get("u", []), log


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
    log.add("valid", Impression("1", "v", 240.0, [], ["x"], ["1"]).seen(""))
    log.add("valid", Impression("2", "u", 300.0, ["a"], ["x"], ["1"]).seen("a"))
    assert list(log.users()) == [("u", [("a", 239.0)])]


def test_valid_and_test_labels_and_test_histories_are_never_seen():
    clicks, _ = known(("valid", 250.0, "", "v"), ("test", 300.0, "t", "w"))
    assert clicks == []
