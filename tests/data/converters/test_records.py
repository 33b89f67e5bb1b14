import html
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_tinynews.data.converters.records import RESERVED, Impressions, clean, id_fault, id_faults


@given(st.text(st.characters(exclude_characters="&", exclude_categories=["Cs"])))
def test_cleaned_text_is_one_line_and_one_column_and_otherwise_the_same(text):
    assert clean(text) == "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    assert len(clean(text).splitlines()) <= 1


@pytest.mark.parametrize("text", ["N1", "a-1", "übung", "007", "nanotech"])
def test_plain_ids_are_fine(text):
    assert id_fault(text) is None


@pytest.mark.parametrize("text", ["", "a b", "a\u00a0b", 'a"b', "a\x07", "NA", "[PAD]"])
def test_ids_that_would_be_lost_in_recbole_are_refused(text):
    assert id_fault(text)


def test_every_word_that_the_hosts_reader_drops_is_reserved():
    words = set(pd._libs.parsers.STR_NA_VALUES) - {""}
    assert {word for word in words if " " not in word} <= RESERVED


@pytest.mark.parametrize("text", ["A &amp; B", "&#8220;Hi&#8221;", "&#x27;tis", "&lt;b&gt;", "caf&eacute;"])
def test_html_entities_become_what_they_stand_for(text):
    assert clean(text) == html.unescape(text)
    assert clean("&Tab;a&NewLine;b") == " a b"


@pytest.mark.parametrize("text", ["AT&T", "R&D; x", "a=1&copy=2", "&nosuchthing;", "fish & chips;"])
def test_an_ampersand_that_is_no_entity_stays(text):
    assert clean(text) == text


def test_many_ids_are_judged_like_one():
    ids = ["N1", "", "a b", "a\u00a0b", 'a"b', "a\x07", "a\x9f", "NA", "[PAD]", "übung", "N1"]
    fault = id_faults("user", pa.array(ids))
    assert fault.rows.tolist() == [id_fault(item) is not None for item in ids]
    assert fault.message(2) == "user id 'a b' holds a space, a quote or a control character"


def test_impressions_are_taken_row_by_row():
    rows = [("i", "u", 1.0, [0], [1, 2], [1, 0]), ("j", "v", 2.0, [], [3], []), ("k", "w", 3.0, [4, 5], [6], [0])]
    taken = Impressions.from_rows(rows).take(np.array([2, 1]))
    assert (taken.ids.to_pylist(), taken.users.to_pylist(), taken.times.tolist()) == (["k", "j"], ["w", "v"], [3, 2])
    assert [taken.history[i].tolist() for i in range(2)] == [[4, 5], []]
    assert (taken.candidates.values.tolist(), taken.labels.tolist()) == ([6, 3], [0, -1])
    assert (taken.lines.tolist(), taken.labelled.tolist()) == ([3, 2], [True, False])
