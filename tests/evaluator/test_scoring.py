"""Scores of impressions against scoring one candidate at a time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.data import create_dataset
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender, SequentialRecommender
from recbole.utils import InputType, init_seed

from recbole_tinynews import InputError, NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.evaluator import score_impressions

WIDTH = 4  # clicks of a history that a sequential model sees; some histories are longer


def build(name, **settings):
    """Make an untrained model on dataset/tiny and its validation impressions."""
    config = NewsConfig(name, "tiny", config_dict={"MAX_ITEM_LIST_LENGTH": WIDTH, "gpu_id": "", **settings})
    init_seed(1, True)
    dataset = create_dataset(config)
    log = load_impressions(dataset, "valid")
    dataset = dataset.build()[0]
    return SimpleNamespace(
        model=config.model_class(config, dataset), dataset=dataset, log=log, config=config
    )


def scores_of(run):
    return score_impressions(run.model, run.dataset, run.log, run.config)


@torch.no_grad()
def one_by_one(run, fields_of_impression):
    """Predict each candidate alone."""
    run.model.eval()
    return [
        run.model.predict(Interaction({**fields_of_impression(row), "item_id": torch.tensor([item])})).item()
        for row in range(len(run.log))
        for item in run.log.candidates[row]
    ]


def user_fields(run, row):
    return {"user_id": torch.tensor([run.log.users[row]])}


def history_fields(run, row):
    clicks = run.log.history[row][-WIDTH:].tolist()
    return user_fields(run, row) | {
        "item_id_list": torch.tensor([clicks + [0] * (WIDTH - len(clicks))]),
        "item_length": torch.tensor([max(len(clicks), 1)]),
    }


@pytest.mark.parametrize("full_sort", [True, False])
@pytest.mark.parametrize("name", ["BPR", "NeuMF", "ItemKNN"])
def test_a_general_model_is_asked_about_user_and_candidate(tiny, name, full_sort):
    run = build(name, full_sort_scores=full_sort, eval_batch_size=7)
    expected = one_by_one(run, lambda row: user_fields(run, row))
    np.testing.assert_allclose(scores_of(run), expected, atol=1e-6)


@pytest.mark.parametrize("full_sort", [True, False])
@pytest.mark.parametrize("name", ["SASRec", "GRU4Rec", "DIN", "SASRecF"])
def test_a_sequential_model_gets_the_last_clicks_before_the_impression(tiny, name, full_sort):
    run = build(name, full_sort_scores=full_sort, eval_batch_size=7)
    assert 0 in run.log.history.lengths
    assert max(run.log.history.lengths) > WIDTH
    expected = one_by_one(run, lambda row: history_fields(run, row))
    np.testing.assert_allclose(scores_of(run), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["FM", "DeepFM"])
def test_a_context_aware_model_gets_the_features_of_the_candidate(tiny, name):
    run = build(name, eval_batch_size=7)
    category, subcategory = (run.dataset.item_feat[field] for field in ("category", "subcategory"))
    expected = []
    run.model.eval()
    for row in range(len(run.log)):
        for item in run.log.candidates[row]:
            fields = user_fields(run, row) | {
                "item_id": torch.tensor([item]),
                "category": category[[item]],
                "subcategory": subcategory[[item]],
            }
            expected.append(run.model.predict(Interaction(fields)).item())
    assert len(set(category.tolist())) == 4  # three and padding
    np.testing.assert_allclose(scores_of(run), expected, atol=1e-6)


class CountingBySequence(SequentialRecommender):
    """Scores every item by its id, and remembers whom it was asked about."""

    input_type = InputType.POINTWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.seen = []

    def full_sort_predict(self, interaction):
        self.seen += zip(
            interaction[self.USER_ID].tolist(), map(tuple, interaction[self.ITEM_SEQ].tolist()), strict=True
        )
        return torch.arange(self.n_items).repeat(len(interaction))


class CountingByUser(GeneralRecommender):
    """Scores every item by its id, and remembers whom it was asked about."""

    input_type = InputType.PAIRWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.seen = []

    def full_sort_predict(self, interaction):
        self.seen += interaction[self.USER_ID].tolist()
        return torch.arange(self.n_items).repeat(len(interaction))


@pytest.mark.parametrize("batch", [1, 4096])
def test_each_distinct_user_and_history_is_scored_once(tiny, batch):
    run = build(CountingBySequence, eval_batch_size=batch)
    np.testing.assert_array_equal(scores_of(run), run.log.candidates.values)
    expected = {(user, tuple(run.log.history[row][-WIDTH:])) for row, user in enumerate(run.log.users)}
    asked = [(user, tuple(item for item in clicks if item)) for user, clicks in run.model.seen]
    assert len(asked) == len(expected)
    assert set(asked) == expected


@pytest.mark.parametrize("batch", [1, 4096])
def test_each_distinct_user_is_scored_once_where_histories_do_not_count(tiny, batch):
    run = build(CountingByUser, eval_batch_size=batch)
    np.testing.assert_array_equal(scores_of(run), run.log.candidates.values)
    assert sorted(run.model.seen) == sorted(set(run.log.users.tolist()))


def test_a_model_that_scores_impressions_itself_is_left_to_it(tiny):
    run = build("BPR")
    run.model.score_impressions = lambda log: torch.arange(len(log.candidates.values))
    scores = scores_of(run)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, np.arange(len(run.log.candidates.values)))


def test_dropout_is_off_while_scoring(tiny):
    run = build("SASRec")
    run.model.train()
    np.testing.assert_array_equal(scores_of(run), scores_of(run))


def test_a_feature_that_impressions_do_not_have_is_named(tiny):
    clicks = tiny / "tiny.inter"
    header, *rows = clicks.read_text().splitlines()
    clicks.write_text("\n".join([f"{header}\tdevice:token", *(f"{row}\tphone" for row in rows)]) + "\n")
    run = build("FM", load_col={"inter": ["user_id", "item_id", "device"]})
    with pytest.raises(InputError, match="FM needs the feature 'device'"):
        scores_of(run)
