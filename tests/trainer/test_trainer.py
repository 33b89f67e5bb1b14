"""Whole runs: from a configuration through all stages to a result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.data import create_dataset
from sklearn.metrics import roc_auc_score

from recbole_tinynews import InputError, NewsConfig, run
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.evaluator import METRICS
from recbole_tinynews.model.tinynewsrec import TinyNewsRec
from recbole_tinynews.trainer import context as context_module
from recbole_tinynews.trainer.staged_trainer import StagedTrainer
from tests.plm_fixtures import PLMNR_SETTINGS, TINYNEWSREC_SETTINGS, write_news
from tests.tiny_dataset import write_dataset

NAMES = ["post_train", "stage1", "teacher_1", "teacher_2", "stage2"]
KINDS = ["post_train", "stage1", "fine_tune", "fine_tune", "stage2"]
PLAIN = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
    "metrics": ["Recall", "MRR", "NDCG"],
    "topk": [5],
    "valid_metric": "mrr@5",
}


def train(model="TinyNewsRec", **settings):
    defaults = TINYNEWSREC_SETTINGS if model == "TinyNewsRec" else PLMNR_SETTINGS
    return run(model, "tiny", config_dict=defaults | settings)


def without_times(result):
    """A result with nothing in it that a clock has measured."""
    stages = [{key: value for key, value in stage.items() if key != "seconds"} for stage in result["stages"]]
    return {key: value for key, value in result.items() if key != "seconds"} | {"stages": stages}


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Kinds of the stages that were trained, not taken from disk."""
    names: list[str] = []
    original = context_module.train

    def watched(task, loader, settings, folder, *more):
        names.append(folder.name.rsplit("-", 1)[0])
        return original(task, loader, settings, folder, *more)

    monkeypatch.setattr(context_module, "train", watched)
    return names


def test_a_run_goes_through_all_stages_and_a_second_one_repeats_none(news, trained):
    first = train(**news, result_file="first.json")
    assert trained == KINDS
    assert json.loads(Path("first.json").read_text()) == first
    assert [stage["name"] for stage in first["stages"]] == NAMES
    assert set(first) == {
        "model", "dataset", "seed", "parameters", "best_valid_result", "test_result", "stages", "seconds", "slices"
    }  # fmt: skip
    assert tuple(first["test_result"]) == METRICS
    assert all(0 <= value <= 1 for value in (*first["test_result"].values(), *first["best_valid_result"].values()))
    for stage in first["stages"]:
        assert {"name", "seconds", "result"} <= set(stage)
        assert stage["result"]
    student, *teachers = (first["stages"][i] for i in (4, 2, 3))
    assert student["test_result"] == first["test_result"]
    assert student["result"] == first["best_valid_result"]
    assert all(teacher["parameters"] > first["parameters"] for teacher in teachers)

    second = train(**news)
    assert trained == KINDS
    assert without_times(second) == without_times(first)
    assert [stage["seconds"] for stage in second["stages"]] == [stage["seconds"] for stage in first["stages"]]


def test_the_same_seed_gives_the_same_result_and_another_seed_another(news, trained):
    first, second, other = (
        train(**news, checkpoint_dir=folder, seed=seed) for folder, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert trained == KINDS * 3
    assert without_times(first) == without_times(second)
    assert without_times(first) != without_times(other)


def test_a_run_stopped_in_each_stage_in_turn_ends_as_if_it_had_not_been_and_repeats_no_stage(
    news, trained, monkeypatch
):
    expected = without_times(train(**news, checkpoint_dir="whole"))
    trained.clear()
    log_step = StagedTrainer._to_tensorboard
    for place in range(len(KINDS)):

        def stop(self, stage, step, values):
            log_step(self, stage, step, values)
            if step == 1:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(StagedTrainer, "_to_tensorboard", stop)
            with pytest.raises(KeyboardInterrupt):
                train(**news, save_seconds=0)
        assert trained == KINDS[max(0, place - 1) : place + 1]  # the one stopped before, and the next
        trained.clear()
    assert without_times(train(**news)) == expected
    assert trained == ["stage2"]


def test_students_of_another_depth_share_their_teachers(news, trained):
    train(**news, epochs=1)
    trained.clear()
    result = train(**news, epochs=1, student_layers=1)
    assert trained == ["stage1", "stage2"]
    assert [stage["name"] for stage in result["stages"]] == NAMES


def test_the_result_is_that_of_the_saved_student_on_every_impression_one_at_a_time(news):
    """Of users without clicks and of unknown users, too."""
    result = train(**news, num_teachers=1, epochs=1)
    with torch.no_grad():
        assert result["test_result"]["auc"] == pytest.approx(auc_of_the_saved_student(news), abs=1e-9)


def auc_of_the_saved_student(news) -> float:
    (path,) = Path("saved").glob("*.pth")
    config = NewsConfig("TinyNewsRec", "tiny", config_dict=TINYNEWSREC_SETTINGS | news)
    dataset = create_dataset(config)
    model = TinyNewsRec(config, dataset).eval()
    model.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    log = load_impressions(dataset, "test")
    encoder = model.click_model.news_encoder
    vectors = {item: encoder(model.titles, np.array([item]))[0] for item in range(1, model.n_items)}
    auc = []
    for row in range(len(log)):
        labels = log.labels[log.candidates.offsets[row] : log.candidates.offsets[row + 1]]
        if len(set(labels)) == 2:
            history = [vectors[item] for item in log.history[row][-4:]]
            user = model.click_model.user_encoder(torch.stack(history)) if history else torch.zeros(8)
            auc.append(roc_auc_score(labels, [float(vectors[item] @ user) for item in log.candidates[row]]))
    assert len(auc) == 24
    return np.mean(auc)


def test_all_files_of_a_run_load_without_unpickling(news):
    train("PLMNR", **news)
    files = [*Path("saved").rglob("*.pt"), *Path("saved").rglob("*.pth")]
    assert len(files) == 2
    for file in files:
        torch.load(file, weights_only=True)
    assert not list(Path("saved").rglob("*.part"))


def test_training_makes_the_student_better_at_what_it_has_seen(news, tiny):
    """Trained and measured on the same few impressions, it must at least learn these by heart."""
    for split in ("valid", "test"):
        (tiny / f"tiny.{split}.imp").write_bytes((tiny / "tiny.train.imp").read_bytes())
    result = train("PLMNR", **news, epochs=15, dropout=0.0, trained_layers=4)
    assert result["test_result"]["auc"] > 0.8


def test_plmnr_is_one_stage(news, trained):
    result = train("PLMNR", **news)
    assert trained == ["fine_tune"]
    assert [stage["name"] for stage in result["stages"]] == ["fine_tune"]
    assert result["stages"][0]["result"] == result["best_valid_result"]
    assert result["stages"][0]["test_result"] == result["test_result"]


@pytest.mark.parametrize(
    ("model", "settings", "kinds"),
    [
        ("PLMNR", {"pretraining": "mlm", "mlm": {"train_batch_size": 8, "body_length": 12}}, ["mlm", "fine_tune"]),
        ("PLMNR", {"pretraining": "matching"}, ["post_train", "fine_tune"]),
        ("TinyNewsRec", {"use_stage1": False}, ["post_train", "fine_tune", "fine_tune", "stage2"]),
        ("TinyNewsRec", {"use_stage2": False}, ["post_train", "stage1", "fine_tune"]),
        ("TinyNewsRec", {"use_stage1": False, "use_stage2": False}, ["fine_tune"]),
        ("TinyBERT", {}, ["post_train", "fine_tune", "distillation"]),
        ("TinyBERT", {"distillation": {"layer_loss": "pkd"}}, ["post_train", "fine_tune", "distillation"]),
        ("TinyBERT", {"reuse_steps": 3}, ["post_train", "fine_tune", "distillation"]),
        ("NewsBERT", {}, ["joint"]),
        ("NewsBERT", {"reuse_steps": 3, "student_layers": 1}, ["joint"]),
    ],
)
def test_each_system_runs_its_stages_and_an_interrupted_run_ends_as_if_it_had_not_been(
    news, trained, monkeypatch, model, settings, kinds
):
    settings = {"post_train": TINYNEWSREC_SETTINGS["post_train"], "student_layers": 2, **news, **settings}
    if model == "PLMNR":
        del settings["student_layers"]
    expected = without_times(train(model, **settings, checkpoint_dir="whole"))
    assert trained == kinds
    assert tuple(expected["test_result"]) == METRICS
    log_step = StagedTrainer._to_tensorboard

    def stop(self, stage, step, values):
        log_step(self, stage, step, values)
        if stage.startswith(kinds[-1]) and step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StagedTrainer, "_to_tensorboard", stop)
        with pytest.raises(KeyboardInterrupt):
            train(model, **settings, save_seconds=0)
    assert without_times(train(model, **settings)) == expected


def test_a_plmnr_after_matching_is_the_first_teacher_of_the_distilled_models(news, trained):
    settings = {**news, "post_train": TINYNEWSREC_SETTINGS["post_train"], "epochs": 1}
    teacher = train("PLMNR", **settings, pretraining="matching")
    trained.clear()
    for model, kinds in (("TinyBERT", ["distillation"]), ("TinyNewsRec", ["stage1", "fine_tune", "stage2"])):
        result = train(model, **settings, student_layers=2)
        assert trained == kinds
        of_teacher = next(stage for stage in result["stages"] if stage["name"] == "teacher_1")
        assert of_teacher["test_result"] == teacher["test_result"]
        trained.clear()


def test_the_metrics_of_each_impression_are_written_and_their_mean_is_the_result(news):
    result = train("PLMNR", **news, impressions_file="values/test.npz")
    values = np.load("values/test.npz")
    assert set(values) == {"impression_id", *METRICS}
    rows = [line.split("\t")[0] for line in Path("dataset/tiny/tiny.test.imp").read_text().splitlines()[1:]]
    assert values["impression_id"].tolist() == rows
    for name in METRICS:
        assert np.nanmean(values[name]) == pytest.approx(result["test_result"][name], abs=1e-12)


def test_the_later_version_of_the_paper_post_trains_a_teacher_each(news, trained):
    config = NewsConfig("TinyNewsRec", "tiny", config_dict={"variant": "v2"} | news)
    assert (config["num_post_trained"], config["num_teachers"]) == (4, 4)
    stage2 = config["stage2"]
    assert (stage2["learning_rate"], stage2["plm_learning_rate"], stage2["target_weight"]) == (1e-4, 1e-4, 0.2)
    assert stage2["learn_omega"] is False
    result = train(**news, variant="v2", num_post_trained=2, epochs=1)
    assert trained == ["post_train", "post_train", *KINDS[1:]]
    assert tuple(result["test_result"]) == METRICS


def test_matching_may_read_another_dataset(news, tiny, monkeypatch):
    (tiny.parent / "corpus").mkdir()
    columns, *rows = (tiny / "tiny.news").read_text().splitlines()
    others = [columns, *(f"other-{row}" for row in rows[:12])]
    (tiny.parent / "corpus" / "corpus.news").write_text("\n".join(others) + "\n")
    read = []
    monkeypatch.setattr(NewsTable, "load", lambda *a, load=NewsTable.load: read.append(load(*a)) or read[-1])
    result = train(**news, matching_corpus="corpus", epochs=1, num_teachers=1)
    assert [len(table) for table in read] == [31, 13]
    assert [stage["name"] for stage in result["stages"]] == ["post_train", "stage1", "teacher_1", "stage2"]
    with pytest.raises(InputError, match="nowhere"):
        train(**news, matching_corpus="nowhere")


def test_without_validation_impressions_the_last_epoch_counts(news, tiny):
    (tiny / "tiny.valid.imp").unlink()
    result = train("PLMNR", **news)
    assert result["best_valid_result"] is None
    assert tuple(result["test_result"]) == METRICS


@pytest.mark.parametrize("metric", ["mrr", "NDCG@10"])
def test_any_of_the_metrics_may_choose_the_epoch(news, metric):
    assert tuple(train("PLMNR", **news, valid_metric=metric)["best_valid_result"]) == METRICS


def test_grouping_by_user_changes_batches_and_not_what_is_learnt_from(news):
    assert tuple(train("PLMNR", **news, group_by_user=True)["test_result"]) == METRICS


@pytest.mark.parametrize("model", ["PLMNR", "TinyNewsRec"])
def test_a_dataset_without_impressions_is_trained_and_evaluated_recboles_way(
    tmp_path, monkeypatch, plm_folder, trained, model
):
    monkeypatch.chdir(tmp_path)
    write_news(write_dataset(tmp_path / "dataset", splits=()))
    first = train(model, **PLAIN, plm=str(plm_folder))
    for part in ("best_valid_result", "test_result"):
        assert set(first[part]) == {"recall@5", "mrr@5", "ndcg@5"}
    count = len(trained)
    assert without_times(train(model, **PLAIN, plm=str(plm_folder))) == without_times(first)
    assert len(trained) == count
    assert without_times(train(model, **PLAIN, plm=str(plm_folder), checkpoint_dir="b")) == without_times(first)


def test_recboles_default_metric_will_do_for_a_dataset_without_impressions(tmp_path, monkeypatch, plm_folder):
    monkeypatch.chdir(tmp_path)
    write_news(write_dataset(tmp_path / "dataset", splits=()))
    settings = {key: PLAIN[key] for key in ("load_col", "eval_args")}
    assert "mrr@10" in train("PLMNR", **settings, plm=str(plm_folder))["test_result"]


def test_texts_longer_than_the_encoder_can_read_are_cut(news, tiny):
    columns, _, *rows = (tiny / "tiny.news").read_text().splitlines()
    (tiny / "tiny.news").write_text("\n".join([columns, f"n0\t{'w1 ' * 90}\t\tw2", *rows]) + "\n")
    assert tuple(train("PLMNR", **news, title_length=90)["test_result"]) == METRICS


def test_an_encoder_is_asked_for_before_anything_else(news):
    with pytest.raises(InputError, match="--plm="):
        train(plm=None)
