import gzip
import json
import random

import pandas as pd
import pyarrow as pa
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
    with pytest.raises(InputError, match="one log without a rule for splits"):
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
    for _, one in with_histories(log, log):
        user_and_time = [item.split(".")[:2] for item in one.history]
        assert all(user == one.user_id and float(time) < one.time for user, time in user_and_time)
        assert [time for _, time in user_and_time] == sorted(time for _, time in user_and_time)
        earlier = {item for item in clicked if item[0] == one.user_id and float(item.split(".")[1]) < one.time}
        assert sorted(one.history) == sorted(earlier)


ROWS = [
    {"id": 1, "who": "u", "when": "1970-01-01 00:00:10", "past": ["c"], "seen": ["a", "b"], "hit": ["a"]},
    {"id": 2, "who": "v", "when": "1970-01-02 00:00:00", "past": [], "seen": ["b"], "hit": []},
    {"id": 3, "who": "u", "when": "1970-01-03 00:00:00", "past": ["c", "a"], "seen": ["c", "b"], "hit": ["b", "c"]},
]
WRITTEN = {
    "train": [["1", "u", "10", "c", "a b", "1 0"]],
    "valid": [["2", "v", "86400", "", "b", "0"]],
    "test": [["3", "u", "172800", "c a", "c b", "1 1"]],
}


def write_log(kind, folder):
    """The same three impressions, in one form or another."""
    text = "id\twho\twhen\tpast\tseen\thit\n" + "".join(
        "\t".join(" ".join(cell) if isinstance(cell, list) else str(cell) for cell in row.values()) + "\n"
        for row in ROWS
    )
    path = folder / f"log.{kind}"
    if kind == "tsv.gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif kind == "tsv.zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(text.encode())
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    elif kind == "parquet":
        pd.DataFrame(ROWS).assign(when=lambda rows: pd.to_datetime(rows["when"])).to_parquet(path)
    else:
        path.write_text("\ufeff" + text.replace("\n", "\r\n"))
    return path


@pytest.mark.parametrize("kind", ["tsv", "tsv.gz", "tsv.zst", "jsonl", "parquet"])
def test_the_same_log_in_any_form_gives_the_same_dataset(tmp_path, kind):
    news, _ = sources(tmp_path)
    columns = ImpressionColumns("who", "when", impression_id="id", history="past", clicked="hit", shown="seen")
    mapping = FeedsMapping(NEWS, columns, SplitDates("1970-01-02", "1970-01-03"))
    convert_feeds(tmp_path / "d", news, {"": [write_log(kind, tmp_path)]}, mapping)
    for split, expected in WRITTEN.items():
        assert rows(tmp_path / "d" / f"d.{split}.imp") == expected


@pytest.mark.parametrize("with_ids", [True, False])
def test_a_row_for_each_news_shown_gives_the_same_impressions_whatever_the_order_of_rows(tmp_path, with_ids):
    news, _ = sources(tmp_path)
    lines = [
        {**{key: row[key] for key in ("id", "who", "when", "past")}, "what": item, "y": int(item in row["hit"])}
        for row in ROWS
        for item in row["seen"]
    ]
    first, *rest = lines
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(line) for line in [*rest, first]))
    columns = ImpressionColumns(
        "who", "when", impression_id="id" if with_ids else None, history="past", item="what", label="y"
    )
    mapping = FeedsMapping(NEWS, columns, SplitDates("1970-01-02", "1970-01-03"))
    convert_feeds(tmp_path / "d", news, {"": [tmp_path / "log.jsonl"]}, mapping)
    for split, expected in WRITTEN.items():
        (found,), (wanted,) = rows(tmp_path / "d" / f"d.{split}.imp"), expected
        assert found[1:4] == wanted[1:4]
        assert set(zip(found[4].split(), found[5].split(), strict=True)) == set(
            zip(wanted[4].split(), wanted[5].split(), strict=True)
        )


def test_the_last_days_are_test_and_a_share_of_the_rest_validation_drawn_by_the_seed(tmp_path):
    news, _ = sources(tmp_path)
    rng = random.Random(0)
    times = [rng.randrange(0, 30 * 86400) for _ in range(2000)]
    (tmp_path / "log.tsv").write_text("".join(f"u{i % 50}\t{time}\ta-1 b-0\n" for i, time in enumerate(times)))
    columns = ImpressionColumns(user_id=1, timestamp=2, candidates=3, header=False)

    def convert(name, seed):
        mapping = FeedsMapping(NEWS, columns, SplitDates(test_days=7, valid_share=0.2, seed=seed))
        convert_feeds(tmp_path / name, news, {"": [tmp_path / "log.tsv"]}, mapping)
        return {split: rows(tmp_path / name / f"{name}.{split}.imp") for split in ("train", "valid", "test")}

    found = convert("d", 1)
    border = max(times) - 7 * 86400
    assert sorted(float(row[2]) for row in found["test"]) == sorted(time for time in times if time >= border)
    assert all(float(row[2]) < border for split in ("train", "valid") for row in found[split])
    assert 0.17 < len(found["valid"]) / (len(found["train"]) + len(found["valid"])) < 0.23
    assert convert("e", 1) == found
    assert convert("f", 2) != found


def test_a_key_or_column_that_is_not_there_is_named(tmp_path):
    news, _ = sources(tmp_path)
    for kind, message in (("jsonl", "log.jsonl:1: user id '' is empty"), ("parquet", "no column 'nowhere'; it has id")):
        columns = ImpressionColumns("nowhere", "when", clicked="hit", shown="seen")
        with pytest.raises(InputError, match=message):
            convert_feeds(
                tmp_path / "d", news, {"": [write_log(kind, tmp_path)]},
                FeedsMapping(NEWS, columns, SplitDates("1970-01-02")),
            )  # fmt: skip
    (tmp_path / "log.parquet").write_text("no")
    mapping = FeedsMapping(NEWS, COLUMNS, SplitDates("1970-01-02"))
    with pytest.raises(InputError, match=r"log.parquet: not a Parquet file"):
        convert_feeds(tmp_path / "d", news, {"": [tmp_path / "log.parquet"]}, mapping)
    assert not (tmp_path / "d").exists()


def test_broken_rows_are_left_out_and_counted_where_that_is_wanted(tmp_path):
    news, _ = sources(tmp_path)
    good = "u\t9\ta-1 b-0\n"
    bad = ["u\t9\n", "u\tsoon\ta-1\n", "u\t9\tx-1\n", "u\t9\ta-2\n", "u\t9\ta-1 a-0\n", "u\t9\t\n", "u u\t9\ta-1\n"]
    content = (good + "".join(bad) + good.replace("9", "90000")).encode() + b"u\t9\t\xff-1\nu\t9\0\ta-1\n"
    (tmp_path / "log.tsv").write_bytes(content)
    columns = ImpressionColumns(user_id=1, timestamp=2, candidates=3, header=False)
    mapping = FeedsMapping(NEWS, columns, SplitDates("1970-01-02"))
    with pytest.raises(InputError, match=r"log.tsv:2: expected 3 columns, found 2"):
        convert_feeds(tmp_path / "d", news, {"": [tmp_path / "log.tsv"]}, mapping)
    assert not (tmp_path / "d").exists()
    summary = convert_feeds(tmp_path / "d", news, {"": [tmp_path / "log.tsv"]}, mapping, skip_bad=True)
    assert "log.tsv:2: expected 3 columns, found 2: 9" in str(summary)
    assert rows(tmp_path / "d" / "d.train.imp") == [["1", "u", "9", "", "a b", "1 0"]]
    assert len(rows(tmp_path / "d" / "d.valid.imp")) == 1
