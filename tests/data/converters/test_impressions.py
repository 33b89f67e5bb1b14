import pytest

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mapping import ImpressionColumns
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

ONE = ImpressionColumns(impression_id=1, user_id=2, timestamp=3, history=4, candidates=5, header=False)
TWO = ImpressionColumns(user_id=1, timestamp=2, clicked=3, shown=4, header=False, list_separator=",")
ITEM = ImpressionColumns(impression_id=1, user_id=2, timestamp=3, item=4, label=5, header=False)
KNOWN = ["a", "b", "c", "x-1"]


def read(tmp_path, text, columns=ONE, may_lack_labels=False, known=KNOWN, bad=None):
    """Rows of id, user, time, history, candidates, labels (None where unknown)."""
    (tmp_path / "log.tsv").write_text(text)
    reader, found = ImpressionReader(columns, known, bad or BadRows()), []
    for batch in reader.read(TextFile(tmp_path / "log.tsv"), may_lack_labels):
        for row in range(len(batch)):
            history, shown = ([known[i] for i in items[row]] for items in (batch.history, batch.candidates))
            labels = batch.labels[batch.candidates.offsets[row] : batch.candidates.offsets[row + 1]].tolist()
            ident = None if batch.ids is None else batch.ids[row].as_py()
            found.append((ident, batch.users[row].as_py(), batch.times[row], history, shown, labels))
    return found


def test_a_row_becomes_an_impression(tmp_path):
    text = "i\tu\t7\ta b\tc-0 x-1-1 a-0\nj\tv\t8\t\tb-1\n"
    assert read(tmp_path, text) == [
        ("i", "u", 7.0, ["a", "b"], ["c", "x-1", "a"], [0, 1, 0]),
        ("j", "v", 8.0, [], ["b"], [1]),
    ]


def test_labels_may_be_absent_where_that_is_allowed_only(tmp_path):
    ((*_, shown, labels),) = read(tmp_path, "i\tu\t7\t\tc x-1\n", may_lack_labels=True)
    assert (shown, labels) == (["c", "x-1"], [-1, -1])
    with pytest.raises(InputError, match=r"log\.tsv:1: candidate 'c' has no label: expected c-0"):
        read(tmp_path, "i\tu\t7\t\tc x-1\n")


def test_ids_that_look_like_labels_are_told_by_the_news_table(tmp_path):
    ((*_, shown, labels),) = read(tmp_path, "i\tu\t7\t\tx-1\n", may_lack_labels=True)
    assert (shown, labels) == (["x-1"], [-1])
    ((*_, shown, labels),) = read(tmp_path, "i\tu\t7\t\tx-1\n", may_lack_labels=True, known=["x"])
    assert (shown, labels) == (["x"], [1])


@pytest.mark.parametrize("shown", ["a,b,c", "b,c"])
def test_clicked_and_shown_columns_may_overlap_or_not(tmp_path, shown):
    text = f"u\t7\ta\t{shown}\nu\t8\t\tc, b\n"
    assert [row[4:] for row in read(tmp_path, text, TWO)] == [(["a", "b", "c"], [1, 0, 0]), (["c", "b"], [0, 0])]


def test_one_row_per_shown_news_gives_impressions_of_one_candidate(tmp_path):
    rows = read(tmp_path, "i\tu\t7\ta\t1\ni\tu\t7\tb\t0\n", ITEM)
    assert [row[4:] for row in rows] == [(["a"], [1]), (["b"], [0])]
    with pytest.raises(InputError, match=r"log\.tsv:1: label '2' of candidate 'a': expected 0 or 1"):
        read(tmp_path, "i\tu\t7\ta\t2\n", ITEM)


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
@pytest.mark.parametrize("may_lack_labels", [False, True])
def test_a_broken_row_is_refused_with_its_line_or_skipped(tmp_path, row, message, may_lack_labels):
    with pytest.raises(InputError, match=f"log.tsv:2: {message}"):
        read(tmp_path, GOOD + row + "\n", may_lack_labels=may_lack_labels)
    bad = BadRows(skip=True)
    assert len(read(tmp_path, GOOD + row + "\n" + GOOD, may_lack_labels=may_lack_labels, bad=bad)) == 2
    assert bad.counts.total() == 1


def test_the_first_broken_row_is_told(tmp_path):
    with pytest.raises(InputError, match=r"log\.tsv:2: candidate 'a' twice"):
        read(tmp_path, GOOD + "i\tu\t7\t\ta-0 a-1\ni\tu\tsoon\tz\ta-0\n")


@pytest.mark.parametrize(
    ("row", "message"),
    [("u\t7\t\t", "without candidates"), ("u\t7\ta\tb,b", "'b' twice"), ("u\t7\tz\tb", "unknown news id 'z'")],
)
def test_a_broken_row_of_separate_columns_is_refused(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, row + "\n", TWO)
