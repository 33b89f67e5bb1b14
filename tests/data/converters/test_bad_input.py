"""What each kind of damage gets: one line with file, line and reason and nothing written, or skipped and counted."""

import gzip
import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_tinynews.convert import main

NEWS = "id,title,body\nn1,One,B\nn2,Two,B\nn3,Three,B\n"
LOG = "imp,user,time,past,shown\ni1,u1,10,,n1-1 n2-0\ni2,u2,20,n1,n2-1 n3-0\ni3,u1,30,n1 n2,n3-1 n1-0\n"
MAPPING = """
news: {item_id: id, title: title, body: body}
impressions: {impression_id: imp, user_id: user, timestamp: time, history: past, candidates: shown}
split: {valid_from: 30}
"""
BAD_ROW = "i9,u9,15,n1,n2-1 n3-0\n"  # stands in line 5 where it is damaged


def tsv(text):
    return text.replace(",", "\t")


def row(old, new):
    return LOG + BAD_ROW.replace(old, new)


def damaged_parquet():
    frame = pd.DataFrame({name: ["x"] for name in ("imp", "user", "time", "past", "shown")})
    whole = bytearray(frame.to_parquet())
    whole[4:24] = b"\xff" * 20  # the first page's header
    return bytes(whole)


DAMAGED = damaged_parquet()

# what is wrong, files that are damaged, part of the one line, and whether --skip-bad can leave it out
CASES = {
    "wrong number of columns": ({"log.csv": LOG + "i9,u9,15,n1\n"}, "log.csv:5: expected 5 columns, found 4", True),
    "unknown news id in the history": ({"log.csv": row(",n1,", ",n7,")}, "log.csv:5: unknown news id 'n7'", True),
    "unknown news id shown": ({"log.csv": row("n3-0", "n7-0")}, "log.csv:5: unknown news id 'n7'", True),
    "label other than 0 and 1": ({"log.csv": row("n3-0", "n3-2")}, "log.csv:5: label '2' of candidate 'n3'", True),
    "no label": ({"log.csv": row("n3-0", "n3")}, "log.csv:5: candidate 'n3' has no label: expected n3-0", True),
    "candidate twice": ({"log.csv": row("n3-0", "n2-0")}, "log.csv:5: candidate 'n2' twice", True),
    "no candidates": ({"log.csv": row("n2-1 n3-0", "")}, "log.csv:5: an impression without candidates", True),
    "bad date": ({"log.csv": row(",15,", ",2019-13-01,")}, "log.csv:5: bad date '2019-13-01'", True),
    "user id with a space": ({"log.csv": row("u9", "u 9")}, "log.csv:5: user id 'u 9' holds a space", True),
    "empty impression id": ({"log.csv": row("i9", "")}, "log.csv:5: impression id '' is empty", True),
    "news id with a space": ({"news.csv": NEWS + "n 9,Nine,B\n"}, "news.csv:5: news id 'n 9' holds a space", True),
    "news id again, other text": ({"news.csv": NEWS + "n1,Uno,B\n"}, "news.csv:5: news id 'n1' stands in", True),
    "bad UTF-8 in a log": ({"log.csv": LOG.encode() + b"i9,u\xfc,15,,n1-1\n"}, "log.csv:5: not UTF-8: byte 0xfc", True),
    "bad UTF-8 in news": ({"news.csv": NEWS.encode() + b"n9,\xfc,\n"}, "news.csv:5: not UTF-8: byte 0xfc", True),
    "NUL byte": ({"log.csv": row("u9", "u\0")}, "log.csv:5: holds a NUL byte", True),
    "tab in a title of TSV": (
        {"news.tsv": tsv(NEWS) + "n9\tA\tB\tC\n"},
        "news.tsv:5: expected 3 columns, found 4",
        True,
    ),
    "line break in a title of TSV": ({"news.tsv": tsv(NEWS) + "n9\tA\nB\tC\n"}, "news.tsv:5: expected 3 columns", True),
    "no JSON": ({"log.jsonl": '{"imp": "i1"\n'}, "log.jsonl:1: expected one JSON object a line", False),
    "empty log": ({"log.csv": ""}, "log.csv: the file is empty", False),
    "empty news": ({"news.csv": ""}, "news.csv: the file is empty", False),
    "nothing below the header": ({"log.csv": LOG.split("\n")[0] + "\n"}, "log.csv: no rows below the header", False),
    "column of the mapping missing": ({"log.csv": LOG.replace("shown", "x")}, "log.csv:1: no column 'shown'", False),
    "column missing in Parquet": ({"log.parquet": None}, "log.parquet: no column 'time'", False),
    "no Parquet": ({"log.parquet": LOG}, "log.parquet: not a Parquet file, or damaged", False),
    "open quote": ({"log.csv": row("u9", '"u9')}, "log.csv:5: broken quoting: a quote is not closed", False),
    "quote inside a cell": ({"log.csv": row("u9", 'u"9') + LOG.split("\n", 1)[1]}, "log.csv:5: broken quoting", False),
    "damaged Parquet": ({"log.parquet": DAMAGED}, "log.parquet: not a Parquet file, or damaged", False),
    "truncated gzip": ({"log.csv.gz": gzip.compress(LOG.encode())[:-12]}, "log.csv.gz:", False),
    "no gzip": ({"log.csv.gz": LOG}, "log.csv.gz:1: the compressed file is damaged or cut off", False),
    "missing file": ({"log.csv": None}, "log.csv: cannot be read", False),
}


def command(folder, files, *options, mapping=MAPPING):
    """Write the sources, some of them damaged, and give the arguments of the command."""
    (folder / "my.yaml").write_text(mapping)
    paths = {}
    for kind, whole in (("news", NEWS), ("log", LOG)):
        name = next((name for name in files if name.startswith(kind)), f"{kind}.csv")
        content = files.get(name, whole)
        paths[kind] = folder / name
        if isinstance(content, str):
            paths[kind].write_text(content, encoding="utf-8", newline="")
        elif isinstance(content, bytes):
            paths[kind].write_bytes(content)
        elif name.endswith("parquet"):
            pd.DataFrame({"imp": ["i1"], "user": ["u"], "past": [""], "shown": ["n1-1"]}).to_parquet(paths[kind])
    sources = [f"--news={paths['news']}", f"--behaviors={paths['log']}", f"--columns={folder / 'my.yaml'}"]
    return ["feeds", *sources, "--name=d", f"--output={folder / 'out'}", *options]


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_line_and_writes_nothing(tmp_path, capsys, case):
    files, message, _ = CASES[case]
    assert main(command(tmp_path, files)) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert out == ""
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("case", CASES)
def test_bad_rows_are_skipped_and_counted_where_that_is_possible(tmp_path, capsys, case):
    files, message, skippable = CASES[case]
    code = main(command(tmp_path, files, "--skip-bad"))
    out, err = capsys.readouterr()
    if not skippable:
        assert code == 1
        assert err.count("\n") == 1
        assert not list((tmp_path / "out").glob("*"))
        return
    assert (code, err) == (0, "")
    told = [line for line in out.splitlines() if line.startswith("left out, ")]
    assert any(message in line for line in told)
    rows = (tmp_path / "out" / "d" / "d.train.imp").read_text().splitlines()[1:]
    assert [line.split("\t")[0] for line in rows] == ["i1", "i2"]
    assert len((tmp_path / "out" / "d" / "d.news").read_text().splitlines()) == 4


def converted(folder):
    return {path.name: path.read_bytes() for path in (folder / "out" / "d").iterdir()}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.removesuffix("\n"),
    ],
    ids=["Windows line ends", "byte-order mark", "blank lines", "no last line end"],
)
def test_harmless_differences_of_text_files_change_nothing(tmp_path, change):
    made = []
    for name, edit in (("a", str), ("b", change)):
        (tmp_path / name).mkdir()
        assert main(command(tmp_path / name, {"news.csv": edit(NEWS), "log.csv": edit(LOG)})) == 0
        made.append(converted(tmp_path / name))
    assert made[0] == made[1]


def test_titles_with_quotes_tabs_and_line_breaks_and_a_body_of_a_megabyte_are_read(tmp_path):
    body = "x" * 2**20
    news = NEWS + f'n4,"He said ""hi"",\ttwice\nand left",{body}\n'
    assert main(command(tmp_path, {"news.csv": news})) == 0
    line = (tmp_path / "out" / "d" / "d.news").read_text().split("\n")[4]
    assert line == f'n4\tHe said "hi", twice and left\t\t{body}'


def test_a_header_where_none_is_expected_is_refused(tmp_path, capsys):
    mapping = MAPPING.replace("item_id: id, title: title, body: body", "item_id: 1, title: 2, header: False")
    assert main(command(tmp_path, {}, mapping=mapping)) == 1
    assert "news.csv:1: a header ('id', ...) where none is expected" in capsys.readouterr().err


IDS = [f"n{number}" for number in range(6)] + ["n-1", "n1-0", "ø"]
TITLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
VISIT = st.tuples(
    st.sampled_from(["u", "ü2", "3"]),
    st.integers(0, 9),
    st.lists(st.sampled_from(IDS), max_size=4),
    st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 1)), min_size=1, unique_by=lambda pair: pair[0]),
)
FORMATS = ["csv", "csv.gz", "jsonl", "parquet"]


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in frame.to_dict("records")))
    else:
        frame.to_csv(path, index=False, lineterminator="\n")


@settings(max_examples=60, deadline=None)
@given(st.lists(TITLE, min_size=len(IDS), max_size=len(IDS)), st.lists(VISIT, min_size=1, max_size=8), st.data())
def test_random_logs_are_read_back_whole_in_every_format(titles, visits, data):
    visits = [("u", 0, [], [("n1", 1)]), *visits, ("u", 10, [], [("n1", 1)])]
    news = pd.DataFrame({"id": IDS, "title": titles, "body": "B"})
    log = pd.DataFrame(
        {
            "imp": [f"i{number}" for number in range(len(visits))],
            "user": [user for user, *_ in visits],
            "time": [time for _, time, *_ in visits],
            "past": [" ".join(past) for _, _, past, _ in visits],
            "shown": [" ".join(f"{item}-{label}" for item, label in shown) for *_, shown in visits],
        }
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = [folder / f"{name}.{data.draw(st.sampled_from(FORMATS))}" for name in ("news", "log")]
        for frame, path in zip((news, log), paths, strict=True):
            write(frame, path)
        (folder / "my.yaml").write_text(MAPPING.replace("valid_from: 30", "valid_from: 10"))
        arguments = ["feeds", f"--news={paths[0]}", f"--behaviors={paths[1]}", f"--columns={folder / 'my.yaml'}"]
        assert main([*arguments, "--name=d", f"--output={folder}"]) == 0
        read = [line.split("\t") for line in (folder / "d" / "d.train.imp").read_text("utf-8").split("\n")[1:-1]]
        found = [line.split("\t") for line in (folder / "d" / "d.news").read_text("utf-8").split("\n")[1:-1]]
    assert [item for item, *_ in found] == IDS
    assert read == [
        [
            f"i{number}",
            user,
            str(time),
            " ".join(past),
            " ".join(item for item, _ in shown),
            " ".join(str(label) for _, label in shown),
        ]
        for number, (user, time, past, shown) in enumerate(visits[:-1])
    ]
