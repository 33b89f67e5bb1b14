import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_tinynews.data.converters.records import RESERVED, clean, id_fault


@given(st.text().filter(lambda text: "&" not in text))
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


def test_entities_become_their_characters_but_a_plain_ampersand_stays():
    assert clean("Q&amp;A: caf&eacute; &#8217; &#x27;") == "Q&A: caf\u00e9 \u2019 '"
    assert clean("AT&T, R&B &copy that & this&notthat") == "AT&T, R&B &copy that & this&notthat"
    assert clean("a&#10;b&#9;c") == "a b c"
