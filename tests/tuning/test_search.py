"""The search: what is tried, what is not tried again, and when it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from recbole_tinynews import InputError, run
from recbole_tinynews.tuning import search as search_module
from recbole_tinynews.tuning.__main__ import main
from recbole_tinynews.tuning.search import Search
from recbole_tinynews.tuning.space import read_space
from recbole_tinynews.tuning.trials import Trial, TrialLog, run_trial
from tests.plm_fixtures import TINYNEWSREC_SETTINGS


class Killed(BaseException):
    """Stands for a search that is killed."""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "m.hyper").write_text("x uniform -1,1\nk choice [1,2]\n")
    return read_space(tmp_path / "m.hyper")


@pytest.fixture
def grid(tmp_path):
    (tmp_path / "g.hyper").write_text("a choice [1,2,3]\nb choice [10,20]\n")
    return read_space(tmp_path / "g.hyper")


@pytest.fixture
def runs(monkeypatch) -> list[dict]:
    """Settings that were tried; the score is a formula of them."""
    tried: list[dict] = []

    def fake(trial: Trial, arguments, metric, folder, threads) -> Trial:
        tried.append(trial.settings)
        if trial.settings.get("a") == 2:
            trial.error = "out of memory"
        else:
            trial.score = 1 - trial.settings.get("x", 0) ** 2 + 0.1 * trial.settings.get("a", 0)
        return trial

    monkeypatch.setattr(search_module, "run_trial", fake)
    return tried


def go(space, folder, tool="random", max_trials=6, early_stop=100, parallel=1) -> tuple[Trial, TrialLog]:
    log = TrialLog(folder / "trials.jsonl", {"what": "a test"})
    best = Search(space, tool, max_trials, early_stop, parallel, seed=1).run(log, [], "auc", folder)
    return best, log


@pytest.mark.parametrize("tool", ["random", "bayes"])
@pytest.mark.parametrize("parallel", [1, 3])
def test_the_best_of_all_trials_is_returned_and_all_are_kept(space, tmp_path, runs, tool, parallel):
    best, log = go(space, tmp_path, tool, parallel=parallel)
    assert len(runs) == len(log.finished) == 6
    assert best.settings["x"] == min((settings["x"] for settings in runs), key=abs)
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert {line["number"]: line["score"] for line in lines[1:]} == {t.number: t.score for t in log.finished}


def test_trials_at_once_share_the_visible_gpus(space, tmp_path, monkeypatch):
    taken = []

    def fake(trial, arguments, metric, folder, threads):
        taken.extend(arguments)
        trial.score = 0.5
        return trial

    monkeypatch.setattr(search_module, "run_trial", fake)
    monkeypatch.setattr(search_module.distributed, "visible_gpus", lambda: ("2", "7"))
    go(space, tmp_path, max_trials=8, parallel=4)
    assert set(taken) == {"--gpu_id=2", "--gpu_id=7"}


def test_an_exhaustive_search_tries_each_combination_once_and_goes_on_after_a_failure(grid, tmp_path, runs):
    best, log = go(grid, tmp_path, "exhaustive", max_trials=1)
    assert [(settings["a"], settings["b"]) for settings in runs] == [(a, b) for a in (1, 2, 3) for b in (10, 20)]
    assert best.settings == {"a": 3, "b": 10}
    assert [trial.error for trial in log.trials.values() if trial.score is None] == ["out of memory"] * 2


@pytest.mark.parametrize("tool", ["exhaustive", "random", "bayes"])
def test_a_killed_search_goes_on_with_what_was_running_and_repeats_nothing(
    grid, space, tmp_path, runs, tool, monkeypatch
):
    fake, what = search_module.run_trial, grid if tool == "exhaustive" else space

    def killed_at_the_third(trial, *more):
        if trial.number == 2:
            raise Killed
        return fake(trial, *more)

    with monkeypatch.context() as patch:
        patch.setattr(search_module, "run_trial", killed_at_the_third)
        with pytest.raises(Killed):
            go(what, tmp_path, tool)
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write('{"number": 3, "dra')  # the kill came while a line was written
    interrupted = TrialLog(tmp_path / "trials.jsonl", {"what": "a test"}).interrupted
    assert [trial.number for trial in interrupted] == [2]
    _, log = go(what, tmp_path, tool)
    assert runs[2] == interrupted[0].settings
    assert len(runs) == 6
    assert [trial.settings for trial in log.trials.values()] == runs
    go(what, tmp_path, tool)
    assert len(runs) == 6


def test_it_ends_when_trials_bring_nothing_better(space, tmp_path, runs):
    _, log = go(space, tmp_path, max_trials=500, early_stop=5)
    scores = [trial.score for trial in log.finished]
    assert len(scores) < 500
    assert scores.index(max(scores)) == len(scores) - 6


def test_a_log_of_another_search_is_refused(space, tmp_path, runs):
    go(space, tmp_path)
    with pytest.raises(InputError, match="belongs to a search over other settings"):
        TrialLog(tmp_path / "trials.jsonl", {"what": "another"})


def test_a_search_in_which_all_fails_says_why(grid, tmp_path, monkeypatch):
    def fail(trial, *_):
        trial.error = "no such plm"
        return trial

    monkeypatch.setattr(search_module, "run_trial", fail)
    with pytest.raises(InputError, match="no trial has succeeded; the last: no such plm"):
        go(grid, tmp_path, "exhaustive")


def test_the_command_shares_stages_among_trials_and_its_best_file_gives_the_best_score_again(news, capsys):
    settings = TINYNEWSREC_SETTINGS | news | {"epochs": 1, "num_teachers": 1, "use_gpu": False}
    del settings["gpu_id"]
    Path("run.yaml").write_text(yaml.safe_dump(settings))
    Path("t.hyper").write_text("stage2.temperature choice [1.0, 3.0]\n")
    arguments = ["--model=TinyNewsRec", "--dataset=tiny", "--params_file=t.hyper", "--tool=exhaustive"]
    assert main([*arguments, "--config_files=run.yaml", "--output=out"]) == 0
    assert "python run_recbole.py --config_files=out/best.yaml" in capsys.readouterr().out
    stages = [path.parent.name.rsplit("-", 1)[0] for path in Path("out/checkpoints/stages").rglob("stage.json")]
    assert sorted(stages) == ["fine_tune", "post_train", "stage1", "stage2", "stage2"]
    trials = [json.loads(line) for line in Path("out/trials.jsonl").read_text().splitlines()[1:]]
    best = max(trial["score"] for trial in trials if trial["score"])
    assert not list(Path("out/checkpoints").glob("*.pth"))

    again = run(None, None, ["out/best.yaml"])
    assert again["best_valid_result"]["auc"] == pytest.approx(best, abs=1e-9)

    page = Path("out/trials.html").read_text()
    assert "stage2.temperature" in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', page)


def test_a_run_that_was_not_validated_is_a_failed_trial(tiny, tmp_path):
    trial = Trial(0, {}, {"epochs": 0})
    run_trial(trial, ["--model=BPR", "--dataset=tiny", "--use_gpu=False"], "auc", tmp_path / "t", 1)
    assert trial.score is None
    assert "not validated" in trial.error


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--params_file=none.hyper"], "cannot be read"),
        (["--max_trials=0"], "max_trials must be 1 or more"),
        (["--params_file=wrong.hyper"], "BPR has no setting 'embeding_size'"),
        (["--model=TinyNewsRec", "--params_file=stage.hyper"], "unknown setting 'stage2.temprature'"),
        ([], "what is to be varied of BPR? give --params_file"),
        (["--dataset=tinny"], "there is no dataset 'tinny'"),
        (["--model=BRP"], "did you mean BPR"),
    ],
)
def test_a_mistake_is_told_in_one_line(tiny, capsys, more, message):
    Path("wrong.hyper").write_text("embeding_size choice [1,2]\n")
    Path("stage.hyper").write_text("stage2.temprature choice [1,2]\n")
    assert main(["--model=BPR", "--dataset=tiny", *more]) == 1
    assert message in capsys.readouterr().err
