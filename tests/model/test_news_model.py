"""PLM-NR inside RecBole: its losses, predictions and batches."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import init_seed
from torch.nn.functional import cross_entropy

from recbole_tinynews import InputError, NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.evaluator import score_impressions
from tests.plm_fixtures import PLMNR_SETTINGS, write_news
from tests.tiny_dataset import write_dataset

PLAIN = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
}


def build(plm, **settings) -> SimpleNamespace:
    """An untrained model, in evaluation mode, whose attentions are not the mean."""
    config = NewsConfig("PLMNR", "tiny", config_dict=PLMNR_SETTINGS | {"plm": plm, **settings})
    init_seed(1, True)
    dataset = create_dataset(config)
    loaders = None if config.impressions else data_preparation(config, dataset)
    model = config.model_class(config, loaders[0]._dataset if loaders else dataset)
    for attention in (model.click_model.user_encoder, model.click_model.news_encoder.pooling):
        torch.nn.init.normal_(attention.query.weight)
    return SimpleNamespace(model=model.eval(), dataset=dataset, loaders=loaders, config=config)


@pytest.fixture
def plain(tmp_path, monkeypatch, plm_folder):
    """A dataset without impressions."""
    monkeypatch.chdir(tmp_path)
    write_news(write_dataset(tmp_path / "dataset", splits=()))
    return build(str(plm_folder), **PLAIN)


@torch.no_grad()
def score_by_hand(model, history, items) -> list[float]:
    """One user, every news by itself."""
    network, titles = model.click_model, model.titles
    vectors = {item: network.news_encoder(titles, np.array([item]))[0] for item in {*history, *items}}
    user = network.user_encoder(torch.stack([vectors[item] for item in history])) if history else 0 * vectors[items[0]]
    return [float(vectors[item] @ user) for item in items]


def interaction(histories, items) -> Interaction:
    width = max(map(len, histories))
    padded = torch.tensor([history + [0] * (width - len(history)) for history in histories])
    users = torch.arange(1, 1 + len(items))
    return Interaction({"user_id": users, "item_id_list": padded, "item_id": torch.tensor(items)})


HISTORIES, ITEMS = [[1, 2, 3], [4], [5, 6], [3, 3, 7, 1]], [8, 9, 10, 2]


def test_titles_are_the_rows_of_recboles_item_ids(plain):
    model = plain.model
    texts = dict(line.split("\t")[:2] for line in Path("dataset/tiny/tiny.news").read_text().splitlines()[1:])
    for token, number in model.item_ids.items():
        assert model.texts.titles[number] == texts.get(token, "")
    assert len(model.titles.lengths) == model.n_items
    assert model.titles.lengths.max() == 6


def test_predict_equals_a_loop_that_encodes_one_news_at_a_time(plain):
    expected = [score_by_hand(plain.model, history, [item])[0] for history, item in zip(HISTORIES, ITEMS, strict=True)]
    predicted = plain.model.predict(interaction(HISTORIES, ITEMS))
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-4)


def test_predicting_all_news_and_gathering_equals_predicting_one(plain):
    rows = interaction(HISTORIES, ITEMS)
    every = plain.model.full_sort_predict(rows)
    assert every.shape == (4, plain.model.n_items)
    torch.testing.assert_close(
        every.gather(1, rows["item_id"][:, None])[:, 0], plain.model.predict(rows), rtol=0, atol=1e-5
    )


def test_only_the_last_clicks_of_a_long_history_count(plain):
    long = [[9, 8, 7, *HISTORIES[3]]]  # history_length is 4
    torch.testing.assert_close(
        plain.model.predict(interaction(long, [2])), plain.model.predict(interaction([HISTORIES[3]], [2]))
    )


def test_a_user_without_clicks_scores_zero_everywhere(plain):
    assert not plain.model.full_sort_predict(interaction([[], [1]], [1, 2]))[0].any()


def test_vectors_are_computed_once_until_weights_may_have_changed(plain, monkeypatch):
    encode, calls = plain.model.click_model.encode_news, []
    monkeypatch.setattr(
        plain.model.click_model, "encode_news", lambda source, rows: calls.append(len(rows)) or encode(source, rows)
    )
    for _ in range(2):
        before = plain.model.predict(interaction(HISTORIES, ITEMS))
    assert calls == [plain.model.n_items - 1]
    plain.model.train()
    with torch.no_grad():
        plain.model.click_model.news_encoder.dense.weight.mul_(2)
    plain.model.eval()
    assert not torch.allclose(plain.model.predict(interaction(HISTORIES, ITEMS)), before)


def test_loaded_weights_are_used_at_once(plain):
    rows = interaction(HISTORIES, ITEMS)
    plain.model.predict(rows)
    plain.model.load_state_dict({name: 2 * tensor for name, tensor in plain.model.state_dict().items()})
    predicted = plain.model.predict(rows)
    torch.testing.assert_close(predicted, plain.model.eval().predict(rows))


def test_recboles_pairs_become_a_click_with_each_of_its_negatives(plain):
    """RecBole repeats the clicks of a batch for each negative; here two are asked for."""
    model = plain.model
    loader = plain.loaders[0]
    pairs = next(iter(loader))
    batch = model.click_batch(pairs)
    clicks = len(pairs) // 2
    assert batch.candidates.shape == (clicks, 3)
    assert batch.labels.tolist() == [0] * clicks
    for row in range(clicks):
        rows = [row, row + clicks]
        assert batch.candidates[row].tolist() == [int(pairs["item_id"][row]), *pairs["neg_item_id"][rows].tolist()]
        for other in rows:
            assert pairs["user_id"][other] == pairs["user_id"][row]
            assert pairs["item_id_list"][other].tolist() == batch.history[row].tolist()


def test_the_loss_is_the_cross_entropy_of_each_click_against_its_negatives(plain):
    pairs = next(iter(plain.loaders[0]))
    batch = plain.model.click_batch(pairs)
    scores = torch.tensor([
        score_by_hand(plain.model, [item for item in history if item], candidates)
        for history, candidates in zip(batch.history.tolist(), batch.candidates.tolist(), strict=True)
    ])  # fmt: skip
    expected = cross_entropy(scores, batch.labels)
    loss = plain.model.calculate_loss(pairs)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in plain.model.parameters() if p.requires_grad)


def test_training_sees_as_many_clicks_as_prediction(tmp_path, monkeypatch, plm_folder):
    monkeypatch.chdir(tmp_path)
    write_news(write_dataset(tmp_path / "dataset", splits=()))
    plain = build(str(plm_folder), **(PLAIN | {"history_length": 2}))
    batches = [plain.model.click_batch(pairs) for pairs in plain.loaders[0]]
    assert max(int((batch.history > 0).sum(dim=1).max()) for batch in batches) == 2


def test_a_dataset_without_impressions_has_num_negatives_sampled_news_beside_each_click(
    tmp_path, monkeypatch, plm_folder
):
    monkeypatch.chdir(tmp_path)
    write_news(write_dataset(tmp_path / "dataset", splits=()))
    settings = {key: value for key, value in PLAIN.items() if key != "train_neg_sample_args"}
    plain = build(str(plm_folder), **settings)
    batch = plain.model.click_batch(next(iter(plain.loaders[0])))
    assert batch.candidates.shape[1] == 1 + PLMNR_SETTINGS["num_negatives"]


def test_a_dataset_without_impressions_needs_no_settings_of_its_own(tmp_path, monkeypatch, plm_folder):
    monkeypatch.chdir(tmp_path)
    write_news(write_dataset(tmp_path / "dataset", splits=()))
    plain = build(str(plm_folder))
    assert plain.config["load_col"]["inter"] == ["user_id", "item_id", "timestamp"]
    assert len(plain.loaders) == 3


def test_impressions_are_scored_by_the_model_itself_as_a_loop_would(tiny, plm_folder):
    write_news(tiny)
    run = build(str(plm_folder))
    log = load_impressions(run.dataset, "valid")
    expected = [
        score
        for row in range(len(log))
        for score in score_by_hand(run.model, log.history[row][-4:].tolist(), log.candidates[row].tolist())
    ]
    scores = score_impressions(run.model, run.dataset, log, run.config)
    assert (log.history.lengths == 0).any()
    assert (log.users == 0).any()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)


def test_a_dataset_without_texts_is_refused(tiny, plm_folder):
    with pytest.raises(InputError, match=r"tiny\.news"):
        build(str(plm_folder))


def test_an_encoder_must_be_named(tiny):
    write_news(tiny)
    with pytest.raises(InputError, match="--plm="):
        build(None)


def test_layers_says_how_deep_the_network_is(news, tiny):
    assert len(build(news["plm"], layers=3).model.click_model.news_encoder.plm.layers) == 3
    with pytest.raises(InputError, match="has 4 layers, 5 were asked for"):
        build(news["plm"], layers=5)
