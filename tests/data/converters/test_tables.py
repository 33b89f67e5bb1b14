import pytest

from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError


def table(tmp_path, text, name="t.tsv", **options):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return Table(TextFile(tmp_path / name), **options)


def test_columns_are_picked_by_number_or_by_name(tmp_path):
    assert list(table(tmp_path, "a\tb\tc\nd\te\tf\n").rows([3, None, 1])) == [(1, ("c", "", "a")), (2, ("f", "", "d"))]
    named = table(tmp_path, "x\ty\n1\t2\n", header=True)
    assert list(named.rows(["y", "x"])) == [(2, ("2", "1"))]


def test_tab_separated_quotes_are_text(tmp_path):
    assert list(table(tmp_path, '"a\tb"\n').rows([1, 2])) == [(1, ('"a', 'b"'))]


def test_csv_quotes_hold_separators_and_line_breaks_and_lines_are_counted(tmp_path):
    text = 'a,"b, ""c""\nd"\ne,f\n'
    assert list(table(tmp_path, text, "t.csv").rows([1, 2])) == [(1, ("a", 'b, "c"\nd')), (3, ("e", "f"))]


def test_blank_lines_are_no_rows_but_count_as_lines(tmp_path):
    assert [line for line, _ in table(tmp_path, "a\tb\n\nc\td\n\n").rows([1, 2])] == [1, 3]
    assert [line for line, _ in table(tmp_path, "a,b\n\nc,d\n\n", "t.csv").rows([1, 2])] == [1, 3]


def test_a_cell_of_a_megabyte_is_read(tmp_path):
    body = "x" * 2**20
    assert next(table(tmp_path, f"1,{body}\n", "t.csv").rows([1, 2]))[1][1] == body


@pytest.mark.parametrize(
    ("text", "options", "columns", "message"),
    [
        ("a\tb\nc\n", {}, [1, 2], "t.tsv:2: expected 2 columns, found 1"),
        ("a\tb\n", {"widths": (5,)}, [1, 2], "t.tsv:1: expected 5 columns, found 2"),
        ("a\tb\n", {"widths": (5, 8)}, [1, 2], "t.tsv:1: expected 5 or 8 columns, found 2"),
        ("a\tb\n", {}, [1, 3], "t.tsv:1: no column 3"),
        ("a\tb\n", {}, [1, "title"], "t.tsv:1: no column 'title': without a header"),
        ("a\tb\n1\t2\n", {"header": True}, ["a", "c"], "t.tsv:1: no column 'c'; the header has a, b"),
        ("a\tb\n", {"header": True}, ["a", "b"], "t.tsv: no rows below the header"),
        ("\n\n", {}, [1, 2], "t.tsv: no rows"),
        ("News_ID\ttitle\n1\t2\n", {}, [1, 2], "t.tsv:1: a header"),
    ],
)
def test_broken_tables_are_refused_with_their_line(tmp_path, text, options, columns, message):
    with pytest.raises(InputError, match=message):
        list(table(tmp_path, text, **options).rows(columns))


def test_an_open_quote_is_refused_where_it_starts(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv:2: broken quoting"):
        list(table(tmp_path, 'a,b\nc,"d\ne,f\n', "t.csv").rows([1, 2]))
