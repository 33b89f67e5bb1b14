import numpy as np

from recbole_tinynews.data.converters.records import Impressions
from recbole_tinynews.data.converters.summary import SplitSummary, Summary


def test_the_summary_counts_what_it_is_given():
    split = SplitSummary()
    rows = [
        ("1", "u", 0.0, [0, 1, 2], [0, 1], [1, 0]),
        ("2", "u", 0.0, [], [0, 1, 2], [0, 0, 0]),
        ("3", "v", 0.0, [0], [0], [1]),
        ("4", "w", 0.0, [], [0], []),
    ]
    split.add(Impressions.from_rows(rows[:2]), np.array([0, 0]))
    split.add(Impressions.from_rows(rows[2:]), np.array([3, 1]))
    # rows, users, candidates, clicks, mean history 4/4, longest, empty, without click, all clicked, unlabelled
    assert split.cells() == ["4", "3", "7", "2", "1.0", "3", "2", "1", "1", "1"]


def test_the_text_names_what_was_dropped_and_only_that():
    summary = Summary("dataset/d", news=1200)
    assert str(summary) == "dataset/d: 1,200 news\nnothing dropped, nothing changed"
    summary.notes["rows without title, dropped"] = 3
    summary.without["body"] = 7
    assert str(summary) == "dataset/d: 1,200 news (7 without body)\nrows without title, dropped: 3"
