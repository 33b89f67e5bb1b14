"""From a command line to a result."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import recbole.trainer
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer
from recbole.utils import InputType, init_seed
from torch.utils.tensorboard import SummaryWriter

from recbole_tinynews import InputError, run
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.evaluator import METRICS
from recbole_tinynews.quick_start import main
from tests.plm_fixtures import write_news
from tests.tiny_dataset import write_dataset

FAST = {"epochs": 1, "show_progress": False, "gpu_id": ""}
BASELINES = ("Random", "Pop", "ItemKNN", "BPR", "LightGCN", "NeuMF", "FM", "DeepFM", "GRU4Rec", "SASRec")


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_trained_and_evaluated_on_impressions_by_its_name_alone(tiny, name):
    arguments = [f"--model={name}", "--dataset=tiny", "--epochs=1", "--result_file=out.json"]
    assert main(arguments) == 0
    result = json.loads(Path("out.json").read_text())
    assert result["model"] == name
    for part in ("best_valid_result", "test_result"):
        assert tuple(result[part]) == METRICS
        assert all(0 <= value <= 1 for value in result[part].values())


def test_the_result_file_has_the_documented_keys_and_lies_beside_the_checkpoint(tiny):
    result = run("BPR", "tiny", config_dict=FAST)
    (checkpoint,), (file,) = Path("saved").glob("*.pth"), Path("saved").glob("*.json")
    assert file.stem == checkpoint.stem
    assert json.loads(file.read_text()) == result
    assert list(result) == [
        "model", "dataset", "seed", "parameters", "best_valid_result", "test_result", "stages", "seconds", "slices"
    ]  # fmt: skip
    assert (result["model"], result["dataset"], result["seed"]) == ("BPR", "tiny", 2020)
    assert result["parameters"] == (13 + 31) * 64  # 12 users, 30 news and padding; vectors of 64
    assert result["stages"] == []


def test_the_last_lines_are_a_table_of_the_test_metrics_and_where_the_result_lies(tiny, capsys):
    assert main(["--model=Pop", "--dataset=tiny", "--state=error", "--result_file=out.json"]) == 0
    *_, names, values, _, checkpoint, place = capsys.readouterr().out.splitlines()
    metrics = json.loads(Path("out.json").read_text())["test_result"]
    assert names.split() == ["model", "dataset", *METRICS]
    assert values.split() == ["Pop", "tiny", *(f"{value:.4f}" for value in metrics.values())]
    assert Path(checkpoint.removeprefix("checkpoint: ")).exists()
    assert place == "result: out.json"


def test_skipped_impressions_are_counted(tiny, caplog):
    caplog.set_level("INFO")
    run("Pop", "tiny", config_dict=FAST)
    assert "test: 25 impressions, 0 without labels, 1 skipped (all or none clicked)" in caplog.text


def test_the_same_seed_gives_the_same_result(tiny):
    first, second = (run("NeuMF", "tiny", config_dict=FAST) for _ in range(2))
    assert first | {"seconds": 0} == second | {"seconds": 0}


def test_training_uses_all_clicks(tiny):
    clicks = (tiny / "tiny.inter").read_text().splitlines()[1:]
    popular = run("Pop", "tiny", config_dict=FAST)
    checkpoint = torch.load(next(Path("saved").glob("*.pth")), weights_only=False)
    assert checkpoint["state_dict"]["clicks"].sum() == len(clicks)
    assert popular["test_result"]["auc"] > 0


def test_the_best_epoch_is_kept_for_the_test(tiny, monkeypatch):
    scores = iter([0.4, 0.9, 0.6])

    def validate(trainer, valid_data, show_progress=False):
        score = next(scores)
        return score, {"auc": score}

    monkeypatch.setattr(Trainer, "_valid_epoch", validate)
    result = run("BPR", "tiny", config_dict=FAST | {"epochs": 3})
    assert result["best_valid_result"] == {"auc": 0.9}
    assert torch.load(next(Path("saved").glob("*.pth")), weights_only=False)["epoch"] == 1


@pytest.mark.parametrize("splits", [("valid",), ("test",)])
def test_one_split_of_impressions_is_enough(tmp_path, monkeypatch, splits):
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", splits=splits)
    result = run("BPR", "tiny", config_dict=FAST)
    assert 0 <= result["test_result"]["auc"] <= 1
    assert (result["best_valid_result"] is None) == ("valid" not in splits)
    if "valid" in splits:
        assert result["test_result"] == result["best_valid_result"]


def test_a_test_split_without_labels_gives_way_to_the_validation_split(tiny, caplog):
    header, *rows = (tiny / "tiny.test.imp").read_text().splitlines()
    rows = [row.rsplit("\t", 1)[0] + "\t" for row in rows]
    (tiny / "tiny.test.imp").write_text("\n".join([header, *rows]) + "\n")
    result = run("BPR", "tiny", config_dict=FAST)
    assert result["test_result"] == result["best_valid_result"]
    assert "tiny.test.imp cannot be evaluated on: tested on the validation split" in caplog.text


def test_bpr_on_ml_100k_gives_what_recbole_gives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["pytest"])
    ours = run("BPR", "ml-100k", config_dict=FAST | {"epochs": 2})

    config = Config("BPR", "ml-100k", config_dict=FAST | {"epochs": 2})
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = BPR(config, train._dataset)
    trainer = Trainer(config, model)
    _, best_valid = trainer.fit(train, valid)
    assert ours["test_result"] == dict(trainer.evaluate(test))
    assert ours["best_valid_result"] == dict(best_valid)
    assert ours["test_result"]["recall@10"] > 0


class Staged(GeneralRecommender):
    """A model that learns from impressions, with a trainer of its own."""

    input_type = InputType.PAIRWISE
    uses_impressions = True


class StagedTrainer:
    """Remembers what it was given."""

    saved_model_file = "saved/Staged-now.pth"

    def __init__(self, config, model):
        self.given, self.stages_report = {}, []
        self.tensorboard = SummaryWriter("log_tensorboard")

    def fit(self, train_data, valid_data, saved, show_progress):
        self.given |= {"train": train_data, "valid": valid_data}
        self.stages_report.append({"name": "only", "seconds": 1.0, "result": {"auc": 0.7}})
        return 0.7, {"auc": 0.7}

    def evaluate(self, eval_data, load_best_model, show_progress):
        self.given["test"] = eval_data
        for split, log in self.given.items():
            assert isinstance(log, ImpressionLog)
            assert log.impression_ids[0] == f"{split}-0"
        self.impression_values = {"auc": np.full(len(eval_data), 0.6)}
        return {"auc": 0.6}


def test_a_model_of_stages_gets_impressions_and_its_stages_are_reported(tiny, monkeypatch):
    monkeypatch.setattr(recbole.trainer, "StagedTrainer", StagedTrainer, raising=False)
    result = run(Staged, "tiny", config_dict=FAST)
    assert result["stages"] == [{"name": "only", "seconds": 1.0, "result": {"auc": 0.7}}]
    assert result["test_result"] == {"auc": 0.6}
    (tiny / "tiny.train.imp").unlink()
    with pytest.raises(InputError, match=r"tiny.train.imp: Staged learns from impressions, which are missing"):
        run(Staged, "tiny", config_dict=FAST)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=BPR", "--dataset=tinny"], "expected the folder dataset/tinny; did you mean tiny?"),
        (["--model=BRP", "--dataset=tiny"], "there is no model 'BRP': did you mean BPR"),
        (["--dataset=tiny"], "expected a model and a dataset"),
        (["--model=BPR", "--dataset=tiny", "--epochs", "3"], "expected --key=value, found '--epochs'"),
        (["--model=BPR", "--dataset=tiny", "--result_file=dataset"], "dataset: result_file must be a file"),
        (["--model=BPR", "--dataset=tiny", "--checkpoint_dir=dataset/tiny/tiny.inter/a"], "checkpoint_dir cannot be"),
        (["--model=KGAT", "--dataset=tiny"], "[tiny.kg] not found"),
        (["--model=BPR", "--dataset=tiny", "--config_files=no.yaml"], "no.yaml: cannot be read"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(tiny, capsys, arguments, message):
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_a_dataset_without_clicks_is_told_before_anything_starts(tiny):
    (tiny / "tiny.inter").unlink()
    with pytest.raises(InputError, match=r"tiny.inter: expected this file"):
        run("BPR", "tiny", config_dict=FAST)


def test_help_tells_how_settings_are_given(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "--key=value" in capsys.readouterr().out


def test_metrics_are_finite_where_a_user_is_unknown(tiny):
    log = (tiny / "tiny.test.imp").read_text()
    assert "u99" in log
    assert "u99" not in (tiny / "tiny.inter").read_text()
    assert all(math.isfinite(value) for value in run("LightGCN", "tiny", config_dict=FAST)["test_result"].values())


def test_two_runs_of_the_same_second_have_a_checkpoint_each(tiny, monkeypatch):
    monkeypatch.setattr("recbole.trainer.trainer.get_local_time", lambda: "now")
    for _ in range(2):
        run("Pop", "tiny", config_dict=FAST)
    assert len(list(Path("saved").glob("Pop-now-*.pth"))) == len(list(Path("saved").glob("Pop-now-*.json"))) == 2


@pytest.mark.parametrize("name", ["BPR", "NRMS"])
def test_without_anything_to_evaluate_on_nothing_is_trained(tiny, name):
    write_news(tiny)
    (tiny / "tiny.valid.imp").unlink()
    rows = [line.split("\t") for line in (tiny / "tiny.test.imp").read_text().splitlines()]
    unlabelled = [rows[0], *([*row[:5], ""] for row in rows[1:])]
    (tiny / "tiny.test.imp").write_text("".join("\t".join(row) + "\n" for row in unlabelled))
    with pytest.raises(InputError, match=r"neither tiny\.valid\.imp nor tiny\.test\.imp"):
        run(name, "tiny", config_dict=FAST)
