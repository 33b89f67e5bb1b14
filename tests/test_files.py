import numpy as np
import pytest

from recbole_tinynews import InputError
from recbole_tinynews.files import GrowingArray, check_writable, replacing, replacing_folder


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert part.suffix == ".txt"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as part:
        part.write_bytes(b"half") and part.write_text(1)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_there_when_all_is_written_and_an_error_leaves_nothing(tmp_path):
    with pytest.raises(TypeError), replacing_folder(tmp_path / "a") as part:
        (part / "file").write_bytes(b"half") and (part / "file").write_text(1)
    assert list(tmp_path.iterdir()) == []
    with replacing_folder(tmp_path / "a") as part:
        (part / "file").write_text("whole")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "file").read_text() == "whole"


def test_of_two_who_make_a_folder_the_first_wins(tmp_path):
    with replacing_folder(tmp_path / "a") as part:
        (part / "file").write_text("second")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "file").write_text("first")
    assert (tmp_path / "a" / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_two_who_make_a_folder_at_the_same_time_do_not_write_into_each_others(tmp_path):
    with replacing_folder(tmp_path / "a") as one, replacing_folder(tmp_path / "a") as two:
        (one / "file").write_text("slow")
        assert not (two / "file").exists()
        (two / "file").write_text("fast")
    assert (tmp_path / "a" / "file").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("lengths", [(), (0,), (1, 0, 12, 12345)])
def test_an_array_that_grows_is_what_numpy_reads_and_maps(tmp_path, lengths):
    parts = [np.arange(length, dtype=np.int32) for length in lengths]
    with GrowingArray(tmp_path / "a.npy") as grown:
        for part in parts:
            grown.append(part)
    for mode in (None, "r"):
        stored = np.load(tmp_path / "a.npy", mmap_mode=mode)
        np.testing.assert_array_equal(stored, np.concatenate([[], *parts]))


def test_a_folder_is_made_to_write_in_and_one_that_cannot_be_is_told(tmp_path):
    check_writable(tmp_path / "a" / "b", "the result")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: the result cannot be written"):
        check_writable(tmp_path / "file", "the result")
