"""Room for states of frozen layers: how much it takes, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_tinynews.layers import FrozenStates, NewsInput


def one_token_each(number: int) -> NewsInput:
    return NewsInput(torch.zeros(number, dtype=torch.int32), np.arange(number + 1))


@pytest.mark.parametrize("place", ["memory", "file"])
def test_only_news_that_will_be_read_take_room(tmp_path, place):
    news = NewsInput(torch.zeros(17, dtype=torch.int32), np.array([0, 0, 9, 13, 17]))
    states = FrozenStates(news, np.array([3, 1]), 5, torch.bfloat16, tmp_path if place == "file" else None)
    assert states._values.nbytes == (9 + 4) * 5 * 2
    assert states.num_news == 4
    assert not list(tmp_path.iterdir())  # the file has no name, and goes with the process


def test_other_news_fill_a_pack_shortest_first_and_are_ordered_by_length():
    news = NewsInput(torch.zeros(25, dtype=torch.int32), np.array([0, 0, 9, 13, 17, 23, 25]))
    states = FrozenStates(news, np.array([2, 3, 4, 5]), 5, torch.float32)  # of 2, 4, 4 and 6 tokens
    assert states.to_compute(np.array([4]), 1).tolist() == [4]
    assert states.to_compute(np.array([4]), 12).tolist() == [5, 2, 4]
    assert states.to_compute(np.array([4]), 16).tolist() == [5, 2, 3, 4]
    states.put(np.array([5, 2]), torch.zeros(6, 5))
    assert states.to_compute(np.array([4, 5]), 16).tolist() == [3, 4]


def test_a_news_without_room_is_refused():
    news = NewsInput(torch.zeros(7, dtype=torch.int32), np.array([0, 0, 2, 3, 7]))
    states = FrozenStates(news, np.array([1, 3]), 2, torch.float32)
    with pytest.raises(ValueError, match="no room"):
        states.to_compute(np.array([3, 2]), 10)


def test_states_are_those_that_were_put_and_the_others_are_unknown():
    news = NewsInput(torch.zeros(7, dtype=torch.int32), np.array([0, 0, 2, 3, 7]))
    states = FrozenStates(news, np.array([1, 2, 3]), 2, torch.float32)
    given = torch.arange(12.0).view(6, 2)
    states.put(np.array([3, 1]), given)
    assert states.to_compute(np.array([3, 1]), 10).tolist() == []
    assert states.to_compute(np.array([2, 3, 1, 2]), 10).tolist() == [2]
    torch.testing.assert_close(states.packed(np.array([1, 3])), torch.cat([given[4:], given[:4]]))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells what is mapped")
def test_states_in_a_file_take_memory_neither_when_put_nor_when_read(tmp_path):
    def mapped() -> int:
        return int(Path("/proc/self/status").read_text(encoding="utf-8").split("RssFile:")[1].split()[0]) * 1024

    rows, dim, before = np.arange(1000), 2**14, mapped()
    states = FrozenStates(one_token_each(1000), rows, dim, torch.float32, tmp_path)
    for part in np.array_split(rows, 10):
        states.put(part, torch.from_numpy(part).float().unsqueeze(1).expand(-1, dim))
    for part in np.array_split(rows[::-1], 10):
        assert torch.equal(states.packed(part)[:, -1].long(), torch.from_numpy(part.copy()))
    assert mapped() - before < 0.2 * 1000 * dim * 4
