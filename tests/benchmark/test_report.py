"""Reports: their numbers, and what can be opened."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from recbole_tinynews.benchmark import plots
from recbole_tinynews.benchmark.plan import Plan, Row
from recbole_tinynews.benchmark.records import Measured, Speed
from recbole_tinynews.benchmark.report import write_report, write_speed_report
from tests.benchmark.test_statistics import measured

ABOUT = {"dataset": "made up", "seeds": "0 to 2"}
RNG = np.random.default_rng(0)
VALUES = {name: RNG.normal(mean, 0.1, (3, 60)).tolist()
          for name, mean in (("DP-4", 0.7), ("FT-2", 0.6), ("Tiny-2", 0.69))}  # fmt: skip
VALUES["FT-4"] = [[value - (0.05 if i % 2 else -0.045) for i, value in enumerate(row)] for row in VALUES["DP-4"]]
EXPECTED = [("FT-4", "DP-4"), ("FT-2", "Tiny-2"), ("Tiny-2", "FT-2")]


@pytest.fixture
def rows() -> list[Measured]:
    return [
        measured("FT-4", VALUES["FT-4"], 4, model="PLMNR"),
        measured("DP-4", VALUES["DP-4"], 4, True, "PLMNR"),
        measured("FT-2", VALUES["FT-2"], 2, model="PLMNR"),
        measured("Tiny-2", VALUES["Tiny-2"], 2, True),
    ]


def make_plan(rows, **more) -> Plan:
    return Plan("table", "A table", [row.row for row in rows], **more)


def tables(text) -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[c.strip() for c in line.strip("|\n").split("|")] for line in block.splitlines()] for block in blocks]


def test_the_table_shows_means_and_deviations_recomputed_from_the_impressions(rows, tmp_path):
    text = write_report(make_plan(rows), rows, ABOUT, tmp_path).read_text()
    head, _, *body = tables(text)[0]
    assert head == ["system", "parameters", "seconds", "repeats", "AUC", "MRR", "nDCG@5", "nDCG@10"]
    for line in body:
        means = [sum(of_seed) / 60 for of_seed in VALUES[line[0]]]
        mean = sum(means) / 3
        std = (sum((value - mean) ** 2 for value in means) / 2) ** 0.5
        assert line[4].strip("*†") == f"{100 * mean:.2f} ± {100 * std:.2f}"
    assert [line[0] for line in body if line[4].startswith("**")] == ["DP-4", "Tiny-2"]
    assert [line[0] for line in body if line[4].endswith("†")] == ["Tiny-2"]  # DP-4: .0025 at .05


def test_csv_and_json_have_the_same_numbers_in_full(rows, tmp_path):
    write_report(make_plan(rows), rows, ABOUT, tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    with open(tmp_path / "report.csv", encoding="utf-8") as lines:
        table = list(csv.DictReader(lines))
    for of_json, of_csv in zip(content["rows"], table, strict=True):
        assert of_json["system"] == of_csv["system"]
        expected = np.mean([np.mean(of_seed) for of_seed in VALUES[of_json["system"]]])
        assert of_json["auc"] == pytest.approx(expected, abs=1e-12)
        assert float(of_csv["auc"]) == pytest.approx(expected, abs=1e-12)
    assert content["about"] == ABOUT


def test_ours_are_compared_with_the_others_of_their_depth_and_students_with_the_deepest(rows, tmp_path):
    write_report(make_plan(rows), rows, ABOUT, tmp_path)
    pairs = [(c["better"], c["other"]) for c in json.loads((tmp_path / "report.json").read_text())["comparisons"]]
    assert pairs == [("DP-4", "FT-4"), ("Tiny-2", "FT-2"), ("Tiny-2", "DP-4")]


def test_the_papers_order_holds_or_not_or_is_undecided(rows, tmp_path):
    text = write_report(make_plan(rows, expected=EXPECTED), rows, ABOUT, tmp_path).read_text()
    verdicts = {line[0]: line[-1] for line in tables(text)[2]}
    assert verdicts["Tiny-2 ≥ FT-2"] == "yes"
    assert verdicts["FT-2 ≥ Tiny-2"] == "no"
    assert verdicts["DP-4 ≥ FT-4"] == "undecided"


def test_rows_without_a_run_are_named_as_missing(rows, tmp_path):
    missing = Measured(Row("Later-2", "Later", "NewsBERT", 2, {}), [], [])
    text = write_report(make_plan([*rows, missing]), [*rows, missing], ABOUT, tmp_path).read_text()
    assert "Not measured yet: Later-2." in text
    assert not list(tmp_path.glob("*.part"))


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_the_page_needs_nothing_else_and_the_plot_lies_beside_it(rows, tmp_path, kind):
    if kind == "lines":
        rows = [measured(f"Tiny-2, M = {x}", VALUES["Tiny-2"], x=float(x), x_label="M") for x in (1, 2, 3)]
    write_report(make_plan(rows, plot=kind), rows, ABOUT, tmp_path)
    page = _Page()
    page.feed((tmp_path / "report.html").read_text())
    assert page.tags.count("table") >= 2
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert len(page.links) == 1
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "table.svg").read_text()
    assert "![A table](table.png)" in (tmp_path / "report.md").read_text()


def test_bars_of_what_is_varied_stand_beside_each_other(tmp_path):
    rows = [measured(f"T-2, K = {x}", [[0.6, 0.7]], x=float(x), x_label="K") for x in (1, 2, 3)]
    axes = Figure().add_subplot()
    plots._bars(axes, rows, [2])
    bars = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches)
    assert all(one[1] < other[0] for one, other in pairwise(bars))
    assert [text.get_text()[-5:] for text in axes.get_legend().get_texts()] == ["K = 1", "K = 2", "K = 3"]


def test_speeds_are_shown_beside_their_ratio_to_the_largest(tmp_path):
    speeds = [
        Speed(Row(f"PLM-NR-{depth}", "PLM-NR", "PLMNR", depth, {}), parameters, {"CPU": speed})
        for depth, parameters, speed in ((12, 100_000_000, 50.0), (4, 50_000_000, 175.0))
    ]
    plan = Plan("figure5", "Speed", [speed.row for speed in speeds], plot="speed")
    text = write_speed_report(plan, speeds, ABOUT, tmp_path).read_text()
    assert tables(text)[0][2:] == [
        ["PLM-NR-12", "100.0 M", "100%", "50", "1.0"], ["PLM-NR-4", "50.0 M", "50%", "175", "3.5"]
    ]  # fmt: skip
    assert (tmp_path / "figure5.png").exists()
