"""Words, their vectors and categories."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_tinynews.data.words import load_categories, load_word_vectors, word_tokenizer
from recbole_tinynews.errors import InputError

TEXTS = ["The cat sat.", "the dog SAT", "a cat"]


def test_the_most_frequent_words_are_known_in_lower_case():
    tokenizer = word_tokenizer(TEXTS, 5)
    assert set(tokenizer.get_vocab()) == {"[PAD]", "[UNK]", "the", "cat", "sat"}
    assert tokenizer("The dog sat")["input_ids"] == [tokenizer.get_vocab()[word] for word in ("the", "[UNK]", "sat")]
    assert tokenizer("")["input_ids"] == []
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 1)


def test_the_same_texts_give_the_same_numbers():
    assert word_tokenizer(TEXTS, 100).get_vocab() == word_tokenizer(TEXTS, 100).get_vocab()


def test_vectors_are_those_of_the_file_and_zero_where_it_has_none(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2.5\nunheard 7 7\ncat -1e-1 0\n")
    vectors, known = load_word_vectors(path, {"[PAD]": 0, "dog": 1, "cat": 2, "the": 3})
    np.testing.assert_array_equal(vectors, np.array([[0, 0], [0, 0], [-0.1, 0], [1, 2.5]], dtype=np.float32))
    assert known.tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"the 1 2\ncat 1\n", r":2: expected a word and 2 numbers"),
        (b"unheard 1 2\n", "none of the dataset's words"),
        (b"", "none of the dataset's words"),
        (b"cat one two\n", "not a file of word vectors"),
        (b"\xff\xfe 1\n", "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_vectors_is_refused_with_the_place(tmp_path, content, message):
    path = tmp_path / "glove.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_word_vectors(path, {"cat": 0})
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_word_vectors(tmp_path / "none.txt", {"cat": 0})


def test_categories_are_numbered_from_one_and_unknown_ones_are_zero(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    header = "item_id:token\tcategory:token\tsubcategory:token\n"
    (folder / "d.item").write_text(header + 'N1\tsports\tgolf\nN2\t\tgolf\nN3\tautos\t"a\n', encoding="utf-8")
    numbers, sizes = load_categories(folder, {"[PAD]": 0, "N3": 1, "N1": 2, "N2": 3, "N9": 4})
    assert numbers.tolist() == [[0, 0], [1, 1], [2, 2], [0, 2], [0, 0]]
    assert sizes == (3, 3)


def test_without_an_item_file_all_categories_are_unknown(tmp_path):
    numbers, sizes = load_categories(tmp_path / "d", {"[PAD]": 0, "N1": 1})
    assert numbers.tolist() == [[0, 0], [0, 0]]
    assert sizes == (1, 1)
