"""Scores of clicks and impressions against plain loops over samples and news."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.layers import AttentiveUser, ClickModel, NewsSlots, click_model
from tests.plm_fixtures import make_encoder, make_news

NEWS = make_news((4, 9, 4, 1, 9, 6, 5, 4, 3))
CPU = torch.device("cpu")
DIM = 6


@pytest.fixture
def model(plm_folder) -> ClickModel:
    model = ClickModel(make_encoder(plm_folder, news_dim=DIM), AttentiveUser(DIM, query_dim=5))
    torch.nn.init.normal_(model.user_encoder.query.weight)
    return model.double().eval()


@pytest.fixture
def batch() -> ClickBatch:
    """News that come again in a history, across histories and as candidates; the third user has clicked nothing."""
    return ClickBatch(
        torch.tensor([[1, 2, 1], [4, 0, 0], [0, 0, 0], [9, 2, 0]]),
        torch.tensor([[3, 1], [4, 5], [2, 9], [6, 2]]),
        torch.tensor([0, 0, 1, 1]),
        torch.tensor([1, 2, 3, 0]),
    )


def make_log(history, candidates) -> ImpressionLog:
    n = len(history)
    shown = Ragged.from_rows(candidates)
    return ImpressionLog(
        np.arange(n).astype(str), np.arange(n), np.zeros(n), Ragged.from_rows(history), shown,
        np.zeros(len(shown.values), dtype=np.int8),
    )  # fmt: skip


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_a_table_of_news_is_the_same_in_parts_and_zero_for_other_news(model, monkeypatch, at_once):
    monkeypatch.setattr(click_model, "_NEWS_AT_ONCE", at_once)
    table, rows = model.news_table(NEWS, np.array([7, 2, 5])), [2, 5, 7]
    torch.testing.assert_close(table[rows], model.encode_news(NEWS, np.array(rows)), rtol=0, atol=1e-12)
    assert not np.delete(table.numpy(), rows, axis=0).any()
    assert len(table) == NEWS.num_news


HISTORIES = [[1, 2, 3, 4], [], [5], [1, 2, 3, 4], [2, 2, 9], [4, 3, 2, 1], [7]]
CANDIDATES = [[5, 6, 7], [1, 2], [8], [9, 1], [2, 3, 4, 5], [5, 6, 7], [7, 8]]


@torch.no_grad()
def score_by_hand(model, clicks, candidates) -> list[float]:
    """One user, every news by itself."""

    def vector(item):
        return model.news_encoder(NEWS, np.array([item]))[0]

    user = torch.zeros(DIM, dtype=torch.float64)
    if clicks:
        vectors = torch.stack([vector(item) for item in clicks])
        user = model.user_encoder(vectors)
    return [float(vector(item) @ user) for item in candidates]


def test_slots_name_each_distinct_news_once_and_padding_never(batch):
    slots = NewsSlots.of(batch, CPU)
    assert slots.news.tolist() == [1, 2, 3, 4, 5, 6, 9]
    ids = np.append(0, slots.news)[slots.slots]
    assert ids.tolist() == torch.cat([batch.history, batch.candidates], dim=1).tolist()
    assert slots.num_candidates == 2


def test_slots_of_a_batch_without_any_history():
    none = torch.zeros(2, 0, dtype=torch.int64)
    slots = NewsSlots.of(ClickBatch(none, torch.tensor([[7, 3], [3, 9]]), torch.zeros(2), torch.zeros(2)), CPU)
    assert slots.news.tolist() == [3, 7, 9]
    assert slots.slots.tolist() == [[2, 1], [1, 3]]


def test_scores_equal_a_loop_that_encodes_one_news_at_a_time(model, batch):
    expected = [
        score_by_hand(model, [item for item in clicks if item], candidates)
        for clicks, candidates in zip(batch.history.tolist(), batch.candidates.tolist(), strict=True)
    ]
    output = model(NEWS, NewsSlots.of(batch, CPU))
    torch.testing.assert_close(output.scores, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-10)


def test_a_user_without_clicks_has_the_zero_vector_and_finite_gradients(model, batch):
    output = model(NEWS, NewsSlots.of(batch, CPU))
    assert output.user[2].tolist() == [0] * DIM
    assert output.scores[2].tolist() == [0, 0]
    cross_entropy(output.scores, batch.labels).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_row_zero_of_the_vectors_is_padding_and_zero(model, batch):
    output = model(NEWS, NewsSlots.of(batch, CPU))
    assert output.news.shape == (8, DIM)
    assert output.news[0].tolist() == [0] * DIM


def test_wider_padding_of_histories_changes_nothing(model, batch):
    wide = batch._replace(history=torch.cat([batch.history, torch.zeros(4, 5, dtype=torch.int64)], dim=1))
    torch.testing.assert_close(
        model(NEWS, NewsSlots.of(wide, CPU)).scores, model(NEWS, NewsSlots.of(batch, CPU)).scores, rtol=0, atol=1e-12
    )


def test_encoding_each_distinct_news_once_gives_the_loss_and_gradients_of_encoding_every_slot(model, batch):
    def gradients(scores):
        model.zero_grad()
        loss = cross_entropy(scores, batch.labels)
        loss.backward()
        return loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}

    ids = torch.cat([batch.history, batch.candidates], dim=1)
    vectors = torch.zeros(*ids.shape, DIM, dtype=torch.float64)
    vectors[ids > 0] = model.news_encoder(NEWS, ids[ids > 0].numpy())  # 14 news, with repetitions
    width = batch.history.shape[1]
    user = model.user_encoder(vectors[:, :width], batch.history > 0)
    loss, of_slots = gradients(torch.einsum("bcd,bd->bc", vectors[:, width:], user))

    shared_loss, of_distinct = gradients(model(NEWS, NewsSlots.of(batch, CPU)).scores)
    torch.testing.assert_close(shared_loss, loss, rtol=0, atol=1e-10)
    for name, gradient in of_slots.items():
        torch.testing.assert_close(of_distinct[name], gradient, rtol=0, atol=1e-10, msg=name)


def test_scoring_from_given_vectors_equals_scoring_from_text(model, batch):
    slots = NewsSlots.of(batch, CPU)
    vectors = model.encode_news(NEWS, slots.news)
    torch.testing.assert_close(model.score(vectors, slots).scores, model(NEWS, slots).scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 3, 1024])
@pytest.mark.parametrize("history_length", [2, 50])
def test_scores_of_impressions_equal_a_loop_over_impressions(model, monkeypatch, at_once, history_length):
    monkeypatch.setattr(click_model, "_IMPRESSIONS_AT_ONCE", at_once)
    monkeypatch.setattr(click_model, "_HISTORIES_AT_ONCE", 2 * at_once)
    scores = model.score_impressions(NEWS, make_log(HISTORIES, CANDIDATES), history_length)
    expected = [
        score
        for clicks, shown in zip(HISTORIES, CANDIDATES, strict=True)
        for score in score_by_hand(model, clicks[-history_length:], shown)
    ]
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_the_score_of_a_candidate_depends_neither_on_its_place_nor_on_other_impressions(model, dtype, tolerance):
    model.to(dtype)
    log = make_log(HISTORIES, CANDIDATES)
    scores = Ragged(model.score_impressions(NEWS, log, 50), log.candidates.offsets)
    turned = make_log(HISTORIES[::-1], [shown[::-1] for shown in CANDIDATES[::-1]])
    np.testing.assert_allclose(model.score_impressions(NEWS, turned, 50)[::-1], scores.values, rtol=0, atol=tolerance)
    for row, (clicks, shown) in enumerate(zip(HISTORIES, CANDIDATES, strict=True)):
        alone = model.score_impressions(NEWS, make_log([clicks], [shown]), 50)
        np.testing.assert_allclose(alone, scores[row], rtol=0, atol=tolerance)


def test_the_same_history_is_encoded_once(model, monkeypatch):
    seen = []
    encode = model.encode_users
    monkeypatch.setattr(model, "encode_users", lambda table, *rows: seen.append(len(rows[0])) or encode(table, *rows))
    model.score_impressions(NEWS, make_log(HISTORIES, CANDIDATES), 50)
    assert seen == [6]  # the first and the fourth are the same


def test_each_news_is_encoded_once(model, monkeypatch):
    seen = []
    encode = model.news_encoder.forward
    monkeypatch.setattr(model.news_encoder, "forward", lambda source, rows: seen.extend(rows) or encode(source, rows))
    model.score_impressions(NEWS, make_log(HISTORIES, CANDIDATES), 50)
    assert sorted(seen) == list(range(1, 10))


@pytest.mark.parametrize("mode", [True, False])
def test_scoring_is_without_dropout_and_leaves_the_mode_as_it_was(model, mode):
    log = make_log(HISTORIES, CANDIDATES)
    expected = model.score_impressions(NEWS, log, 50)
    model.train(mode)
    np.testing.assert_array_equal(model.score_impressions(NEWS, log, 50), expected)
    assert model.training is mode
    assert model.news_encoder.plm.layers[-1].training is mode
    assert not model.news_encoder.plm.layers[0].training


def test_only_users_without_clicks_can_be_scored(model):
    assert model.score_impressions(NEWS, make_log([[], []], [[1, 2], [3]]), 50).tolist() == [0, 0, 0]
