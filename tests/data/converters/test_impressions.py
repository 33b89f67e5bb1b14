import pytest

from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mapping import ImpressionColumns
from recbole_tinynews.data.converters.records import Impression
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

ONE = ImpressionColumns(impression_id=1, user_id=2, timestamp=3, history=4, candidates=5, header=False)
TWO = ImpressionColumns(user_id=1, timestamp=2, clicked=3, shown=4, header=False, list_separator=",")
KNOWN = {"a", "b", "c", "x-1"}


def read(tmp_path, text, columns=ONE, split="train", known=KNOWN):
    (tmp_path / "log.tsv").write_text(text)
    return list(ImpressionReader(columns, known).read(TextFile(tmp_path / "log.tsv"), split))


def test_a_row_becomes_an_impression(tmp_path):
    assert read(tmp_path, "i\tu\t7\ta b\tc-0 x-1-1 a-0\n") == [
        ("train", Impression("i", "u", 7.0, ["a", "b"], ["c", "x-1", "a"], ["0", "1", "0"]))
    ]


def test_labels_may_be_absent_in_the_test_split_only(tmp_path):
    (_, impression), = read(tmp_path, "i\tu\t7\t\tc x-1\n", split="test")  # fmt: skip
    assert (impression.candidates, impression.labels) == (["c", "x-1"], [])
    with pytest.raises(InputError, match=r"log\.tsv:1: candidate 'c' has no label: expected c-0"):
        read(tmp_path, "i\tu\t7\t\tc x-1\n", split="valid")


def test_ids_that_look_like_labels_are_told_by_the_news_table(tmp_path):
    (_, impression), = read(tmp_path, "i\tu\t7\t\tx-1\n", split="test")  # fmt: skip
    assert (impression.candidates, impression.labels) == (["x-1"], [])
    (_, impression), = read(tmp_path, "i\tu\t7\t\tx-1\n", split="test", known={"x"})  # fmt: skip
    assert (impression.candidates, impression.labels) == (["x"], ["1"])


@pytest.mark.parametrize("shown", ["a,b,c", "b,c"])
def test_clicked_and_shown_columns_may_overlap_or_not(tmp_path, shown):
    (_, impression), = read(tmp_path, f"u\t7\ta\t{shown}\n", TWO)  # fmt: skip
    assert (impression.candidates, impression.labels) == (["a", "b", "c"], ["1", "0", "0"])


def test_the_time_may_choose_the_split(tmp_path):
    (tmp_path / "log.tsv").write_text("i\tu\t7\t\ta-0\nj\tu\t9\t\ta-0\n")
    reader = ImpressionReader(ONE, KNOWN, lambda time: "valid" if time > 8 else "train")
    assert [split for split, _ in reader.read(TextFile(tmp_path / "log.tsv"))] == ["train", "valid"]


GOOD = "i\tu\t7\t\ta-0 b-1\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("i\tu\tsoon\t\ta-0", "bad date 'soon'"),
        ("i\tu\t7\tz\ta-0", "unknown news id 'z'"),
        ("i\tu\t7\t\ta-0 z-1", "unknown news id 'z'"),
        ("i\tu\t7\t\ta-0 z", "candidate 'z' has no label"),
        ("i\tu\t7\t\ta-0 b-2", "label '2' of candidate 'b': expected 0 or 1"),
        ("i\tu\t7\t\ta-0 b-", "label '' of candidate 'b': expected 0 or 1"),
        ("i\tu\t7\t\ta-0 b", "candidate 'b' has no label"),
        ("i\tu\t7\t\ta-0 b-1 a-1", "candidate 'a' twice"),
        ("i\tu\t7\t\t", "an impression without candidates"),
        ("i\t\t7\t\ta-0", "user id '' is empty"),
        ("i\tu v\t7\t\ta-0", "user id 'u v' holds a space"),
        ("\tu\t7\t\ta-0", "impression id '' is empty"),
        ("i\tu\t7\ta-0", "expected 5 columns, found 4"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_broken_row_is_refused_with_its_line(tmp_path, row, message, split):
    with pytest.raises(InputError, match=f"log.tsv:2: {message}"):
        read(tmp_path, GOOD + row + "\n", split=split)


@pytest.mark.parametrize(
    ("row", "message"),
    [("u\t7\t\t", "without candidates"), ("u\t7\ta\tb,b", "'b' twice"), ("u\t7\tz\tb", "unknown news id 'z'")],
)
def test_a_broken_row_of_separate_columns_is_refused(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, row + "\n", TWO)
