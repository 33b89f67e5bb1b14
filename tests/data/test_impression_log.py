"""Reading impressions: what is kept, what is refused, and when a cache is trusted."""

from __future__ import annotations

import os

import numpy as np
import pytest

from recbole_tinynews import InputError
from recbole_tinynews.data import impression_log
from recbole_tinynews.data.converters import textfile
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.schema import IMPRESSION_HEADER

USERS = {"[PAD]": 0, "ann": 1, "bob": 2}
NEWS = {"[PAD]": 0, **{f"n{i}": i for i in range(1, 10)}}
ROWS = (
    ("i1", "ann", "1000.5", "n1 n2 n3", "n4 n5", "0 1"),
    ('i"2', "bob", "1001", "", "n6", "1"),  # no history; a quote is a character like any other
    ("NA", "nobody", "1002", "n9", "n7 n8 n4", ""),  # an unknown user; unknown labels
)


def write(path, rows=ROWS, header=IMPRESSION_HEADER):
    path.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "tiny.train.imp")


def content(log: ImpressionLog) -> dict:
    return {
        "ids": log.impression_ids.tolist(),
        "users": log.users.tolist(),
        "times": log.times.tolist(),
        "history": [log.history[i].tolist() for i in range(len(log))],
        "candidates": [log.candidates[i].tolist() for i in range(len(log))],
        "labels": log.labels.tolist(),
    }


EXPECTED = {
    "ids": ["i1", 'i"2', "NA"],
    "users": [1, 2, 0],
    "times": [1000.5, 1001.0, 1002.0],
    "history": [[1, 2, 3], [], [9]],
    "candidates": [[4, 5], [6], [7, 8, 4]],
    "labels": [0, 1, 1, -1, -1, -1],
}


def test_all_that_the_file_says_is_kept_in_the_ids_of_the_dataset(file):
    log = ImpressionLog.load(file, USERS, NEWS)
    assert content(log) == EXPECTED
    assert len(log) == 3
    assert (log.users.dtype, log.times.dtype, log.labels.dtype) == (np.int64, np.float64, np.int8)


def test_a_file_read_in_parts_is_the_same_and_its_errors_keep_their_lines(file, monkeypatch):
    monkeypatch.setattr(textfile, "_BLOCK", 10)
    assert content(ImpressionLog.load(file, USERS, NEWS)) == EXPECTED
    write(file, [*ROWS, ("i4", "ann", "1", "n1", "n0", "1")])
    with pytest.raises(InputError, match=r"train\.imp:5: news 'n0'"):
        ImpressionLog.load(file, USERS, NEWS)


def test_the_cache_gives_the_same_and_is_memory_mapped(file, tmp_path):
    for _ in range(2):
        log = ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")
        assert content(log) == EXPECTED
        assert isinstance(log.candidates.values, np.memmap)


def test_a_cache_written_in_parts_gives_the_same(file, tmp_path, monkeypatch):
    monkeypatch.setattr(textfile, "_BLOCK", 10)
    assert content(ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")) == EXPECTED


def test_a_cache_that_cannot_be_written_leaves_nothing_behind(file, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(impression_log.np, "save", full)
    with pytest.raises(OSError, match="no space"):
        ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_another_run_removes_meanwhile_does_no_harm(file, tmp_path, monkeypatch):
    def removed(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(impression_log.np, "load", removed)
    assert content(ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")) == EXPECTED


def test_a_cache_that_lacks_a_file_is_written_again_at_the_next_start(file, tmp_path):
    ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    (folder / "labels.npy").unlink()
    for _ in range(2):
        assert content(ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")) == EXPECTED
    assert (folder / "labels.npy").exists()


def test_the_cache_can_be_read_by_all_who_may_read_its_folder(file, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o755)
    ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.stat().st_mode == (tmp_path / "cache").stat().st_mode


def test_a_second_start_reads_the_cache_and_not_the_text(file, tmp_path, monkeypatch):
    ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")
    monkeypatch.setattr(impression_log.Table, "read", lambda *_, **__: pytest.fail("read again"))
    assert content(ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")) == EXPECTED


def test_the_cache_is_made_anew_when_the_file_changes_and_the_old_one_goes(file, tmp_path):
    cache = tmp_path / "cache"
    ImpressionLog.load(file, USERS, NEWS, cache=cache)
    write(file, ROWS[:1])
    assert content(ImpressionLog.load(file, USERS, NEWS, cache=cache))["ids"] == ["i1"]
    assert len(list(cache.iterdir())) == 1


def test_the_cache_is_made_anew_when_a_file_of_the_same_size_is_newer(file, tmp_path):
    cache = tmp_path / "cache"
    ImpressionLog.load(file, USERS, NEWS, cache=cache)
    write(file, [("i1", "ann", "1000.5", "n1 n2 n3", "n4 n5", "1 0"), *ROWS[1:]])
    os.utime(file, (1, 1))
    assert ImpressionLog.load(file, USERS, NEWS, cache=cache).labels.tolist()[:2] == [1, 0]


@pytest.mark.parametrize(("users", "news"), [(USERS, NEWS | {"n4": 9, "n9": 4}), (USERS | {"bob": 1}, NEWS)])
def test_the_cache_is_made_anew_when_the_ids_change(file, tmp_path, users, news):
    ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache")
    log = ImpressionLog.load(file, users, news, cache=tmp_path / "cache")
    assert content(log) == content(ImpressionLog.load(file, users, news))


def test_splits_share_a_cache_folder_without_touching_each_other(file, tmp_path):
    cache = tmp_path / "cache"
    other = write(tmp_path / "tiny.valid.imp", ROWS[1:])
    for path in (file, other, file):
        ImpressionLog.load(path, USERS, NEWS, cache=cache)
    assert len(list(cache.iterdir())) == 2


def test_a_file_in_which_nobody_has_a_history_can_be_cached(file, tmp_path):
    write(file, [ROWS[1]])
    for _ in range(2):
        assert content(ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache"))["history"] == [[]]


def test_the_fingerprint_is_that_of_the_content(file, tmp_path):
    log = ImpressionLog.load(file, USERS, NEWS)
    assert ImpressionLog.load(file, USERS, NEWS, cache=tmp_path / "cache").key == log.key
    changed = {
        "impression": ("i2", *ROWS[0][1:]),
        "user": ("i1", "bob", *ROWS[0][2:]),
        "time": ("i1", "ann", "7", *ROWS[0][3:]),
        "history": (*ROWS[0][:3], "n1 n2", *ROWS[0][4:]),
        "candidates": (*ROWS[0][:4], "n4 n6", "0 1"),
        "labels": (*ROWS[0][:5], "1 0"),
        "no labels": (*ROWS[0][:5], ""),
    }
    keys = {ImpressionLog.load(write(file, [row, *ROWS[1:]]), USERS, NEWS).key for row in changed.values()}
    assert len(keys | {log.key}) == len(changed) + 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("i", "ann", "1", "n1", "n4 n0", "0 1"), "4: news 'n0' is not in the dataset"),
        (("i", "ann", "1", "n0", "n4", "1"), "4: news 'n0' is not in the dataset"),
        (("i", "ann", "1", "n1", "n4 n5", "1"), "4: expected candidates and one label for each"),
        (("i", "ann", "1", "n1", "n4", "1 0"), "4: expected candidates and one label for each"),
        (("i", "ann", "1", "n1", "", ""), "4: expected candidates"),
        (("i", "ann", "1"), "4: expected 6 columns, found 3"),
        (("i", "ann", "1", "n1", "n4", "1", "more"), "4: expected 6 columns, found 7"),
    ],
)
def test_a_broken_row_is_refused_with_file_and_line(file, row, message):
    write(file, [*ROWS[:2], row])
    with pytest.raises(InputError, match=message) as error:
        ImpressionLog.load(file, USERS, NEWS)
    assert str(error.value).startswith(str(file))


def test_impressions_without_labels_can_be_left_out(file):
    write(file, [*ROWS[:1], ("i", "ann", "1", "n1", "n4 n5", ""), *ROWS[1:2]])
    log = ImpressionLog.load(file, USERS, NEWS).labelled()
    write(file, ROWS[:2])
    expected = ImpressionLog.load(file, USERS, NEWS)
    assert log.key == expected.key
    assert expected.labelled() is expected


@pytest.mark.parametrize(
    "labels",
    ["0 2", "0 -1", "0 10"],
)
def test_a_label_that_is_neither_0_nor_1_is_refused_with_its_line(file, labels):
    write(file, [*ROWS[:2], ("i", "ann", "1", "n1", "n4 n5", labels)])
    with pytest.raises(InputError, match=r"imp:4: labels must be"):
        ImpressionLog.load(file, USERS, NEWS)


@pytest.mark.parametrize("time", ["noon", ""])
def test_a_time_that_is_no_number_is_refused_with_file_and_line(file, time):
    write(file, [*ROWS[:2], ("i", "ann", time, "n1", "n4", "1")])
    with pytest.raises(InputError, match=rf"imp:4: .*time, found '{time}'"):
        ImpressionLog.load(file, USERS, NEWS)


def test_too_many_columns_in_the_first_row_are_refused(file):
    write(file, [("i", "ann", "1", "n1", "n4", "1", "more")])
    with pytest.raises(InputError, match=r"train\.imp"):
        ImpressionLog.load(file, USERS, NEWS)


def test_a_file_with_a_header_only_is_refused_by_name(file):
    with pytest.raises(InputError, match=r"train\.imp"):
        ImpressionLog.load(write(file, []), USERS, NEWS)


def test_the_line_told_is_that_of_the_file_even_after_a_blank_one(file):
    write(file, [*ROWS[:2], ("",), ("i", "ann", "1", "n1", "n0", "1")])
    with pytest.raises(InputError, match=r"imp:5: news 'n0'"):
        ImpressionLog.load(file, USERS, NEWS)


def test_another_header_is_refused(file):
    with pytest.raises(InputError, match=r"imp:1: expected the header"):
        ImpressionLog.load(write(file, header=IMPRESSION_HEADER[::-1]), USERS, NEWS)


@pytest.mark.parametrize(
    ("content_of_file", "message"),
    [(b"", r"imp: the file is empty"), ("\t".join(IMPRESSION_HEADER).encode() + b"\n\xff\n", r"imp:2: not UTF-8")],
)
def test_a_file_that_is_no_text_table_is_refused_by_name(file, content_of_file, message):
    file.write_bytes(content_of_file)
    with pytest.raises(InputError, match=message):
        ImpressionLog.load(file, USERS, NEWS)
