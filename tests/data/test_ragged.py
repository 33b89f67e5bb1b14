"""Ragged rows against Python lists."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_tinynews.data.ragged import Ragged

ROWS = [[3, 1, 4], [], [1], [5, 9, 2, 6], []]


@pytest.fixture
def ragged() -> Ragged:
    return Ragged.from_rows(ROWS)


def lists(ragged: Ragged) -> list[list[int]]:
    return [ragged[row].tolist() for row in range(len(ragged))]


def test_rows_come_back_as_they_were_put_in(ragged):
    assert lists(ragged) == ROWS
    assert ragged.lengths.tolist() == [3, 0, 1, 4, 0]
    assert ragged.row_of.tolist() == [0, 0, 0, 2, 3, 3, 3, 3]


def test_flat_values_and_lengths_make_the_same_rows(ragged):
    assert lists(Ragged.from_lengths(ragged.values, ragged.lengths)) == ROWS


@pytest.mark.parametrize("wanted", [[4, 0, 0, 3], [], [1], [0, 1, 2, 3, 4]])
def test_take_gives_the_wanted_rows_in_the_wanted_order(ragged, wanted):
    assert lists(ragged.take(wanted)) == [ROWS[row] for row in wanted]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10])
def test_last_keeps_the_end_of_each_row(ragged, length):
    assert lists(ragged.last(length)) == [row[max(0, len(row) - length) :] for row in ROWS]


def test_padding_is_zero_behind_the_end_and_as_wide_as_the_longest_row(ragged):
    assert ragged.padded().tolist() == [[3, 1, 4, 0], [0] * 4, [1, 0, 0, 0], [5, 9, 2, 6], [0] * 4]
    assert ragged.padded().dtype == np.int64
    assert ragged.padded(5)[3].tolist() == [5, 9, 2, 6, 0]


def test_padding_narrower_than_a_row_is_refused_and_cuts_nothing(ragged):
    with pytest.raises(ValueError, match="cannot assign"):
        ragged.padded(3)


def test_no_rows_and_only_empty_rows_work():
    for rows in ([], [[], []]):
        empty = Ragged.from_rows(rows)
        assert lists(empty) == rows
        assert empty.padded().shape == (len(rows), 0)
        assert empty.last(3).values.tolist() == []


def test_a_memory_mapped_file_serves_as_values(tmp_path, ragged):
    np.save(tmp_path / "values.npy", ragged.values)
    mapped = Ragged(np.load(tmp_path / "values.npy", mmap_mode="r"), ragged.offsets)
    assert lists(mapped) == ROWS
    assert lists(mapped.take([3]).last(2)) == [[2, 6]]
