import gzip
import tempfile
import unicodedata
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from recbole_tinynews.data.converters.mind import convert_mind
from recbole_tinynews.errors import InputError

NEWS = {
    "N1": ["sports", "rowing", 'A "quoted" title', "An abstract"],
    "N2": ["food", "baking", "Bread", ""],
    "N3": ["food", "cheese", '"Cheese', "Old cheese"],
    "N4": ["sports", "chess", "Mate's NA", ""],
}
BEHAVIORS = {
    "train": ["1\tU1\t11/9/2019 12:00:05 AM\tN1 N2\tN3-1 N4-0", "2\tU2\t11/9/2019 12:00:05 PM\t\tN1-0 N2-1 N3-1"],
    "valid": ["1\tU1\t11/14/2019 7:01:48 AM\tN1 N2 N3 N4\tN2-0 N1-1", "2\tU3\t11/14/2019 1:00:00 PM\tN4\tN1-1 N2-0"],
    "test": ["1\tU1\t11/15/2019 9:00:00 AM\tN1\tN2 N3", "2\tU9\t11/15/2019 9:00:00 PM\t\tN4"],
}


@pytest.fixture
def mind(tmp_path):
    """Folders of the three splits; the test split has no labels."""
    folders = {split: tmp_path / "raw" / split for split in BEHAVIORS}
    for split, folder in folders.items():
        folder.mkdir(parents=True)
        news = ["\t".join([item, *cells, "", "[]", "[]"]) for item, cells in NEWS.items()]
        for name, lines in (("news.tsv", news), ("behaviors.tsv", BEHAVIORS[split])):
            (folder / name).write_text("".join(line + "\n" for line in lines))
    return folders


def rows(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:-1]]


def test_the_splits_become_atomic_files(mind, tmp_path):
    convert_mind(tmp_path / "d", mind)
    assert rows(tmp_path / "d" / "d.news") == [[item, *NEWS[item][2:4], ""] for item in NEWS]
    assert rows(tmp_path / "d" / "d.item") == [[item, *NEWS[item][:2]] for item in NEWS]
    assert rows(tmp_path / "d" / "d.train.imp") == [
        ["1", "U1", "1573257605", "N1 N2", "N3 N4", "1 0"],  # 2019-11-09 00:00:05
        ["2", "U2", "1573300805", "", "N1 N2 N3", "0 1 1"],  # 2019-11-09 12:00:05
    ]
    assert rows(tmp_path / "d" / "d.test.imp") == [
        ["1", "U1", "1573808400", "N1", "N2 N3", ""],
        ["2", "U9", "1573851600", "", "N4", ""],
    ]
    valid = 1573714908  # 2019-11-14 07:01:48
    assert rows(tmp_path / "d" / "d.inter") == [
        ["U1", "N1", "1573257603"],
        ["U1", "N2", "1573257604"],
        ["U1", "N3", "1573257605"],
        ["U1", "N4", str(valid - 1)],
        ["U2", "N2", "1573300805"],
        ["U2", "N3", "1573300805"],
        ["U3", "N4", str(valid - 1)],
    ]


def test_without_a_test_split_there_is_no_test_file(mind, tmp_path):
    convert_mind(tmp_path / "d", {"train": mind["train"], "valid": mind["valid"]})
    assert {path.suffixes[0] for path in (tmp_path / "d").iterdir()} == {".inter", ".item", ".news", ".train", ".valid"}


def test_zips_and_gz_give_the_same_files_as_folders(mind, tmp_path):
    convert_mind(tmp_path / "d", mind)
    packed = dict(mind)
    packed["train"] = tmp_path / "MINDsmall_train.zip"
    with zipfile.ZipFile(packed["train"], "w", zipfile.ZIP_DEFLATED) as archive:
        for path in mind["train"].iterdir():
            archive.write(path, f"MINDsmall_train/{path.name}")
    for path in list(mind["valid"].iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    convert_mind(tmp_path / "packed" / "d", packed)
    for path in (tmp_path / "d").iterdir():
        assert (tmp_path / "packed" / "d" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("table", ["N2\tA body\nN9\tNo such news\n", "N2\tfood\tx\tA body\nN9\t\t\tNo such news\n"])
def test_bodies_are_joined_by_id_and_the_others_counted(mind, tmp_path, table):
    (tmp_path / "bodies.tsv").write_text(table)
    summary = convert_mind(tmp_path / "d", mind, tmp_path / "bodies.tsv")
    assert {row[0]: row[3] for row in rows(tmp_path / "d" / "d.news")} == {"N1": "", "N2": "A body", "N3": "", "N4": ""}
    assert summary.notes["bodies of news that stand in no news.tsv, left out"] == 1


def test_two_bodies_of_one_news_are_refused(mind, tmp_path):
    (tmp_path / "bodies.tsv").write_text("N2\tA body\nN2\tA body\nN2\tAnother\n")
    with pytest.raises(InputError, match=r"bodies\.tsv:3: a second, other body of news id 'N2'"):
        convert_mind(tmp_path / "d", mind, tmp_path / "bodies.tsv")


TEXT = st.text(st.characters(exclude_characters="\t\n\0", exclude_categories=["Cs"]), max_size=12)
WORD = st.text("abcXYZ019_-.", min_size=1, max_size=4).map("N{}".format)  # may well end with -0 or -1
MOMENT = st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(microsecond=0))


@st.composite
def log(draw):
    ids = draw(st.lists(WORD, min_size=2, max_size=6, unique=True))
    news = {item: draw(st.tuples(TEXT, TEXT, TEXT, TEXT)) for item in ids}
    some = st.lists(st.sampled_from(ids), max_size=5)
    visit = st.tuples(
        st.sampled_from(["U1", "U2", "U3"]),
        MOMENT,
        some,
        st.lists(st.tuples(st.sampled_from(ids), st.integers(0, 1)), min_size=1, unique_by=lambda pair: pair[0]),
    )
    return news, {split: draw(st.lists(visit, min_size=1, max_size=4)) for split in ("train", "valid", "test")}


def write(folder, news, visits, end, mark):
    folder.mkdir()
    texts = ["\t".join([item, *cells, "url", "[]", "[]"]) for item, cells in news.items()]
    logs = []
    for number, (user, moment, history, shown) in enumerate(visits):
        time = f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S} "
        time += "PM" if moment.hour >= 12 else "AM"
        logs.append("\t".join([f"i{number}", user, time, " ".join(history), " ".join(f"{i}-{y}" for i, y in shown)]))
    for name, lines in (("news.tsv", texts), ("behaviors.tsv", logs)):
        (folder / name).write_bytes((mark + "".join(line + end for line in lines)).encode())


def one_line(text):
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)


def seconds(moment):
    return (moment - datetime(1970, 1, 1)) / timedelta(seconds=1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
def test_random_logs_are_read_back_whole(source, end, mark):
    news, splits = source
    assume(known_clicks(splits))  # a log without any is refused
    with tempfile.TemporaryDirectory() as temporary:
        raw = {split: Path(temporary) / split for split in splits}
        for split, folder in raw.items():
            write(folder, news, splits[split], end, mark)
        convert_mind(Path(temporary) / "d", raw)
        target = Path(temporary) / "d"
        wanted = {item: [one_line(cell) for cell in cells] for item, cells in news.items()}
        assert rows(target / "d.news") == [[item, *cells[2:], ""] for item, cells in wanted.items()]
        assert rows(target / "d.item") == [
            [i, *(c.replace('"', "'") for c in cells[:2])] for i, cells in wanted.items()
        ]
        for split, visits in splits.items():
            assert rows(target / f"d.{split}.imp") == [
                [
                    f"i{number}",
                    user,
                    str(round(seconds(moment))),
                    " ".join(history),
                    " ".join(item for item, _ in shown),
                    " ".join(str(label) for _, label in shown),
                ]
                for number, (user, moment, history, shown) in enumerate(visits)
            ]
        check_inter(rows(target / "d.inter"), splits)


def known_clicks(splits):
    """Clicks before validation: those of training, and histories of each user's first validation impression."""
    known = {(user, item) for user, _, history, _ in splits["train"] for item in history}
    known |= {(user, item) for user, _, _, shown in splits["train"] for item, label in shown if label}
    firsts: dict = {}
    for user, moment, history, _ in splits["valid"]:
        if user not in firsts or moment < firsts[user][0]:
            firsts[user] = moment, history
    return known | {(user, item) for user, (_, history) in firsts.items() for item in history}


def check_inter(inter, splits):
    """Compare with the definition, user by user: what is known, once, and in what order of time."""
    pairs = [(user, item) for user, item, _ in inter]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == known_clicks(splits)
    for user in {user for user, _ in pairs}:
        times = [float(time) for who, _, time in inter if who == user]
        assert times == sorted(times)
        latest = [seconds(moment) for who, moment, _, _ in splits["train"] if who == user]
        start = min(seconds(moment) for _, moment, _, _ in splits["valid"])
        assert all(time in latest or time < max([*latest, start]) for time in times)
