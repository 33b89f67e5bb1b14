"""Clicks from impressions and from RecBole's own loader."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed
from sklearn.metrics import roc_auc_score

from recbole_tinynews import NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.model.plmnr import PLMNR
from recbole_tinynews.trainer.click_data import ImpressionClicks, SampledClicks
from tests.plm_fixtures import PLMNR_SETTINGS, write_news
from tests.tiny_dataset import write_dataset

SETTINGS = PLMNR_SETTINGS | {"group_by_user": False}


@pytest.fixture
def model(news) -> PLMNR:
    config = NewsConfig("PLMNR", "tiny", config_dict=PLMNR_SETTINGS | news)
    dataset = create_dataset(config)
    model = PLMNR(config, dataset)
    model.logs = {split: load_impressions(dataset, split) for split in ("train", "valid", "test")}
    return model.eval()


def test_batches_follow_the_settings_of_the_stage(model):
    clicks = ImpressionClicks(model.titles, model.logs["train"], model.logs["valid"])
    loader = clicks.loader(SETTINGS | {"num_negatives": 1, "history_length": 3, "train_batch_size": 5}, seed=1)
    batches = list(loader.epoch(0))
    assert [len(batch.labels) for batch in batches] == [5, 5, 5, 5, 4]  # "one-class" has no click
    assert all(batch.candidates.shape[1] == 2 for batch in batches)
    assert max(batch.history.shape[1] for batch in batches) == 3


def test_clicks_left_out_are_told(model, caplog):
    log = model.logs["train"]
    labels = np.ones_like(log.labels)
    labels[: len(log.candidates[0])] = log.labels[: len(log.candidates[0])]
    everything_clicked = type(log)(log.impression_ids, log.users, log.times, log.history, log.candidates, labels)
    with caplog.at_level(logging.INFO):
        ImpressionClicks(model.titles, everything_clicked, None).loader(SETTINGS, seed=1)
    left_out = len(labels) - len(log.candidates[0])
    assert f"{left_out} clicks left out" in caplog.text


@torch.no_grad()
def test_validation_is_the_mean_over_all_impressions_with_both_classes(model):
    """Those of users without clicks, and of users whom the dataset does not know, among them."""
    valid = model.logs["valid"]
    torch.nn.init.normal_(model.click_model.user_encoder.query.weight)
    clicks = ImpressionClicks(model.titles, model.logs["train"], valid)
    measured = clicks.validate(model.click_model, model.titles, history_length=4)
    auc = []
    for row in range(len(valid)):
        labels = valid.labels[valid.candidates.offsets[row] : valid.candidates.offsets[row + 1]]
        if labels.min() == labels.max():
            continue
        vectors = [model.click_model.news_encoder(model.titles, np.array([n]))[0] for n in valid.candidates[row]]
        history = valid.history[row][-4:]
        user = torch.zeros(8)
        if len(history):
            user = model.click_model.user_encoder(
                torch.stack([model.click_model.news_encoder(model.titles, np.array([n]))[0] for n in history])
            )
        auc.append(roc_auc_score(labels, [float(vector @ user) for vector in vectors]))
    assert len(auc) == 24
    assert (valid.history.lengths == 0).sum() == 3
    assert measured["auc"] == pytest.approx(np.mean(auc), abs=1e-6)


def test_without_validation_impressions_there_is_no_measurement(model):
    clicks = ImpressionClicks(model.titles, model.logs["train"], None)
    assert clicks.validate(model.click_model, model.titles, 4) is None


def test_the_news_are_all_that_training_and_validation_meet(model):
    clicks = ImpressionClicks(model.titles, model.logs["train"], model.logs["valid"])
    rows = [ids for log in (clicks.train, clicks.valid) for ids in (log.history, log.candidates)]
    met = {news for ids in rows for news in ids.values.tolist()}
    assert set(clicks.news.tolist()) == met


def test_the_key_is_that_of_titles_and_impressions(model):
    logs = model.logs
    key = ImpressionClicks(model.titles, logs["train"], logs["valid"]).key
    assert key == ImpressionClicks(model.titles, logs["train"], logs["valid"]).key
    assert key != ImpressionClicks(model.titles, logs["train"], logs["test"]).key
    assert key != ImpressionClicks(model.titles, logs["train"], None).key
    shorter = type(model.titles)(model.titles.values + 0, model.titles.offsets)
    shorter.values[3] = 7
    assert key["titles"] != ImpressionClicks(shorter, logs["train"], logs["valid"]).key["titles"]


# -- RecBole's own loader -------------------------------------------------------------------------------------


def sampled(plm, **settings) -> SampledClicks:
    config = NewsConfig(
        "PLMNR",
        "tiny",
        config_dict=PLMNR_SETTINGS
        | {
            "plm": str(plm),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
            "num_negatives": 3,
        }
        | settings,
    )
    init_seed(1, True)
    loaders = data_preparation(config, create_dataset(config))
    train, valid, _ = loaders
    return SampledClicks(PLMNR(config, train._dataset), train, valid, lambda model: {"seen": id(model)})


@pytest.fixture
def plain_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_news(write_dataset(tmp_path / "dataset", splits=()))


def flat(loader, epoch):
    return [tensor.tolist() for batch in loader.epoch(epoch) for tensor in batch]


def test_epochs_of_recboles_loader_repeat_whatever_was_drawn_in_between(plain_folder, plm_folder):
    clicks = sampled(plm_folder)
    first = flat(clicks.loader({}, seed=5), 1)
    torch.randn(7)
    np.random.rand(7)  # noqa: NPY002 - the generator that RecBole's samplers use
    again = clicks.loader({}, seed=5)
    flat(again, 0)
    assert flat(again, 1) == first
    assert flat(again, 2) != first
    assert flat(clicks.loader({}, seed=6), 5) != first
    assert flat(sampled(plm_folder).loader({}, seed=5), 1) == first


def test_drawing_an_epoch_leaves_the_generator_of_dropout_alone(plain_folder, plm_folder):
    loader = sampled(plm_folder).loader({}, seed=5)
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    batches = loader.epoch(0)
    next(batches)
    assert torch.equal(torch.randn(4), expected)


def test_an_epoch_holds_each_click_of_recboles_split_with_its_history_and_other_news(plain_folder, plm_folder):
    clicks = sampled(plm_folder)
    feat = clicks.batches._dataset.inter_feat
    expected = sorted(zip(feat["item_id"].tolist(), feat["item_id_list"].tolist(), strict=True))
    seen = []
    for batch in clicks.loader({}, seed=5).epoch(0):
        for history, (click, *negatives) in zip(batch.history.tolist(), batch.candidates.tolist(), strict=True):
            seen.append((click, history))
            assert len(negatives) == 3
            assert all(0 < other < clicks.model.n_items and other != click for other in negatives)
    assert sorted(seen) == expected


def test_the_validation_is_the_one_given_and_gets_the_model(plain_folder, plm_folder):
    clicks = sampled(plm_folder)
    assert clicks.validate(clicks.model.click_model, clicks.titles, 4) == {"seen": id(clicks.model.click_model)}


def test_the_key_of_sampled_clicks_is_that_of_the_clicks(plain_folder, plm_folder):
    key = sampled(plm_folder).key
    assert sampled(plm_folder).key == key
    path = plain_folder / "tiny.inter"
    path.write_text(path.read_text().replace("u3\tn", "u4\tn", 1))
    assert all(new != old for new, old in zip(sampled(plm_folder).key["clicks"], key["clicks"], strict=True))


def test_the_key_of_sampled_clicks_changes_with_how_negatives_are_sampled(plain_folder, plm_folder):
    for change in ({"train_neg_sample_args": {"distribution": "popularity"}}, {"num_negatives": 1}):
        assert sampled(plm_folder, **change).key != sampled(plm_folder).key


def test_the_key_of_sampled_clicks_changes_with_what_is_measured(plain_folder, plm_folder):
    for change in ({"topk": [3], "valid_metric": "MRR@3"}, {"metrics": ["Hit"], "valid_metric": "Hit@10"}):
        assert sampled(plm_folder, **change).key != sampled(plm_folder).key
