"""Many rows at once give what single rows give, byte for byte, and the same errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_tinynews.data.converters import blocks
from recbole_tinynews.data.converters.faults import Faults
from recbole_tinynews.data.converters.impressions import ImpressionReader
from recbole_tinynews.data.converters.mind import BEHAVIORS
from recbole_tinynews.data.converters.records import News
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.data.converters.writer import write_dataset
from recbole_tinynews.errors import InputError

NEWS = [f"N{i}" for i in range(40)]


def random_log(rows=300) -> list[str]:
    rng = np.random.default_rng(5)
    lines = []
    for number in range(rows):
        history = " ".join(rng.choice(NEWS, size=rng.integers(0, 9)))
        shown = rng.choice(NEWS, size=rng.integers(1, 12), replace=False)
        labels = rng.integers(0, 2, size=len(shown))
        day, hour, minute, second = rng.integers((9, 1, 0, 0), (16, 13, 60, 60))
        moment = f"11/{day}/2019 {hour}:{minute:02}:{second:02} {'AP'[number % 2]}M"
        candidates = " ".join(f"{item}-{label}" for item, label in zip(shown, labels, strict=True))
        lines.append(f"{number}\tU{number % 25}\t{moment}\t{history}\t{candidates}")
    return lines


def convert(tmp_path, lines, at_once, name, skip=False) -> tuple[dict[str, bytes], str]:
    path = tmp_path / "behaviors.tsv"
    path.write_bytes("\n".join(lines).encode())
    faults = Faults(skip)
    file, reader = TextFile(path, None, faults), ImpressionReader(BEHAVIORS, set(NEWS))
    rows = blocks.read_blocks(file, "train", reader) if at_once else reader.read(file, "train")
    folder = tmp_path / name / "d"
    summary = write_dataset(folder, [News(item, title="t") for item in NEWS], rows)
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}, str(summary).replace(str(folder), "")


@pytest.mark.parametrize("size", [1, 700, 1 << 23])
def test_blocks_of_any_size_write_what_single_rows_write(tmp_path, monkeypatch, size):
    monkeypatch.setattr(blocks, "_BYTES_AT_ONCE", size)
    lines = random_log()
    lines[7] = lines[7].replace("\t", "\t", 1) + "\r"
    lines[50:50] = [""]
    assert convert(tmp_path, lines, True, "a") == convert(tmp_path, lines, False, "b")


IRREGULAR = {
    "two blanks in a history": "9\tU1\t11/9/2019 9:05:58 AM\tN1  N2\tN3-1 N4-0",
    "a blank at the end": "9\tU1\t11/9/2019 9:05:58 AM\tN1 \tN3-1 N4-0 ",
    "an id beyond ASCII": "9\tÜ1\t11/9/2019 9:05:58 AM\tN1\tN3-1 N4-0",
    "a time before noon with a zero": "9\tU1\t11/9/2019 09:05:58 AM\tN1\tN3-1 N4-0",
}


@pytest.mark.parametrize("line", IRREGULAR.values(), ids=IRREGULAR)
def test_a_row_that_is_right_but_unusual_is_read_as_a_single_row_is(tmp_path, line):
    lines = random_log(20)
    lines[9] = line
    assert convert(tmp_path, lines, True, "a") == convert(tmp_path, lines, False, "b")


BROKEN = (
    "9\tU1\t11/9/2019 9:05:58 AM\tN1",
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\tN3-1\tmore",
    "9\tU1\t11/39/2019 9:05:58 AM\tN1\tN3-1",
    "9\tU1\t11/9/2019 19:05:58 AM\tN1\tN3-1",
    "9\tU1\t11/9/2019 9:05:58 AM\tN77\tN3-1",
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\tN77-1",
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\tN3-2",
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\tN3-1 N3-0",
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\tN3",
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\t",
    "9\tNA\t11/9/2019 9:05:58 AM\tN1\tN3-1",
    '9\tU"1\t11/9/2019 9:05:58 AM\tN1\tN3-1',
    "9\tU1\t11/9/2019 9:05:58 AM\tN1\0\tN3-1",
)


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_row_gives_the_same_error_at_the_same_line_and_is_left_out_alike(tmp_path, monkeypatch, line):
    monkeypatch.setattr(blocks, "_BYTES_AT_ONCE", 700)
    lines = random_log(40)
    lines[29] = line
    told = []
    for at_once in (True, False):
        with pytest.raises(InputError, match=r"behaviors.tsv:30") as caught:
            convert(tmp_path, lines, at_once, "a")
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert convert(tmp_path, lines, True, "b", skip=True) == convert(tmp_path, lines, False, "c", skip=True)


@pytest.mark.parametrize("place", [0, 13, 20, 39])
def test_a_broken_row_is_left_out_wherever_a_block_begins(tmp_path, monkeypatch, place):
    monkeypatch.setattr(blocks, "_BYTES_AT_ONCE", 1)  # a row a block
    lines = random_log(40)
    lines[place] = BROKEN[0]
    assert convert(tmp_path, lines, True, "a", skip=True) == convert(tmp_path, lines, False, "b", skip=True)


def test_blank_lines_at_the_end_are_no_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES_AT_ONCE", 1)
    lines = [*random_log(10), "", "", ""]
    assert convert(tmp_path, lines, True, "a") == convert(tmp_path, lines, False, "b")


def test_a_carriage_return_inside_a_line_ends_no_row(tmp_path):
    lines = random_log(10)
    lines[4] = f"{lines[4]}\r{lines[5]}"
    for at_once in (True, False):
        with pytest.raises(InputError, match=r"behaviors.tsv:5: expected 5 columns, found 9"):
            convert(tmp_path, lines, at_once, "a")
