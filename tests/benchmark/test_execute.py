"""Runs of a plan: each done once, resumed after an interruption, and told in a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recbole_tinynews.benchmark import execute
from recbole_tinynews.benchmark.__main__ import main
from recbole_tinynews.config import properties_folder
from tests.plm_fixtures import TINYNEWSREC_SETTINGS

PLAN = """
title: Two systems
depths: [1/2]
rows:
  - {name: "PLM-NR-{depth} (DP)", model: PLMNR, depth: full, settings: {pretraining: matching}, ours: True}
  - {name: "Tiny-NewsRec-{depth}", model: TinyNewsRec, depth: students, ours: True}
"""


@pytest.fixture
def command(news, tmp_path):
    Path("plan.yaml").write_text(PLAN, encoding="utf-8")
    settings = {**TINYNEWSREC_SETTINGS, "epochs": 1, "use_gpu": False}
    for key in ("layers", "student_layers"):
        settings.pop(key, None)
    Path("settings.yaml").write_text(json.dumps(settings), encoding="utf-8")
    return ["plan.yaml", "--dataset=tiny", f"--plm={news['plm']}", "--config_files=settings.yaml", "--output=out"]


@pytest.fixture
def ran(monkeypatch) -> list[tuple[str, int]]:
    """Model and seed of each run that was made."""
    calls = []
    original = execute.run

    def watched(model, dataset, files, settings):
        calls.append((model, settings["seed"]))
        return original(model, dataset, files, settings)

    monkeypatch.setattr(execute, "run", watched)
    return calls


def test_all_rows_run_with_the_first_seed_before_the_next_and_none_runs_twice(command, ran, capsys):
    assert main([*command, "--repeats=2"]) == 0
    assert ran == [("PLMNR", 2020), ("TinyNewsRec", 2020), ("PLMNR", 2021), ("TinyNewsRec", 2021)]
    assert "PLM-NR-4 (DP)" in capsys.readouterr().out
    assert main([*command, "--repeats=2"]) == 0
    assert len(ran) == 4
    assert len(list(Path("out/checkpoints/stages/tiny").glob("post_train-*"))) == 2  # one a seed, for both models


def test_an_interrupted_benchmark_goes_on_where_it_was(command, ran, monkeypatch):
    with monkeypatch.context() as patch:
        original = execute.run

        def stop(model, *arguments):
            if model == "TinyNewsRec":
                raise KeyboardInterrupt
            return original(model, *arguments)

        patch.setattr(execute, "run", stop)
        assert main([*command, "--repeats=1"]) == 130
    assert main([*command, "--repeats=1"]) == 0
    assert ran == [("PLMNR", 2020), ("TinyNewsRec", 2020)]


def test_a_run_that_fails_is_told_and_the_others_are_done_and_reported(command, capsys):
    failing = "  - {name: Broken, model: SASRec, settings: {load_col: {inter: [user_id, item_id]}}}\n"
    Path("plan.yaml").write_text(PLAN.replace("rows:\n", f"rows:\n{failing}"), encoding="utf-8")
    assert main([*command, "--repeats=1"]) == 1
    assert "error: 1 of 3 runs failed; the first: Broken, seed 2020: " in capsys.readouterr().err
    report = json.loads(Path("out/plan/report.json").read_text())
    assert [row["system"] for row in report["rows"]] == ["PLM-NR-4 (DP)", "Tiny-NewsRec-2"]
    assert report["missing"] == ["Broken"]


def test_the_reports_numbers_are_those_of_the_saved_impressions(command):
    assert main([*command, "--repeats=2"]) == 0
    for row in json.loads(Path("out/plan/report.json").read_text())["rows"]:
        stem = row["system"].replace(" ", "-").replace("(", "").replace(")", "")
        files = list(Path("out/runs").glob(f"{stem}-*.npz"))
        assert len(files) == 2
        for metric in ("auc", "mrr", "ndcg@5", "ndcg@10"):
            means = [np.nanmean(np.load(file)[metric]) for file in files]
            assert row[metric] == pytest.approx(sum(means) / 2, abs=1e-12)


def test_another_setting_is_another_run(command, ran):
    assert main([*command, "--repeats=1"]) == 0
    assert main([*command, "--repeats=1", "--stage2.temperature=2"]) == 0
    assert ran[2:] == [("TinyNewsRec", 2020)]


def test_runs_log_to_a_file_and_not_to_the_console(command, capfd):
    assert main([*command, "--repeats=1"]) == 0
    assert "epoch 1" in Path("out/benchmark.log").read_text()
    out, err = capfd.readouterr()
    assert "epoch 1" not in out + err


def test_speed_needs_no_training(command, ran):
    plan = str(properties_folder() / "paper" / "figure5.yaml")
    assert main([plan, *command[1:]]) == 0
    assert ran == []
    systems = [row["system"] for row in json.loads(Path("out/figure5/report.json").read_text())["rows"]]
    assert systems == ["PLM-NR-4", "PLM-NR-2", "PLM-NR-1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--repeats=0", "repeats must be 1 or more"),
        ("--plm=nowhere", "plm=nowhere: neither a folder nor a hub name"),
        ("--dataset=nothing", "there is no dataset 'nothing'"),
        ("--depths=9", "the encoder has 4 layers"),
        ("--stage2.temperature=-1", "stage2.temperature must be a number above 0"),
    ],
)
def test_a_mistake_is_told_in_one_line(command, capsys, change, message):
    assert main([*command, "--repeats=1", change]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
