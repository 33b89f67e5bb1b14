"""Texts of news, and their tokens."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_tinynews import InputError
from recbole_tinynews.data import news_table
from recbole_tinynews.data.news_table import NewsTable, tokenize
from tests.plm_fixtures import make_tokenizer

HEADER = ("item_id", "title", "abstract", "body")
ROWS = (
    ("a", 'w1 "w2', "w3", "w4 w5"),
    ("b", "NA", "null", ""),  # no body: the abstract; and neither is a missing value
    ("c", "w6", "", ""),
    ("d", "", "w7", "w8"),
    ("e", "'w9", "", "nan"),
)


def write(folder, rows=ROWS, header=HEADER):
    folder.mkdir(exist_ok=True)
    text = "".join("\t".join(row) + "\n" for row in (header, *rows))
    (folder / f"{folder.name}.news").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "tiny")


def test_rows_follow_the_file_from_one_on_and_row_zero_is_empty(folder):
    table = NewsTable.load(folder)
    assert list(table.titles) == ["", 'w1 "w2', "NA", "w6", "", "'w9"]
    assert list(table.bodies) == ["", "w4 w5", "null", "", "w8", "nan"]
    assert len(table) == 6


def test_rows_follow_the_ids_of_a_dataset_and_a_news_without_text_is_empty(folder):
    table = NewsTable.load(folder, {"[PAD]": 0, "e": 1, "unheard-of": 2, "a": 3})
    assert list(table.titles) == ["", "'w9", "", 'w1 "w2']
    assert list(table.bodies) == ["", "nan", "", "w4 w5"]


def test_ids_need_not_come_in_order(folder):
    assert list(NewsTable.load(folder, {"a": 2, "[PAD]": 0, "c": 1}).titles) == ["", "w6", 'w1 "w2']


def test_pairs_are_the_news_with_a_title_and_a_body_or_abstract(folder):
    assert NewsTable.load(folder).pairs.tolist() == [1, 2, 5]


def test_the_fingerprint_is_that_of_the_texts(folder):
    key = NewsTable.load(folder).key
    assert NewsTable.load(folder).key == key
    assert NewsTable.load(write(folder, [*ROWS[:4], ("e", "'w9", "", "nun")])).key != key
    assert NewsTable.load(folder, {"[PAD]": 0, "b": 1, "a": 2, "c": 3, "d": 4, "e": 5}).key != key


def test_an_id_that_stands_there_twice_is_refused_with_its_line(folder):
    with pytest.raises(InputError, match=r"tiny\.news:7: news 'b' stands there twice"):
        NewsTable.load(write(folder, [*ROWS, ROWS[1]]))


@pytest.mark.parametrize("header", [HEADER[:3], ("id", *HEADER[1:]), (*HEADER, "more")])
def test_other_columns_are_refused(folder, header):
    with pytest.raises(InputError, match=r"tiny\.news:1: expected the columns item_id title abstract body"):
        NewsTable.load(write(folder, [], header))


def test_a_dataset_without_texts_is_refused_and_told_what_makes_them(tmp_path):
    with pytest.raises(InputError, match=r"bare\.news: .*recbole_tinynews\.convert"):
        NewsTable.load(tmp_path / "bare")


def test_a_file_in_another_encoding_is_refused(folder):
    (folder / "tiny.news").write_bytes("\t".join(HEADER).encode() + "\na\té\t\t\n".encode("latin-1"))
    with pytest.raises(InputError, match="not a news file"):
        NewsTable.load(folder)


def test_an_empty_file_is_refused(folder):
    (folder / "tiny.news").write_text("")
    with pytest.raises(InputError, match=r"tiny\.news"):
        NewsTable.load(folder)


def test_a_first_row_with_too_many_columns_is_refused_and_shifts_nothing(folder):
    with pytest.raises(InputError, match=r"tiny\.news"):
        NewsTable.load(write(folder, [("a", "w1", "w2", "w3", "more")]))


# -- tokens ---------------------------------------------------------------------------------------------------


def rows_of(tokens) -> list[list[int]]:
    return [tokens[row].tolist() for row in range(len(tokens))]


def test_tokens_have_the_special_ones_around_and_an_empty_text_has_only_these():
    tokens = tokenize(["w0 w1", "", "w2 unheard-of"], make_tokenizer(), 30)
    assert rows_of(tokens) == [[2, 5, 6, 3], [2, 3], [2, 7, 1, 3]]
    assert tokens.values.dtype == np.int32


def test_a_long_text_is_cut_at_its_end_and_keeps_the_special_tokens():
    assert rows_of(tokenize(["w0 w1 w2 w3", "w4"], make_tokenizer(), 4)) == [[2, 5, 6, 3], [2, 9, 3]]


def test_texts_tokenised_in_parts_are_the_same(monkeypatch):
    texts = [f"w{i}" for i in range(7)]
    whole = rows_of(tokenize(texts, make_tokenizer(), 9))
    monkeypatch.setattr(news_table, "_TEXTS_AT_ONCE", 3)
    assert rows_of(tokenize(texts, make_tokenizer(), 9)) == whole == [[2, 5 + i, 3] for i in range(7)]


def test_the_cache_gives_the_same_without_the_tokenizer(tmp_path, monkeypatch):
    texts = ["w0 w1", ""]
    first = tokenize(texts, make_tokenizer(), 9, cache=tmp_path)
    tokenizer = make_tokenizer()
    monkeypatch.setattr(type(tokenizer), "__call__", None)
    assert rows_of(tokenize(texts, tokenizer, 9, cache=tmp_path)) == rows_of(first)


def test_other_texts_lengths_and_tokenizers_have_their_own_cache(tmp_path):
    other = make_tokenizer()
    other.add_tokens(["unheard-of"])
    texts = ["w0 unheard-of w2", "w3"]
    assert rows_of(tokenize(texts, make_tokenizer(), 9, cache=tmp_path)) == [[2, 5, 1, 7, 3], [2, 8, 3]]
    assert rows_of(tokenize(texts, make_tokenizer(), 3, cache=tmp_path)) == [[2, 5, 3], [2, 8, 3]]
    assert rows_of(tokenize(texts, other, 9, cache=tmp_path)) == [[2, 5, 60, 7, 3], [2, 8, 3]]
    assert rows_of(tokenize(["w0 unheard-of", "w2 w3"], make_tokenizer(), 9, cache=tmp_path)) == [
        [2, 5, 1, 3], [2, 7, 8, 3]
    ]  # fmt: skip


def test_the_cache_is_found_whatever_the_tokenizer_was_used_for_before(tmp_path):
    tokenizer = make_tokenizer()
    tokenize(["w0 w1"], tokenizer, 4, cache=tmp_path)
    tokenize(["w2 w3"], tokenizer, 9, cache=tmp_path)
    tokenize(["w2 w3"], make_tokenizer(), 9, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
