"""What is told of a dataset before training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recbole_tinynews.inspect import describe, leaks, main
from tests.evaluator.test_slices import CLICKS, make_log
from tests.plm_fixtures import write_news


def test_a_split_is_described_by_counts_that_a_hand_can_make():
    found = describe(make_log(), CLICKS)
    assert found["impressions"] == 4
    assert found["known users"] == 3
    assert found["candidates, mean"] == 9 / 4
    assert found["candidates, most"] == 3
    assert found["clicks, mean"] == 1.0
    assert found["without click"] == 0.25
    assert found["history, mean"] == (0 + 9 + 10 + 1) / 4
    assert found["without history"] == 0.25
    assert found["candidates never clicked in D.inter"] == 6 / 9  # news 4 and 5
    assert found["of users whom D.inter does not know"] == 0.25
    assert found["first"] == found["last"] == "1970-01-01 00:00"


def test_a_split_before_the_one_it_follows_and_clicks_in_the_own_history_are_found():
    train, valid = make_log(), make_log()
    train.times[:] = [10, 20, 30, 40]
    valid.times[:] = [35, 50, 60, 70]
    assert leaks({"train": train, "valid": valid}) == [
        "1 valid impressions are earlier than the last train impression",
        "1 of 4 train clicks are on a news of that user's history",
        "1 of 4 valid clicks are on a news of that user's history",
    ]
    valid.times[0] = 45
    assert len(leaks({"train": train, "valid": valid})) == 2


def test_the_command_prints_all_splits_and_draws(tiny, capsys):
    write_news(tiny)
    assert main(["tiny", "--plot=x.png"]) == 0
    text = capsys.readouterr().out
    assert "tiny: 30 news, 12 users and 72 clicks in D.inter" in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("impressions ")]
    assert row[1:] == ["25", "25", "25"]
    lengths = [len(line.split("\t")[1].split()) for line in (tiny / "tiny.news").read_text().splitlines()[1:]]
    assert f"titles: {np.mean(lengths):.1f} words in the mean, {max(lengths)} at most, 1 empty" in text
    assert Path("x.png").stat().st_size > 10_000


def test_word_pieces_are_counted_where_an_encoder_is_named(tiny, plm_folder, capsys):
    write_news(tiny)
    assert main(["tiny", f"--plm={plm_folder}"]) == 0
    assert "word pieces in the mean" in capsys.readouterr().out


def test_a_dataset_without_impressions_and_a_missing_one_get_a_line(tiny, capsys):
    for file in tiny.glob("*.imp"):
        file.unlink()
    assert main(["tiny"]) == 0
    assert "no impressions: evaluated RecBole's way" in capsys.readouterr().out
    assert main(["none"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
