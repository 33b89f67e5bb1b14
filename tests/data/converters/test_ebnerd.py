"""EB-NeRD's Parquet files, small and made up."""

from __future__ import annotations

import pandas as pd
import pytest

from recbole_tinynews.data.converters.ebnerd import convert_ebnerd
from recbole_tinynews.errors import InputError
from tests.data.converters.test_feeds import rows


def write(tmp_path):
    pd.DataFrame({
        "article_id": [3001, 3002, 3003],
        "title": ["Et", "To", "Tre"],
        "subtitle": ["under et", None, "under tre"],
        "body": ["krop et", "krop\nto", "krop tre"],
        "category_str": ["sport", "nyheder", "sport"],
        "published_time": pd.to_datetime(["2023-05-18"] * 3),
    }).to_parquet(tmp_path / "articles.parquet")  # fmt: skip
    for split, labelled in (("train", True), ("validation", True), ("test", False)):
        folder = tmp_path / split
        folder.mkdir()
        behaviors = pd.DataFrame({
            "impression_id": [11, 12],
            "article_id": [None, 3001.0],
            "impression_time": pd.to_datetime(["1970-01-01 00:00:10", "1970-01-01 00:00:20"]),
            "article_ids_inview": [[3002, 3001], [3003, 3001]],
            "article_ids_clicked": [[3001], [3003]],
            "user_id": [7, 8],
        })  # fmt: skip
        (behaviors if labelled else behaviors.drop(columns="article_ids_clicked")).to_parquet(
            folder / "behaviors.parquet"
        )
        pd.DataFrame({
            "user_id": [7], "impression_time_fixed": [[1, 2]], "article_id_fixed": [[3003, 99]],
        }).to_parquet(folder / "history.parquet")  # fmt: skip
    return tmp_path / "articles.parquet", {
        "train": tmp_path / "train", "valid": tmp_path / "validation", "test": tmp_path / "test"
    }  # fmt: skip


def test_articles_impressions_and_histories_are_those_of_the_files(tmp_path):
    summary = convert_ebnerd(tmp_path / "d", *write(tmp_path))
    folder = tmp_path / "d"
    assert rows(folder / "d.news")[1] == ["3002", "To", "", "krop to"]
    assert rows(folder / "d.item")[0] == ["3001", "sport", ""]
    expected = [["11", "7", "10", "3003", "3002 3001", "0 1"], ["12", "8", "20", "", "3003 3001", "1 0"]]
    assert rows(folder / "d.train.imp") == rows(folder / "d.valid.imp") == expected
    assert rows(folder / "d.test.imp") == [[*row[:5], ""] for row in expected]
    assert "clicks in histories on articles without text, left out: 3" in str(summary)


def test_a_missing_file_is_named_and_nothing_is_written(tmp_path):
    articles, splits = write(tmp_path)
    (tmp_path / "validation" / "history.parquet").unlink()
    with pytest.raises(InputError, match=r"validation/history.parquet: cannot be read"):
        convert_ebnerd(tmp_path / "d", articles, splits)
    assert not (tmp_path / "d").exists()
