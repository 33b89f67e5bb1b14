"""Stages: what they share, what sets them apart, and what they start from."""

from __future__ import annotations

import copy
import errno
import os

import numpy as np
import pytest
import torch
from recbole.data import create_dataset

from recbole_tinynews import NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.layers import NewsEncoder, NewsInput
from recbole_tinynews.model.build import build_click_model, build_encoder
from recbole_tinynews.model.tinynewsrec import TinyNewsRec
from recbole_tinynews.trainer import context as context_module
from recbole_tinynews.trainer import loop as loop_module
from recbole_tinynews.trainer.click_data import ImpressionClicks
from recbole_tinynews.trainer.context import PLMContext
from recbole_tinynews.trainer.stages import pretraining
from recbole_tinynews.trainer.store import StageStore
from recbole_tinynews.trainer.trainers import TinyNewsRecTrainer
from tests.plm_fixtures import HIDDEN, TINYNEWSREC_SETTINGS, save_plm

NAMES = ("post_train", "stage1", "teacher_1", "teacher_2", "stage2")


class World:
    """A dataset, and the stages that a config makes of it."""

    def __init__(self, news) -> None:
        config = NewsConfig("TinyNewsRec", "tiny", config_dict=TINYNEWSREC_SETTINGS | news)
        self.dataset = create_dataset(config)
        self.model = TinyNewsRec(config, self.dataset)
        self.config = copy.deepcopy(config.final_config_dict) | {"device": config["device"]}
        self.logs = [load_impressions(self.dataset, split) for split in ("train", "valid")]
        self.corpus = self.model.texts

    def context(self, corpus=None, logs=None, **settings) -> PLMContext:
        config = copy.deepcopy(self.config)
        for key, value in settings.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) else value
        data = ImpressionClicks(self.model.titles, *(logs or self.logs))
        return PLMContext(config, data, corpus or self.corpus, self.model.cache)

    def plan(self, **changes):
        """The stages by name, in TinyNewsRec's order."""
        context = self.context(**changes)
        plan = TinyNewsRecTrainer.stages(type("Fake", (), {"config": context.config})(), context)
        return {stage.name: stage for stage in plan}

    def changed(self, **changes) -> set[str]:
        """Names of the stages that a change makes other ones."""
        before, after = self.plan(), self.plan(**changes)
        return {name for name in after if name not in before or before[name].key != after[name].key}


@pytest.fixture
def world(news) -> World:
    return World(news)


def test_the_plan_is_that_of_the_paper(world):
    plan = world.plan()
    assert tuple(plan) == NAMES
    starts = {name: [start.name for start in stage.starts] for name, stage in plan.items()}
    assert starts == {
        "post_train": [],
        "stage1": ["post_train"],
        "teacher_1": ["post_train"],
        "teacher_2": ["post_train"],
        "stage2": ["teacher_1", "teacher_2", "stage1"],
    }
    assert [name for name, stage in plan.items() if stage.recommender] == ["teacher_1", "teacher_2", "stage2"]


def test_several_post_trained_teachers_are_each_fine_tuned_and_together_teach_matching(world):
    plan = world.plan(num_post_trained=2)
    assert tuple(plan) == ("post_train", "post_train_2", *NAMES[1:])
    starts = {name: [start.name for start in stage.starts] for name, stage in plan.items()}
    assert starts["stage1"] == ["post_train", "post_train_2"]
    assert (starts["teacher_1"], starts["teacher_2"]) == (["post_train"], ["post_train_2"])
    assert plan["post_train"].key != plan["post_train_2"].key
    repeat = world.plan(num_post_trained=2, seed=world.config["seed"] + 1)
    assert not {stage.key for stage in plan.values()} & {stage.key for stage in repeat.values()}


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"student_layers": 1}, {"stage1", "stage2"}),  # students share their teachers
        ({"stage2": {"temperature": 2.0}}, {"stage2"}),
        ({"stage2": {"epochs": 7}}, {"stage2"}),
        ({"stage2": {"learn_omega": False}}, {"stage2"}),
        ({"stage1": {"target_weight": 0.5}}, {"stage1", "stage2"}),
        ({"teacher": {"epochs": 7}}, {"teacher_1", "teacher_2", "stage2"}),
        ({"epochs": 7}, {"teacher_1", "teacher_2", "stage2"}),
        ({"history_length": 7}, {"teacher_1", "teacher_2", "stage2"}),
        ({"post_train": {"epochs": 7}}, set(NAMES)),
        ({"post_train": {"body_length": 7}}, set(NAMES)),
        ({"teacher_layers": 3}, set(NAMES)),
        ({"news_dim": 9}, set(NAMES)),
        ({"dropout": 0.2}, set(NAMES)),
        ({"seed": 7}, set(NAMES)),
        ({"num_teachers": 3}, {"teacher_3", "stage2"}),
        ({"save_seconds": 1}, set()),
        ({"show_progress": True}, set()),
        ({"eval_batch_size": 3}, set()),
    ],
)
def test_a_setting_changes_the_stages_that_depend_on_it_and_no_others(world, change, stages):
    assert world.changed(**change) == stages


def test_another_encoder_changes_all_stages(world, tmp_path):
    assert world.changed(plm=str(save_plm(tmp_path / "other", seed=4))) == set(NAMES)
    assert world.changed(plm=str(save_plm(tmp_path / "copy"))) == set()  # a copy of the same is the same


def test_an_encoder_of_the_same_weights_but_another_activation_changes_all_stages(world, tmp_path):
    folder = save_plm(tmp_path / "relu")
    text = (folder / "config.json").read_text()
    assert '"hidden_act": "gelu"' in text
    (folder / "config.json").write_text(text.replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    assert world.changed(plm=str(folder)) == set(NAMES)


def test_another_corpus_changes_all_stages_and_other_impressions_those_on_clicks(world):
    corpus = NewsTable(["", "w1", "w2"], ["", "w3", "w4"])
    assert world.changed(corpus=corpus) == set(NAMES)
    assert world.changed(logs=world.logs[::-1]) == {"teacher_1", "teacher_2", "stage2"}


def run(world, folder, **changes):
    store = StageStore(folder)
    return {name: store.run(stage) for name, stage in world.plan(**changes).items()}


@pytest.fixture
def frozen(monkeypatch) -> list[str]:
    """Where frozen states were kept, one entry for each time that room was made for them."""
    places: list[str] = []
    compute = NewsEncoder.frozen_input

    def watched(encoder, source, rows, folder=None):
        places.append("memory" if folder is None else "file")
        return compute(encoder, source, rows, folder)

    monkeypatch.setattr(NewsEncoder, "frozen_input", watched)
    return places


def test_frozen_states_in_memory_in_a_file_or_recomputed_give_the_same_weights(world, tmp_path, frozen):
    settings = {"dropout": 0.0, "epochs": 1}
    kept = run(world, tmp_path / "kept", **settings)
    limits = {"file": {"frozen_cache_gb": 0}, "nowhere": {"frozen_cache_gb": 0, "frozen_disk_gb": 0}}
    for place, more in limits.items():
        other = run(world, tmp_path / place, **more, **settings)
        for name in NAMES:
            for key, tensor in kept[name].weights.items():
                torch.testing.assert_close(other[name].weights[key], tensor, rtol=0, atol=1e-4, msg=f"{name} {key}")
    assert frozen == ["memory", "file"]


def test_where_the_disk_has_no_room_frozen_layers_run_in_every_step(world, tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    caplog.set_level("INFO")
    run(world, tmp_path, epochs=0, frozen_cache_gb=0, frozen_disk_gb=1)
    assert "no file for them: No space left on device" in caplog.text
    assert "frozen layers run in every step" in caplog.text


def test_teachers_that_start_alike_share_their_frozen_states_and_others_do_not(world, tmp_path, frozen):
    run(world, tmp_path / "alike", epochs=0)
    assert frozen == ["memory"]
    run(world, tmp_path / "apart", epochs=0, num_post_trained=2, post_train={"trained_layers": 3})
    assert frozen == ["memory"] * 3


def watch(monkeypatch, name) -> list:
    """Results of a function that computes where an encoder starts, one for each call."""
    results: list = []
    compute = getattr(context_module, name)
    monkeypatch.setattr(context_module, name, lambda *given: results.append(compute(*given)) or results[-1])
    return results


def test_a_start_is_not_computed_for_a_stage_that_goes_on(world, tmp_path, monkeypatch):
    started = watch(monkeypatch, "regression")

    def interrupt():
        raise KeyboardInterrupt

    store, plan = StageStore(tmp_path), world.plan(save_seconds=0)
    store.run(plan["post_train"])
    monkeypatch.setattr(loop_module, "_format", lambda _: interrupt())  # after the first epoch
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store.run(plan["stage1"])
    assert len(started) == 1


def test_where_an_encoder_starts_is_computed_once_for_all_seeds_and_changes_no_weight(world, tmp_path, monkeypatch):
    computed = watch(monkeypatch, "principal_directions")
    news_dim = 2 * HIDDEN  # there are not so many principal directions: the others are drawn by the seed
    seeds = [run_post_training(world, tmp_path / str(seed), seed=seed, news_dim=news_dim) for seed in (1, 2)]
    assert len(computed) == 1
    assert not torch.equal(seeds[0]["dense.weight"], seeds[1]["dense.weight"])
    for file in world.model.cache.glob("start-*"):
        file.unlink()
    anew = run_post_training(world, tmp_path / "anew", seed=2, news_dim=news_dim)
    assert len(computed) == 2
    assert all(torch.equal(seeds[1][name], tensor) for name, tensor in anew.items())


def test_another_encoder_other_titles_or_another_precision_have_another_start(world, tmp_path, monkeypatch):
    computed = watch(monkeypatch, "principal_directions")
    run_post_training(world, tmp_path / "first")
    for number, change in enumerate((
        {"plm": str(save_plm(tmp_path / "other", seed=4))},
        {"teacher_layers": 3},
        {"precision": "bfloat16"},
        {"news_dim": 5},
    ), start=2):
        run_post_training(world, tmp_path / str(number), **change)
        assert len(computed) == number
    world.model.titles = NewsInput(world.model.titles.values.flip(0), world.model.titles.offsets)
    run_post_training(world, tmp_path / "titles")
    assert len(computed) == 6


def run_post_training(world, folder, **changes):
    return StageStore(folder).run(world.plan(**changes)["post_train"]).weights


def test_each_stage_trains_its_last_layers_and_its_heads_and_nothing_else(world, tmp_path):
    results = run(world, tmp_path, post_train={"trained_layers": 3}, epochs=1)
    depth = {"post_train": 4, "stage1": 2, "teacher_1": 4, "stage2": 2}
    trained = {"post_train": 3, "stage1": 2, "teacher_1": 2, "stage2": 2}
    start = {"teacher_1": "post_train", "stage2": "stage1"}
    plm = build_encoder(world.config, None, 1).state_dict()
    for name, layers in depth.items():
        weights = {key.removeprefix("news_encoder."): value for key, value in results[name].weights.items()}
        before = results[start[name]].weights if name in start else plm
        for key, tensor in weights.items():
            if not key.startswith("plm."):
                continue
            number = int(key.split("layer.")[1].split(".")[0]) if ".layer." in key else -1
            # A key's bias shifts all attention scores of a query alike: it has no gradient but rounding.
            if not key.endswith("key.bias"):
                assert torch.equal(tensor, before[key]) == (number < layers - trained[name]), f"{name} {key}"


def test_post_training_starts_from_the_variance_and_keeps_its_dense_layer_through_fine_tuning(world, tmp_path):
    still = {"learning_rate": 0.0, "plm_learning_rate": 0.0}
    results = run(world, tmp_path, epochs=1, **still, post_train=still)
    post_trained, teacher = results["post_train"].weights, results["teacher_1"].weights
    assert torch.equal(teacher["news_encoder.dense.weight"], post_trained["dense.weight"])
    # Principal directions: without correlation between the dimensions, and the same shape each time.
    encoder = build_encoder(world.config, None, 1)
    encoder.load_state_dict(post_trained)
    with torch.no_grad():
        vectors = encoder.eval()(world.model.titles, np.arange(1, 31)).double().numpy()
    covariance = np.cov(vectors.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-4 * covariance.max()


def test_a_weight_that_does_not_fit_is_an_error_that_names_it(world):
    context = world.context()
    weights = build_click_model(context.config, None, 0).state_dict()
    weights["news_encoder.dense.wrong"] = weights.pop("news_encoder.dense.weight")
    with pytest.raises(RuntimeError, match=r"news_encoder\.dense\.weight[\s\S]*news_encoder\.dense\.wrong"):
        context.click_model(None, 0, weights)


def test_only_news_with_both_texts_are_matched(world):
    loader = pretraining.title_body_pairs(world.context(), num_negatives=3, batch_size=8, seed=1)
    both = [i for i in range(1, 31) if world.corpus.titles[i] and world.corpus.bodies[i]]
    assert sorted(np.concatenate([batch.news for batch in loader.epoch(0)])) == both
    assert len(both) == 28


def test_news_left_out_of_matching_are_counted(world, tmp_path, caplog):
    with caplog.at_level("INFO"):
        StageStore(tmp_path).run(world.plan()["post_train"])
    assert "28 news, 2 left out" in caplog.text


def test_a_corpus_without_pairs_is_refused(world, tmp_path):
    plan = world.plan(corpus=NewsTable(["", "w1"], ["", ""]))
    with pytest.raises(ValueError, match="title"):
        StageStore(tmp_path).run(plan["post_train"])


def test_training_impressions_without_a_click_are_refused(world, tmp_path):
    log = world.logs[0]
    unknown = type(log)(
        log.impression_ids, log.users, log.times, log.history, log.candidates, np.full_like(log.labels, -1)
    )
    plan = world.plan(logs=[unknown, world.logs[1]])
    store = StageStore(tmp_path)
    store.run(plan["post_train"])
    with pytest.raises(ValueError, match="click"):
        store.run(plan["teacher_1"])
