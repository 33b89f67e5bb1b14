import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from recbole_tinynews.convert import main

DEMO = Path(__file__).parents[1] / "dataset" / "demo"
NEWS = "N1\tsports\trowing\tOne\t\t\t[]\t[]\nN2\tfood\tbaking\tTwo\t\t\t[]\t[]\n"
TRAIN = "1\tU1\t11/9/2019 9:00:00 AM\t\tN1-1 N2-0\n"


def demo_arguments(output):
    splits = [f"--{split}={DEMO / 'raw' / split}" for split in ("train", "valid", "test")]
    return ["mind", *splits, f"--bodies={DEMO / 'raw' / 'bodies.tsv'}", "--name=demo", f"--output={output}"]


def rows(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_the_demos_raw_files_give_the_atomic_files_that_ship(tmp_path, capsys):
    assert main(demo_arguments(tmp_path)) == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "demo").iterdir()}
    assert made == {path.name: path.read_bytes() for path in DEMO.glob("demo.*")}
    assert "1,784 news" in capsys.readouterr().out


def auc(scores, labels):
    clicked = [score for score, label in zip(scores, labels, strict=True) if label == "1"]
    others = [score for score, label in zip(scores, labels, strict=True) if label == "0"]
    return np.mean([(a > b) + 0.5 * (a == b) for a in clicked for b in others])


def test_in_the_demo_reading_the_titles_pays():
    titles = {item: title for item, title, *_ in rows(DEMO / "demo.news")[1:]}
    vectors = dict(zip(titles, TfidfVectorizer().fit_transform(titles.values()).toarray(), strict=True))
    popularity = dict.fromkeys(titles, 0)
    for _, item, _ in rows(DEMO / "demo.inter")[1:]:
        popularity[item] += 1
    text, pop = [], []
    for _, _, _, history, candidates, labels in rows(DEMO / "demo.test.imp")[1:]:
        user = sum((vectors[item] for item in history.split()), np.zeros(len(vectors["N1"])))
        if 0 < labels.count("1") < len(labels.split()):
            text.append(auc([vectors[item] @ user for item in candidates.split()], labels.split()))
            pop.append(auc([popularity[item] for item in candidates.split()], labels.split()))
    assert 0.5 < np.mean(pop) < 0.58
    assert np.mean(text) > np.mean(pop) + 0.05


def test_the_demo_world_follows_from_its_seed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(DEMO.parent)
    script = importlib.import_module("make_demo_world")
    world = script.World(news=300, users=40, late_users=6, train=80, valid=20, test=30)
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        script.make_world(tmp_path / name, seed, world)
        made.append([path.read_bytes() for path in sorted((tmp_path / name).rglob("*.tsv"))])
    assert len(made[0]) == 7
    assert made[0] == made[1]
    assert made[0] != made[2]


def source(folder, news=NEWS, behaviors=TRAIN):
    for split in ("train", "valid"):
        (folder / split).mkdir(parents=True)
        for name, text in (("news.tsv", news), ("behaviors.tsv", behaviors)):
            (folder / split / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return [
        "mind",
        f"--train={folder / 'train'}",
        f"--valid={folder / 'valid'}",
        "--name=d",
        f"--output={folder / 'out'}",
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            {"behaviors": TRAIN + "2\tU1\t11/9/2019 9:00:00 AM\tN1-1\n"},
            "train/behaviors.tsv:2: expected 5 columns, found 4",
        ),
        ({"behaviors": TRAIN + TRAIN.replace("N2", "N3")}, "train/behaviors.tsv:2: unknown news id 'N3'"),
        ({"behaviors": TRAIN.replace("-0", "-3")}, "train/behaviors.tsv:1: label '3' of candidate 'N2'"),
        ({"behaviors": TRAIN.replace("N2", "N1")}, "train/behaviors.tsv:1: candidate 'N1' twice"),
        ({"behaviors": TRAIN.replace("N1-1 N2-0", "")}, "train/behaviors.tsv:1: an impression without candidates"),
        ({"behaviors": TRAIN.replace("9:00:00 AM", "25:00")}, "train/behaviors.tsv:1: bad date '11/9/2019 25:00'"),
        ({"behaviors": TRAIN.replace("-1 N2-0", "")}, "train/behaviors.tsv:1: candidate 'N1' has no label"),
        ({"behaviors": "id\tuser\ttime\thistory\tshown\n" + TRAIN}, "train/behaviors.tsv:1: a header"),
        ({"behaviors": b""}, "train/behaviors.tsv: the file is empty"),
        ({"news": NEWS + NEWS.replace("One", "Other")}, "train/news.tsv:3: news id 'N1' stands in"),
        ({"news": NEWS.encode() + b"N3\t\t\t\xfc\t\t\t\t\n"}, "train/news.tsv:3: not UTF-8"),
        ({"news": NEWS.replace("One", "O\0ne")}, "train/news.tsv:1: holds a NUL byte"),
        ({"news": NEWS.replace("N1", "N 1")}, "train/news.tsv:1: news id 'N 1' holds a space"),
    ],
)
def test_bad_input_gets_one_line_and_writes_nothing(tmp_path, capsys, damage, message):
    assert main(source(tmp_path, **damage)) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert out == ""
    assert list((tmp_path / "out").glob("*")) == []


def test_a_good_log_is_summed_up(tmp_path, capsys):
    assert main(source(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "2 news (2 without abstract, 2 without body)" in out
    assert ".inter: 1 clicks of 1 users" in out


def test_feeds_and_corpus_run_from_the_command_line(tmp_path, capsys):
    (tmp_path / "news.tsv").write_text("item_id\ttitle\tcategory\n1\tA\tx\n2\tB\tx\n")
    (tmp_path / "log.tsv").write_text("user_id\ttimestamp\tcandidates\nu\t5\t1-1 2-0\nu\t2020-01-01\t1-0 2-1\n")
    shipped = (DEMO.parents[1] / "properties" / "dataset" / "feeds.yaml").read_text(encoding="utf-8")
    by_date = shipped.replace("valid_share: 0.2 ", "valid_from: 2019-01-01").replace("  valid_from: ~ ", "  # ")
    (tmp_path / "my.yaml").write_text(by_date.replace("test_last_days: 7", "test_last_days: ~"), encoding="utf-8")
    (tmp_path / "table.tsv").write_text("1\tx\tA\tB\n")
    common = [f"--output={tmp_path}", "--name"]
    feeds = ["feeds", f"--news={tmp_path / 'news.tsv'}", f"--columns={tmp_path / 'my.yaml'}", *common, "f"]
    assert main([*feeds, f"--behaviors={tmp_path / 'log.tsv'}"]) == 0
    assert rows(tmp_path / "f" / "f.valid.imp")[1] == ["1", "u", "1577836800", "1", "1 2", "0 1"]
    assert main(["corpus", str(tmp_path / "table.tsv"), *common, "c"]) == 0
    assert main(feeds) == 1
    assert main([*feeds, f"--valid={tmp_path / 'log.tsv'}"]) == 1
    assert capsys.readouterr().err.count("error: give either --behaviors, or --train and") == 2


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", ""])
def test_a_name_that_is_a_path_is_refused(tmp_path, capsys, name):
    assert main(["corpus", "table.tsv", f"--name={name}", f"--output={tmp_path}"]) == 1
    assert "expected a plain name" in capsys.readouterr().err


def test_converting_needs_neither_torch_nor_the_host():
    check = "import sys, recbole_tinynews.convert; assert not {'torch', 'recbole', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=DEMO.parents[1])


@pytest.mark.parametrize("source", ["mind", "corpus", "feeds"])
def test_every_source_explains_itself(source, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([source, "--help"])
    assert "--name" in capsys.readouterr().out
