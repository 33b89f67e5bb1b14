import gzip
import json
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_tinynews.data.converters.feeds import convert_feeds
from recbole_tinynews.data.converters.mapping import FeedsMapping, ImpressionColumns, NewsColumns, SplitRule
from recbole_tinynews.errors import InputError

NEWS = NewsColumns(item_id="nid", title="headline", body="text")
NEWS_CSV = 'nid,headline,text\na,"One, two","He said ""hi"""\nb,Two,\nc,Three,\n'
LOG = "who|when|seen|hit\nu|1970-01-01 00:00:10|b;c|a\nv|1970-01-01 00:00:20|a|\nu|1970-01-02|b;a|b\nu|1970-01-03|c|\n"
COLUMNS = ImpressionColumns("who", "when", clicked="hit", shown="seen", list_separator=";", separator="|")
DATES = SplitRule(valid_from="1970-01-02", test_from="1970-01-03")
DAY = 86_400


def rows(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:-1]]


def sources(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    (tmp_path / "log.txt").write_text(LOG)
    return [tmp_path / "news.csv"], [tmp_path / "log.txt"]


def test_one_csv_log_is_split_by_dates_and_histories_come_from_the_log(tmp_path):
    news, log = sources(tmp_path)
    convert_feeds(tmp_path / "d", news, {"": log}, FeedsMapping(NEWS, COLUMNS, DATES))
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


# The same four impressions in every format and shape; each file of a log holds two of them.
VISITS = [
    ("i1", "u", 10, ["a"], ["a-1", "b-0", "c-0"]),
    ("i2", "v", 20, [], ["a-0"]),
    ("i3", "u", DAY, ["a"], ["b-1", "a-0"]),
    ("i4", "u", 2 * DAY, ["a", "b"], ["c-0"]),
]
EXPECTED = {
    "train": [["i1", "u", "10", "a", "a b c", "1 0 0"], ["i2", "v", "20", "", "a", "0"]],
    "valid": [["i3", "u", "86400", "a", "b a", "1 0"]],
    "test": [["i4", "u", "172800", "a b", "c", "0"]],
}


def table(shape, lists):
    """Columns of the log in a shape; ``lists`` tells how a list is written."""
    columns = []
    for ident, user, time, history, shown in VISITS:
        common = {"i": ident, "u": user, "t": time, "h": lists(history)}
        items = [token[:-2] for token in shown]
        clicked = [token[:-2] for token in shown if token.endswith("1")]
        if shape == "candidates":
            columns.append({**common, "c": lists(shown)})
        elif shape == "clicked and shown":
            columns.append({**common, "y": lists(clicked), "s": lists(items)})
        else:
            columns += [{**common, "n": item, "l": int(item in clicked)} for item in items]
    return pd.DataFrame(columns)


def write_csv(frame, path):
    frame.to_csv(path, index=False)


def write_tsv(frame, path):
    frame.to_csv(path, index=False, sep="\t")


def write_gzip(frame, path):
    path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))


def write_zstd(frame, path):
    path.write_bytes(pa.compress(frame.to_csv(index=False, sep="\t").encode(), "zstd", asbytes=True))


def write_json(frame, path):
    path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))


def write_parquet(frame, path):
    frame.assign(t=pd.to_datetime(frame["t"], unit="s")).to_parquet(path)


WRITERS = {
    "csv": write_csv,
    "tsv": write_tsv,
    "csv.gz": write_gzip,
    "tsv.zst": write_zstd,
    "jsonl": write_json,
    "parquet": write_parquet,
}
SHAPES = {
    "candidates": {"candidates": "c"},
    "clicked and shown": {"clicked": "y", "shown": "s"},
    "one row per news": {"item": "n", "label": "l"},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_and_shape_gives_the_same_dataset(tmp_path, suffix, shape):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    frame = table(shape, list if suffix in ("jsonl", "parquet") else " ".join)
    log = [tmp_path / f"log{part}.{suffix}" for part in range(2)]
    for path, part in zip(log, (frame[frame["t"] < DAY], frame[frame["t"] >= DAY]), strict=True):
        WRITERS[suffix](part, path)
    columns = ImpressionColumns("u", "t", impression_id="i", history="h", **SHAPES[shape])
    convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], {"": log}, FeedsMapping(NEWS, columns, DATES))
    for split, expected in EXPECTED.items():
        assert rows(tmp_path / "d" / f"d.{split}.imp") == expected
    assert rows(tmp_path / "d" / "d.inter") == [["u", "a", "9"]]


def test_news_may_be_json_or_parquet(tmp_path):
    frame = pd.DataFrame({"nid": [1, 2], "headline": ["A", "B"], "text": ["x", None]})
    frame.to_parquet(tmp_path / "news.parquet")
    (tmp_path / "log.tsv").write_text("u\t5\t1-1 2-0\nu\t6\t1-0 2-1\n")
    columns = ImpressionColumns(user_id=1, timestamp=2, candidates=3, header=False)
    mapping = FeedsMapping(NEWS, columns, SplitRule(valid_from=6))
    convert_feeds(tmp_path / "d", [tmp_path / "news.parquet"], {"": [tmp_path / "log.tsv"]}, mapping)
    assert rows(tmp_path / "d" / "d.news") == [["1", "A", "", "x"], ["2", "B", "", ""]]


def long_log(tmp_path, days):
    """One impression an hour, of a user that clicks everything."""
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    lines = [f"u{hour % 7}\t{hour * 3600}\ta-1 b-0\n" for hour in range(days * 24)]
    (tmp_path / "log.tsv").write_text("".join(lines))
    return [tmp_path / "news.csv"], {"": [tmp_path / "log.tsv"]}


ROWS = ImpressionColumns(user_id=1, timestamp=2, candidates=3, header=False)


def test_the_papers_split_is_the_last_week_and_a_random_fifth_of_the_rest(tmp_path):
    news, log = long_log(tmp_path, days=20)
    times = {}
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        rule = SplitRule(test_last_days=7, valid_share=0.2, seed=seed)
        convert_feeds(tmp_path / name, news, log, FeedsMapping(NEWS, ROWS, rule))
        times[name] = {
            split: [int(row[2]) for row in rows(tmp_path / name / f"{name}.{split}.imp")]
            for split in ("train", "valid", "test")
        }
    last = (20 * 24 - 1) * 3600
    assert times["a"]["test"] == list(range(last - 7 * DAY + 3600, last + 1, 3600))  # 168 hours
    before = 20 * 24 - 168
    assert (len(times["a"]["valid"]), len(times["a"]["train"])) == (round(0.2 * before), before - round(0.2 * before))
    assert sorted(times["a"]["train"] + times["a"]["valid"]) == list(range(0, before * 3600, 3600))
    assert times["a"] == times["b"]
    assert times["a"]["valid"] != times["c"]["valid"]


def test_validation_can_be_taken_out_of_given_train_files(tmp_path):
    news, log = long_log(tmp_path, days=5)
    (tmp_path / "test.tsv").write_text("u1\t0\ta b\n")
    logs = {"train": log[""], "test": [tmp_path / "test.tsv"]}
    convert_feeds(tmp_path / "d", news, logs, FeedsMapping(NEWS, ROWS, SplitRule(test_last_days=7, valid_share=0.25)))
    sizes = {split: len(rows(tmp_path / "d" / f"d.{split}.imp")) for split in ("train", "valid", "test")}
    assert sizes == {"train": 90, "valid": 30, "test": 1}


def test_in_a_random_split_inter_knows_no_click_of_validation(tmp_path):
    (tmp_path / "news.csv").write_text("nid,headline,text\n" + "".join(f"n{i},t,\n" for i in range(200)))
    lines = [f"u\t{i}\t{' '.join(f'n{j}' for j in range(i))}\tn{i}-1\n" for i in range(200)]
    (tmp_path / "log.tsv").write_text("".join(lines))
    columns = ImpressionColumns(user_id=1, timestamp=2, history=3, candidates=4, header=False)
    mapping = FeedsMapping(NEWS, columns, SplitRule(valid_share=0.2))
    convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], {"": [tmp_path / "log.tsv"]}, mapping)
    clicked = {row[4] for row in rows(tmp_path / "d" / "d.train.imp")}
    assert {row[1] for row in rows(tmp_path / "d" / "d.inter")} == clicked
    assert len(clicked) == 160


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (SplitRule(), "no rule for validation: set valid_share or valid_from"),
        (SplitRule(valid_from="1970-01-02", test_from="2100-01-01"), "no test impressions by the rule"),
        (SplitRule(test_last_days=7, valid_share=0.2), "no train impressions by the rule .* from 1970-01-01 00:00:00"),
        (SplitRule(valid_from="1971-01-01"), "no valid impressions by the rule"),
        (SplitRule(valid_from="1970-01-02", test_from="1970-01-01"), "valid_from must be before"),
        (SplitRule(valid_from="soon"), "valid_from: bad date 'soon'"),
    ],
)
def test_a_rule_that_leaves_no_split_to_train_is_refused(tmp_path, rule, message):
    news, log = long_log(tmp_path, days=2)
    with pytest.raises(InputError, match=message):
        convert_feeds(tmp_path / "d", news, log, FeedsMapping(NEWS, ROWS, rule))
    assert not (tmp_path / "d").exists()


def test_a_log_without_a_click_is_refused(tmp_path):
    news, _ = sources(tmp_path)
    (tmp_path / "log.tsv").write_text("u\t5\ta-0\nu\t6\tb-0\n")
    logs = {"": [tmp_path / "log.tsv"]}
    with pytest.raises(InputError, match="no click is known before validation"):
        convert_feeds(tmp_path / "d", news, logs, FeedsMapping(NEWS, ROWS, SplitRule(valid_from=6)))
    assert not (tmp_path / "d").exists()


def test_files_of_splits_that_overlap_in_time_leak_no_label_into_inter(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    (tmp_path / "train.tsv").write_text("u\t9\ta-1 b-0\n")
    (tmp_path / "valid.tsv").write_text("u\t5\tb-1 c-0\n")
    logs = {"train": [tmp_path / "train.tsv"], "valid": [tmp_path / "valid.tsv"]}
    convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], logs, FeedsMapping(NEWS, ROWS, SplitRule()))
    assert rows(tmp_path / "d" / "d.train.imp")[0][3] == "b"
    assert rows(tmp_path / "d" / "d.inter") == [["u", "a", "9"]]


def test_labels_may_lack_in_the_last_days_only(tmp_path):
    news, _ = sources(tmp_path)
    (tmp_path / "log.tsv").write_text("u\t5\ta-1\nu\t6\tb-1\nu\t7\ta b\nu\t8\ta b\n")
    for first, message in ((7, None), (8, r"log\.tsv:3: candidates without labels")):
        rule = SplitRule(valid_from=6, test_from=first)
        arguments = (tmp_path / "d", news, {"": [tmp_path / "log.tsv"]}, FeedsMapping(NEWS, ROWS, rule))
        if message is None:
            convert_feeds(*arguments)
            assert rows(tmp_path / "d" / "d.test.imp") == [
                [str(row), "u", str(6 + row), "a b", "a b", ""] for row in (1, 2)
            ]
        else:
            with pytest.raises(InputError, match=message):
                convert_feeds(*arguments)


def test_built_histories_can_be_cut_to_the_newest_clicks(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    (tmp_path / "log.tsv").write_text("u\t1\ta-1\nu\t2\tb-1\nu\t3\tc-1\nu\t4\ta-0\n")
    columns = ImpressionColumns(user_id=1, timestamp=2, candidates=3, header=False, history_length=2)
    logs = {"": [tmp_path / "log.tsv"]}
    convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], logs, FeedsMapping(NEWS, columns, SplitRule(valid_from=4)))
    assert [row[3] for row in rows(tmp_path / "d" / "d.train.imp")] == ["", "a", "a b"]
    assert rows(tmp_path / "d" / "d.valid.imp")[0][3] == "b c"


def test_rows_of_an_impression_may_lie_apart_and_must_agree(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    columns = ImpressionColumns(2, 3, impression_id=1, item=4, label=5, header=False)
    mapping = FeedsMapping(NEWS, columns, SplitRule(valid_from=9))
    good = "i\tu\t1\ta\t1\nj\tv\t9\tb\t0\ni\tu\t2\tc\t0\n"

    def convert(text, **options):
        (tmp_path / "log.tsv").write_text(text)
        return convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], {"": [tmp_path / "log.tsv"]}, mapping, **options)

    convert(good)
    assert rows(tmp_path / "d" / "d.train.imp") == [["i", "u", "1", "", "a c", "1 0"]]
    with pytest.raises(InputError, match=r"log\.tsv:4: impression 'i' is of another user"):
        convert(good + "i\tw\t1\tb\t0\n")
    with pytest.raises(InputError, match=r"log\.tsv:1: candidate 'a' twice"):
        convert(good + "i\tu\t1\ta\t0\n")
    summary = convert(good + "i\tw\t1\tb\t0\nk\tu\t3\tb\t0\nk\tu\t3\tb\t1\n", skip_bad=True)
    assert [count for note, count in summary.notes.items() if "left out" in note] == [1, 1]
    assert rows(tmp_path / "d" / "d.train.imp") == [["i", "u", "1", "", "a c", "1 0"]]


VISIT = st.tuples(st.sampled_from("uv"), st.integers(0, 6), st.lists(st.booleans(), min_size=1, max_size=3))


@settings(max_examples=30, deadline=None)
@given(st.lists(VISIT, min_size=1, max_size=12))
def test_built_histories_hold_all_earlier_clicks_and_never_the_future(visits):
    # every news is shown once, so that its name tells when and to whom
    visits = [("u", 0, [True]), *visits, ("w", 7, [True])]
    log, news, clicked = "", "", []
    for number, (user, time, marks) in enumerate(visits):
        items = [f"{user}.{time}.{number}.{place}" for place in range(len(marks))]
        news += "".join(f"{item}\tt\n" for item in items)
        tokens = [f"{item}-{int(mark)}" for item, mark in zip(items, marks, strict=True)]
        log += f"{user}\t{time}\t{' '.join(tokens)}\n"
        clicked += [item for item, mark in zip(items, marks, strict=True) if mark]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "news.tsv").write_text(news)
        (Path(place) / "log.tsv").write_text(log)
        mapping = FeedsMapping(NewsColumns(1, 2, header=False), ROWS, SplitRule(valid_from=7))
        convert_feeds(Path(place) / "d", [Path(place) / "news.tsv"], {"": [Path(place) / "log.tsv"]}, mapping)
        made = [row for split in ("train", "valid") for row in rows(Path(place) / "d" / f"d.{split}.imp")]
    assert len(made) == len(visits)
    for _, user, moment, history, *_ in made:
        items = [item.split(".") for item in history.split()]
        assert all(who == user and int(time) < int(moment) for who, time, *_ in items)
        assert [int(time) for _, time, *_ in items] == sorted(int(time) for _, time, *_ in items)
        earlier = [item for item in clicked if item[0] == user and int(item.split(".")[1]) < int(moment)]
        assert sorted(history.split()) == sorted(earlier)


def test_timestamps_of_parquet_are_read_in_utc(tmp_path):
    (tmp_path / "news.csv").write_text(NEWS_CSV)
    moments = pd.to_datetime(["2020-01-01 12:00", "2020-01-02 12:00"]).tz_localize("Europe/Copenhagen")
    pd.DataFrame({"u": ["x", "x"], "t": moments, "c": [["a-1"], ["b-0"]]}).to_parquet(tmp_path / "log.parquet")
    columns = ImpressionColumns("u", "t", candidates="c")
    mapping = FeedsMapping(NEWS, columns, SplitRule(valid_from="2020-01-02"))
    convert_feeds(tmp_path / "d", [tmp_path / "news.csv"], {"": [tmp_path / "log.parquet"]}, mapping)
    noon = datetime(2020, 1, 1, 11, tzinfo=timezone.utc).timestamp()
    assert rows(tmp_path / "d" / "d.train.imp")[0][2] == str(int(noon))
