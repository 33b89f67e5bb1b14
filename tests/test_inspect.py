import subprocess
import sys
from pathlib import Path

import pytest

from recbole_tinynews.data.schema import CORPUS_COLUMNS, IMPRESSION_HEADER, INTER_HEADER
from recbole_tinynews.inspect import main

DEMO = Path(__file__).parents[1] / "dataset" / "demo"
NEWS = [
    ("a", "One two three", "", "Body text"),
    ("b", "Two", "An abstract", ""),
    ("c", "Two", "", ""),
    ("d", "", "", ""),
]
TRAIN = [("1", "u", "0", "", "a b", "1 0"), ("2", "v", "86400", "c", "b a c", "0 0 0")]
TEST = [
    ("1", "u", "172800", "a", "b d", "1 0"),
    ("2", "w", "172860", "", "a b", "1 0"),
    ("3", "w", "172861", "", "b", ""),
]


def write(folder, test=TEST, inter=(("u", "a", "0"), ("v", "c", "86399"))):
    (folder / "d").mkdir()
    tables = {
        "news": (CORPUS_COLUMNS, NEWS),
        "inter": (INTER_HEADER, inter),
        "train.imp": (IMPRESSION_HEADER, TRAIN),
        "test.imp": (IMPRESSION_HEADER, test),
    }
    for suffix, rows in tables.items():
        text = "".join("\t".join(row) + "\n" for row in (rows[0], *rows[1]))
        (folder / "d" / f"d.{suffix}").write_text(text, encoding="utf-8")
    return ["d", f"--data_path={folder}"]


def cells(text, name):
    """Cells of a row of the printed tables, without units."""
    row = next(line for line in text.splitlines() if line.strip().startswith(name))
    return row.strip().removeprefix(name).replace(" %", "").split()


def test_the_numbers_are_those_of_a_count_by_hand(tmp_path, capsys):
    assert main(write(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "d: 4 news, 2 clicks in .inter" in out
    assert cells(out, "title") == ["1", "1", "1.7", "1", "2", "3"]  # lengths 3, 1, 1; the 95 % point is 2.8
    assert cells(out, "impressions") == ["2", "3"]
    assert cells(out, "without labels") == ["0", "1"]
    assert cells(out, "users new") == ["-", "50.0"]  # w
    assert cells(out, "impressions of new users") == ["-", "66.7"]
    assert cells(out, "candidates cold") == ["-", "80.0"]  # b and d of b d a b b: training clicked a and read c
    assert cells(out, "candidates, mean") == ["2.5", "1.7"]
    assert cells(out, "clicks, mean") == ["0.50", "1.00"]
    assert cells(out, "without click") == ["50.0", "0.0"]
    assert cells(out, "clicks of candidates") == ["20.0", "50.0"]
    assert cells(out, "without history") == ["50.0", "66.7"]
    assert cells(out, "last (UTC)") == ["1970-01-02", "00:00", "1970-01-03", "00:01"]
    assert "no leaks found" in out


@pytest.mark.parametrize(
    ("test", "inter", "message"),
    [
        (
            [("1", "u", "50", "", "b", "1")],
            [("u", "a", "0")],
            "test: 1 of 1 impressions lie before the last train impression",
        ),
        (
            [("1", "v", "86400", "", "b", "1")],
            [("u", "a", "0")],
            "test: 1 impressions have the user and time of a train impression",
        ),
        (
            [("1", "u", "99999", "a", "a", "1")],
            [("u", "a", "0")],
            "test: 1 clicked news stand in the history of their own impression",
        ),
        ([("1", "u", "99999", "", "b", "1")], [("u", "b", "9")], "test: .inter knows 1 of 1 clicked pairs"),
    ],
)
def test_leaks_are_named(tmp_path, capsys, test, inter, message):
    assert main(write(tmp_path, test, inter)) == 0
    assert message in capsys.readouterr().out


def test_the_demo_is_drawn_and_has_no_leaks(tmp_path, capsys):
    assert main(["demo", f"--data_path={DEMO.parent}", f"--plot={tmp_path / 'demo.png'}"]) == 0
    assert "no leaks found" in capsys.readouterr().out
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_a_corpus_has_texts_only(tmp_path, capsys):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "c.news").write_text("item_id\ttitle\tabstract\tbody\na\tOne\t\tBody\n")
    assert main(["c", f"--data_path={tmp_path}", f"--plot={tmp_path / 'c.svg'}"]) == 0
    assert "c: 1 news, 0 clicks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere.news: no such dataset"),
        (["demo", f"--data_path={DEMO.parent}", "--plot=x.nothing"], "x.nothing: cannot be written"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert message in err
    assert (out, err.count("\n")) == ("", 1)


def test_it_explains_itself():
    command = [sys.executable, "-m", "recbole_tinynews.inspect", "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=DEMO.parents[1]).stdout
    assert "leak" in text
    assert "--plot" in text
