import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_tinynews.data.converters.ids import few_numbers, joined, numbers, split_lists, with_spaces
from recbole_tinynews.data.ragged import Ragged

WORDS = st.lists(st.text("aü1-", max_size=3), max_size=6)


def rows_of(column, separator):
    tokens, lengths = split_lists(column, separator)
    assert all(token.endswith(" ") for token in tokens.to_pylist())
    rows = Ragged.from_lengths(tokens.to_numpy(zero_copy_only=False), lengths)
    return [[token[:-1] for token in rows[row].tolist()] for row in range(len(rows))]


@given(st.lists(WORDS, max_size=8), st.sampled_from([" ", ",", "||"]), st.integers(0, 3))
def test_lists_are_split_like_a_loop_would(lists, separator, start):
    texts = [separator.join(words) for words in lists]
    column = pa.array(texts, pa.string())[start:]
    assert rows_of(column, separator) == [[w for w in text.split(separator) if w] for text in texts][start:]


def test_columns_of_lists_are_taken_as_they_are():
    assert rows_of(pa.array([["a", "b c"], [], [""], [" d"]]), " ") == [["a", "b c"], [], [], ["d"]]


def test_blanks_around_other_separators_do_not_count():
    assert rows_of(pa.array(["a, b ,c", " , "]), ",") == [["a", "b", "c"], []]


@pytest.mark.parametrize("function", [numbers, few_numbers])
def test_numbers_are_places_among_the_known(function):
    assert function(pa.array(["b", "z", "a", "b"]), pa.array(["a", "b"])).tolist() == [1, -1, 0, 1]
    assert function(pa.array([], pa.string()), pa.array(["a", "b"])).tolist() == []


@pytest.mark.parametrize("rows", [[[0, 2], [], [1]], [[]], []])
def test_joined_rows_are_names_with_spaces(rows):
    names = ["a", "übel", "c"]
    expected = [" ".join(names[number] for number in row) for row in rows]
    assert joined(Ragged.from_rows(rows), with_spaces(pa.array(names))).to_pylist() == expected
