"""Rankings as files."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from scipy.stats import rankdata

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.prediction import read_prediction, write_prediction
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.errors import InputError

SCORES = np.array([0.5, 0.25, 0.5, 9.0, -3.0, 1.0, 2.0, 2.0, 2.0])
SIZES = (3, 1, 5)


def make_log() -> ImpressionLog:
    shown = Ragged.from_lengths(np.arange(1, 10), np.array(SIZES))
    none = Ragged.from_rows([[] for _ in SIZES])
    return ImpressionLog(np.array(["9", "x", "3"]), np.zeros(3), np.zeros(3), none, shown, np.full(9, -1, np.int8))


def test_a_line_holds_an_impression_and_the_rank_of_each_candidate_in_file_order(tmp_path):
    write_prediction(tmp_path / "p.zip", make_log(), SCORES)
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.namelist() == ["prediction.txt"]
        assert archive.read("prediction.txt").decode() == "9 [1,3,1]\nx [1]\n3 [5,4,1,1,1]\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "p.zip"]


def test_what_is_read_back_orders_candidates_as_the_scores_did(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, 9).astype(float)
    write_prediction(tmp_path / "p.zip", make_log(), scores)
    expected = np.concatenate([-rankdata(-part, "min") for part in np.split(scores, np.cumsum(SIZES)[:-1])])
    np.testing.assert_array_equal(read_prediction(tmp_path / "p.zip", make_log()), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9 [1,2,3]\nx [1]\n", "expected a line for each of 3 impressions, found 2"),
        ("9 [1,2,3]\nx [1]\n4 [1,2,3,4,5]\n", ":3: expected impression 3"),
        ("9 [1,2,3]\nx [1,2]\n3 [1,2,3,4,5]\n", r":2: expected impression x and \[rank,...\] of its 1 candidates"),
        ("9 [1,2,3\nx [1]\n3 [1,2,3,4,5]\n", ":1: expected impression 9"),
    ],
)
def test_a_file_of_other_impressions_is_refused_with_the_line(tmp_path, text, message):
    (tmp_path / "prediction.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_prediction(tmp_path / "prediction.txt", make_log())


def test_a_zip_file_without_ranks_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("other.txt", "9 [1,2,3]")
    with pytest.raises(InputError, match=r"expected prediction.txt in it"):
        read_prediction(tmp_path / "p.zip", make_log())
