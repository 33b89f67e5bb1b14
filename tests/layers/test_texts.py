"""Where texts start and end, by hand."""

from __future__ import annotations

import torch

from recbole_tinynews.layers.texts import sent, text_offsets, text_spans

CPU = torch.device("cpu")
GROUPS = [(2, 3), (1, 1), (1, 2)]


def test_offsets_are_the_starts_of_texts_and_the_end_of_the_last():
    assert text_offsets(GROUPS, CPU).tolist() == [0, 3, 6, 7, 9]


def test_spans_are_the_start_and_the_end_of_each_tokens_text():
    assert text_spans(GROUPS, CPU).tolist() == [[0, 0, 0, 3, 3, 3, 6, 7, 7], [3, 3, 3, 6, 6, 6, 7, 9, 9]]


def test_values_for_the_cpu_stay_where_they_are():
    values = torch.arange(3)
    assert sent(values, CPU) is values
