import json
from datetime import datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

from recbole_tinynews.data.converters import textfile
from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.tables import Table
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError


def table(tmp_path, text, name="t.tsv", **options):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return Table(TextFile(tmp_path / name), **options)


def rows(table, columns, bad=None):
    """Line and cells of each row."""
    found = []
    for lines, wanted in table.read(columns, bad or BadRows()):
        found += zip(lines.tolist(), zip(*(column.to_pylist() for column in wanted), strict=True), strict=True)
    return found


def test_columns_are_picked_by_number_or_by_name(tmp_path):
    picked = rows(table(tmp_path, "a\tb\tc\nd\te\tf\n"), [3, None, 1, 1])
    assert picked == [(1, ("c", "", "a", "a")), (2, ("f", "", "d", "d"))]
    assert rows(table(tmp_path, "x\ty\n1\t2\n", header=True), ["y", "x"]) == [(2, ("2", "1"))]


def test_tab_separated_quotes_are_text(tmp_path):
    assert rows(table(tmp_path, '"a\tb"\n'), [1, 2]) == [(1, ('"a', 'b"'))]


def test_csv_quotes_hold_separators_and_line_breaks_and_lines_are_counted(tmp_path):
    text = 'a,"b, ""c""\nd"\n\n"e\n\n",f\ng,h\n'
    expected = [(1, ("a", 'b, "c"\nd')), (4, ("e\n\n", "f")), (7, ("g", "h"))]
    assert rows(table(tmp_path, text, "t.csv"), [1, 2]) == expected
    assert rows(table(tmp_path, '"x\ny",z\n' + text, "t.csv"), [1, 2])[1:] == [(n + 2, row) for n, row in expected]


def test_blank_lines_are_no_rows_but_count_as_lines(tmp_path):
    for text, name in (("\na\tb\n\nc\td\n\n", "t.tsv"), ("\na,b\n\nc,d\n\n", "t.csv")):
        assert rows(table(tmp_path, text, name), [1, 2]) == [(2, ("a", "b")), (4, ("c", "d"))]


def test_rows_keep_their_lines_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(textfile, "_BLOCK", 5)
    text = "x,y\n" + "".join(f'{i},"a{i}\nb"\n' for i in range(9))
    expected = [(2 + 2 * i, (f"a{i}\nb", str(i))) for i in range(9)]
    assert rows(table(tmp_path, text, "t.csv", header=True), ["y", "x"]) == expected


def test_a_cell_of_a_megabyte_is_read(tmp_path):
    body = "x" * 2**20
    assert rows(table(tmp_path, f"1,{body}\n2,b\n", "t.csv"), [1, 2]) == [(1, ("1", body)), (2, ("2", "b"))]


def test_rows_of_another_width_can_be_skipped_and_are_counted(tmp_path):
    bad = BadRows(skip=True)
    assert rows(table(tmp_path, "a\tb\nc\n\nd\te\tf\ng\th\n"), [1, 2], bad) == [(1, ("a", "b")), (5, ("g", "h"))]
    assert bad.counts == {"wrong number of columns": 2}


def test_json_lines_give_texts_and_lists(tmp_path):
    text = '{"a": "x", "b": ["p", 2], "c": 1.0}\n\n{"a": null, "b": [], "d": {}}\n{"a": true, "b": "q", "c": 1.5}\n'
    assert rows(table(tmp_path, text, "t.jsonl"), ["a", "b", "c"]) == [
        (1, ("x", ["p", "2"], "1")),
        (3, ("", [], "")),
        (4, ("1", ["q"], "1.5")),
    ]


def test_lines_that_are_no_json_are_bad_rows(tmp_path):
    text = '{"a": "x"}\n{"a": \n[1]\n{"a": "y"}\n'
    with pytest.raises(InputError, match=r"t\.jsonl:2: expected one JSON object a line"):
        rows(table(tmp_path, text, "t.jsonl"), ["a"])
    bad = BadRows(skip=True)
    assert [line for line, _ in rows(table(tmp_path, text, "t.jsonl"), ["a"], bad)] == [1, 4]
    assert bad.counts == {"no JSON": 2}
    with pytest.raises(InputError, match=r"t\.jsonl:1: no column 'b'; known are a"):
        rows(table(tmp_path, '{"a": "x"}\n', "t.jsonl"), ["b"])


def test_parquet_gives_every_type_as_text(tmp_path):
    moment = datetime(2020, 1, 2, 3, 4, 5)
    columns = {
        "int": [1, None],
        "float": [3.0, None],
        "half": [0.5, float("nan")],
        "bool": [True, False],
        "time": pa.array([moment, None], pa.timestamp("ns")),
        "list": pa.array([[1, 2], None], pa.list_(pa.int32())),
        "dict": pa.array(["x", "y"]).dictionary_encode(),
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert rows(Table(TextFile(tmp_path / "t.parquet")), [*columns, None]) == [
        (1, ("1", "3", "0.5", "1", "2020-01-02 03:04:05.000000", ["1", "2"], "x", "")),
        (2, ("", "", "", "0", "", [], "y", "")),
    ]
    with pytest.raises(InputError, match=r"t\.parquet: no column 'title'; the file has int, float"):
        rows(Table(TextFile(tmp_path / "t.parquet")), ["title"])


def test_a_dotted_name_leads_into_an_object(tmp_path):
    text = '{"user": {"id": "u1", "in": {"city": "x"}}, "a.b": 1}\n{"user": {"id": "u2"}, "a.b": 2}\n{"user": null}\n'
    columns, expected = ["a.b", "user.in.city", "user.id"], [("1", "x", "u1"), ("2", "", "u2"), ("", "", "")]
    assert [cells for _, cells in rows(table(tmp_path, text, "t.jsonl"), columns)] == expected
    objects = pa.Table.from_pylist([json.loads(line) for line in text.splitlines()])
    parquet.write_table(objects, tmp_path / "t.parquet")
    assert [cells for _, cells in rows(Table(TextFile(tmp_path / "t.parquet")), columns)] == expected


def test_texts_of_parquet_that_are_no_utf8_are_told(tmp_path):
    texts = pa.StringArray.from_buffers(1, pa.py_buffer(bytes(4) + b"\2\0\0\0"), pa.py_buffer(b"\xa72"))
    parquet.write_table(pa.table({"a": texts}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet: not a Parquet file, or damaged .*UTF8"):
        rows(Table(TextFile(tmp_path / "t.parquet")), ["a"])


@pytest.mark.parametrize("name", ["users.id", "user.name", "user.id.more"])
def test_a_dotted_name_that_leads_nowhere_is_told(tmp_path, name):
    parquet.write_table(pa.table({"user": [{"id": "u1"}]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=rf"t\.parquet: no column '{name}'; the file has user"):
        rows(Table(TextFile(tmp_path / "t.parquet")), [name])


def test_names_of_columns_of_parquet_that_are_no_utf8_are_told(tmp_path):
    file = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"item": ["a"]}), file)
    file.write_bytes(file.read_bytes().replace(b"item", b"it\xffm"))
    with pytest.raises(InputError, match=r"t\.parquet: not a Parquet file, or damaged .*0xff"):
        rows(Table(TextFile(file)), ["item"])


def test_what_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"t\.parquet: not a Parquet file, or damaged"):
        rows(table(tmp_path, "a\tb\n", "t.parquet"), ["a"])


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
        rows(table(tmp_path, text, **options), columns)


def test_an_open_quote_is_refused_where_it_starts(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv:2: broken quoting"):
        rows(table(tmp_path, 'a,b\nc,"d\ne,f\n', "t.csv"), [1, 2])
