import numpy as np
import pytest

from recbole_tinynews.data.converters.bad_rows import BadRows, Fault
from recbole_tinynews.errors import InputError

LINES = np.array([5, 6, 7, 8])
FAULTS = [
    Fault("late", np.array([False, False, True, True]), lambda row: f"late in row {row}"),
    Fault("early", np.array([False, True, True, False]), lambda row: f"early in row {row}"),
]


def test_the_first_row_with_any_fault_stops():
    with pytest.raises(InputError, match="log:6: early in row 1"):
        BadRows().good("log", LINES, FAULTS)


def test_each_skipped_row_counts_once_and_the_first_is_told():
    bad = BadRows(skip=True)
    assert bad.good("log", LINES, FAULTS).tolist() == [0]
    assert bad.notes() == {
        "left out, late (first: log:7: late in row 2)": 2,
        "left out, early (first: log:6: early in row 1)": 1,
    }


def test_good_rows_are_left_as_they_are():
    assert BadRows().good("log", LINES, [Fault("none", np.zeros(4, dtype=bool), str)]) is None
