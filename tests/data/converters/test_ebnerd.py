from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from recbole_tinynews.data.converters.ebnerd import convert_ebnerd
from recbole_tinynews.errors import InputError


def rows(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:-1]]


def write(path, columns, types):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({n: pa.array(v, types.get(n)) for n, v in columns.items()}), path)


TYPES = {
    "article_id": pa.int32(),
    "user_id": pa.uint32(),
    "impression_id": pa.uint32(),
    "impression_time": pa.timestamp("us"),
    "article_ids_inview": pa.list_(pa.int32()),
    "article_ids_clicked": pa.list_(pa.int32()),
    "article_id_fixed": pa.list_(pa.int32()),
    "impression_time_fixed": pa.list_(pa.timestamp("us")),
}
ARTICLES = {
    "article_id": [3001, 3002, 3003],
    "title": ["Ørsted\nstiger", "To", None],
    "subtitle": ["Under", "", None],
    "body": ["Krop", None, "Tom"],
    "category_str": ["nyheder", "sport", "krimi"],
    "premium": [False, True, False],
}
START = datetime(2023, 5, 21, 21, 6, 50)


def at(hours):
    return int(START.replace(tzinfo=timezone.utc).timestamp()) + 3600 * hours


def split(place, first, clicked=True, history=((15, [3001, 3002]),)):
    behaviors = {
        "impression_id": [first, first + 1],
        "article_id": [None, 3001.0],
        "impression_time": [START + pd.Timedelta(hours=first), START + pd.Timedelta(hours=first + 1)],
        "article_ids_inview": [[3003, 3001], [3002]],
        "article_ids_clicked": [[3001], [3002]],
        "user_id": [15, 4_000_000_000],
    }
    if not clicked:
        del behaviors["article_ids_clicked"]
    write(place / "behaviors.parquet", behaviors, TYPES)
    users = {"user_id": [user for user, _ in history], "article_id_fixed": [items for _, items in history]}
    write(place / "history.parquet", users | {"impression_time_fixed": [[START]] * len(history)}, TYPES)


@pytest.fixture
def bundle(tmp_path):
    write(tmp_path / "ebnerd_small" / "articles.parquet", ARTICLES, TYPES)
    split(tmp_path / "ebnerd_small" / "train", 0)
    split(tmp_path / "ebnerd_small" / "validation", 24)
    return tmp_path / "ebnerd_small"


def test_the_published_files_become_atomic_files(bundle, tmp_path):
    convert_ebnerd(tmp_path / "d", bundle)
    assert rows(tmp_path / "d" / "d.news") == [
        ["3001", "Ørsted stiger", "Under", "Krop"],
        ["3002", "To", "", ""],
        ["3003", "", "", "Tom"],
    ]
    assert rows(tmp_path / "d" / "d.item") == [["3001", "nyheder", ""], ["3002", "sport", ""], ["3003", "krimi", ""]]
    assert rows(tmp_path / "d" / "d.train.imp") == [
        ["0", "15", str(at(0)), "3001 3002", "3003 3001", "0 1"],
        ["1", "4000000000", str(at(1)), "", "3002", "1"],
    ]
    assert rows(tmp_path / "d" / "d.valid.imp")[0][:4] == ["24", "15", str(at(24)), "3001 3002"]
    assert rows(tmp_path / "d" / "d.inter") == [
        ["15", "3001", str(at(0) - 2)],
        ["15", "3002", str(at(0) - 1)],
        ["4000000000", "3002", str(at(1))],
    ]


def test_the_test_set_has_no_clicks(bundle, tmp_path):
    write(tmp_path / "ebnerd_testset" / "articles.parquet", ARTICLES, TYPES)
    split(tmp_path / "ebnerd_testset" / "test", 48, clicked=False, history=((15, [3003]),))
    convert_ebnerd(tmp_path / "d", bundle, tmp_path / "ebnerd_testset")
    assert rows(tmp_path / "d" / "d.test.imp") == [
        ["48", "15", str(at(48)), "3003", "3003 3001", ""],
        ["49", "4000000000", str(at(49)), "", "3002", ""],
    ]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (((15, [3001, 9]),), r"history\.parquet:1: unknown news id in a history"),
        (((15, [3001]), (15, [])), r"history\.parquet: a second history of user '15'"),
    ],
)
def test_a_broken_history_is_refused(bundle, tmp_path, history, message):
    split(bundle / "train", 0, history=history)
    with pytest.raises(InputError, match=message):
        convert_ebnerd(tmp_path / "d", bundle)


def test_a_history_with_an_unknown_news_can_be_skipped(bundle, tmp_path):
    split(bundle / "train", 0, history=((7, [9]), (15, [3002])))
    summary = convert_ebnerd(tmp_path / "d", bundle, skip_bad=True)
    assert rows(tmp_path / "d" / "d.train.imp")[0][3] == "3002"
    assert any("unknown news id" in note and count == 1 for note, count in summary.notes.items())


def test_a_missing_file_is_named(bundle, tmp_path):
    (bundle / "validation" / "history.parquet").unlink()
    with pytest.raises(InputError, match=r"validation: no history\.parquet"):
        convert_ebnerd(tmp_path / "d", bundle)
