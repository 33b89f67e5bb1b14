import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_tinynews.data.converters.feeds import convert_feeds, with_histories
from recbole_tinynews.data.converters.mapping import FeedsMapping, ImpressionColumns, NewsColumns, SplitDates
from recbole_tinynews.data.converters.records import Impression
from recbole_tinynews.errors import InputError

NEWS = NewsColumns(item_id="nid", title="headline", body="text")
NEWS_CSV = 'nid,headline,text\na,"One, two","He said ""hi"""\nb,Two,\nc,Three,\n'
LOG = "who|when|seen|hit\nu|1970-01-01 00:00:10|b;c|a\nv|1970-01-01 00:00:20|a|\nu|1970-01-02|b;a|b\nu|1970-01-03|c|\n"
COLUMNS = ImpressionColumns("who", "when", clicked="hit", shown="seen", list_separator=";", separator="|")


def rows(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:-1]]


def sources(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    (tmp_path / "log.txt").write_text(LOG)
    return [tmp_path / "news.csv"], [tmp_path / "log.txt"]


def test_one_csv_log_is_split_by_dates_and_histories_come_from_the_log(tmp_path):
    news, log = sources(tmp_path)
    mapping = FeedsMapping(NEWS, COLUMNS, SplitDates("1970-01-02", "1970-01-03"))
    convert_feeds(tmp_path / "d", news, {"": log}, mapping)
    assert rows(tmp_path / "d" / "d.news") == [
        ["a", "One, two", "", 'He said "hi"'],
        ["b", "Two", "", ""],
        ["c", "Three", "", ""],
    ]
    assert rows(tmp_path / "d" / "d.train.imp") == [
        ["1", "u", "10", "", "a b c", "1 0 0"],
        ["2", "v", "20", "", "a", "0"],
    ]
    assert rows(tmp_path / "d" / "d.valid.imp") == [["1", "u", "86400", "a", "b a", "1 0"]]
    assert rows(tmp_path / "d" / "d.test.imp") == [["1", "u", "172800", "a b", "c", "0"]]
    assert rows(tmp_path / "d" / "d.inter") == [["u", "a", "10"]]


def test_files_of_splits_that_overlap_in_time_leak_no_label_into_inter(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    (tmp_path / "train.tsv").write_text("u\t9\ta-1 b-0\n")
    (tmp_path / "valid.tsv").write_text("u\t5\tb-1 c-0\n")
    columns = ImpressionColumns(user_id=1, timestamp=2, candidates=3, header=False)
    logs = {"train": [tmp_path / "train.tsv"], "valid": [tmp_path / "valid.tsv"]}
    convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], logs, FeedsMapping(NEWS, columns, SplitDates()))
    assert rows(tmp_path / "d" / "d.train.imp")[0][3] == "b"
    assert rows(tmp_path / "d" / "d.inter") == [["u", "a", "9"]]


def test_one_log_without_dates_is_refused(tmp_path):
    news, log = sources(tmp_path)
    with pytest.raises(InputError, match="one log without split dates"):
        convert_feeds(tmp_path / "d", news, {"": log}, FeedsMapping(NEWS, COLUMNS, SplitDates()))


VISIT = st.tuples(st.sampled_from("uv"), st.integers(0, 6), st.lists(st.booleans(), min_size=1, max_size=3))


@given(st.lists(VISIT, max_size=12))
def test_built_histories_hold_all_earlier_clicks_and_never_the_future(visits):
    # every news is shown once, so that its name tells when and to whom
    log = []
    for number, (user, time, marks) in enumerate(visits):
        items = [f"{user}.{time}.{number}.{place}" for place in range(len(marks))]
        log.append(("train", Impression("", user, float(time), [], items, ["01"[mark] for mark in marks])))
    clicked = {item for _, one in log for item in one.clicked}
    for _, one in with_histories(lambda: iter(log)):
        user_and_time = [item.split(".")[:2] for item in one.history]
        assert all(user == one.user_id and float(time) < one.time for user, time in user_and_time)
        assert [time for _, time in user_and_time] == sorted(time for _, time in user_and_time)
        earlier = {item for item in clicked if item[0] == one.user_id and float(item.split(".")[1]) < one.time}
        assert sorted(one.history) == sorted(earlier)
