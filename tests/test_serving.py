"""A trained model without its dataset."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from recbole_tinynews import InputError, NewsRanker, Recommender
from tests.plm_fixtures import write_news
from tests.test_recommender import train

LENGTHS = {"title_length": "6", "history_length": "4"}


def rewrite(folder: Path, change: dict, lengths: dict | None) -> None:
    """Change weights; None takes them away, no change takes all."""
    path = folder / "click_model.safetensors"
    weights = load_file(path) | change if change else {}
    save_file({name: weight for name, weight in weights.items() if weight is not None}, path, lengths)


@pytest.fixture
def recommender(tiny, plm_folder) -> Recommender:
    write_news(tiny)
    return Recommender.load(train("PLMNR", plm_folder)[0])


def test_a_saved_model_gives_the_scores_of_the_run_without_its_dataset(recommender, tiny):
    log = recommender.impressions("valid")
    expected = recommender.score(log)
    recommender.ranker().save("student")
    tiny.rename("elsewhere")
    ranker = NewsRanker.load("student", precision="float32")
    news = ranker.encode_news(recommender.titles)
    users = ranker.encode_users([news[log.history[row]] for row in range(len(log))])
    scores = np.einsum("cd,cd->c", news[log.candidates.values], users[log.candidates.row_of])
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3


def test_vectors_do_not_depend_on_what_is_asked_for_in_the_same_call(recommender):
    ranker = recommender.ranker()
    titles = recommender.titles[1:9]
    news = ranker.encode_news(titles)
    alone = np.concatenate([ranker.encode_news([title]) for title in titles])
    np.testing.assert_allclose(alone, news, atol=1e-5)
    histories = [news[:3], news[:0], news[5:6]]
    users = ranker.encode_users(histories)
    alone = np.concatenate([ranker.encode_users([history]) for history in histories])
    np.testing.assert_allclose(alone, users, atol=1e-5)


def test_a_user_without_clicks_has_the_zero_vector_and_old_clicks_do_not_count(recommender):
    ranker = recommender.ranker()
    news = ranker.encode_news(recommender.titles[1:11])
    users = ranker.encode_users([news[:0], news, news[-ranker.history_length :]])
    assert not users[0].any()
    np.testing.assert_array_equal(users[1], users[2])
    np.testing.assert_array_equal(ranker.encode_users([[], news.astype(np.float64), news.tolist()]), users[[0, 1, 1]])
    with pytest.raises(ValueError, match="reshape"):
        ranker.encode_users([news[:4, :4]])
    assert ranker.encode_users([]).shape == (0, news.shape[1])
    assert ranker.encode_news([]).shape == (0, news.shape[1])


def test_other_programs_can_use_what_is_saved(recommender):
    recommender.ranker().save("student")
    model, tokenizer = AutoModel.from_pretrained("student").eval(), AutoTokenizer.from_pretrained("student")
    rest = load_file("student/click_model.safetensors")
    head = {name.removeprefix("news_encoder."): weight for name, weight in rest.items()}
    row = 5
    tokens = tokenizer(recommender.titles[row], truncation=True, max_length=6, return_tensors="pt")
    with torch.no_grad():
        states = model(**tokens).last_hidden_state[0]
        hidden = torch.tanh(states @ head["pooling.projection.weight"].T + head["pooling.projection.bias"])
        weights = torch.softmax(hidden @ head["pooling.query.weight"][0], dim=0)
        vector = head["dense.weight"] @ (weights @ states) + head["dense.bias"]
    torch.testing.assert_close(vector, recommender.model.news_vectors()[row], rtol=0, atol=1e-4)


def test_in_bfloat16_a_loaded_model_gives_what_the_run_would_give(recommender):
    recommender.ranker().save("student")
    titles = recommender.titles[1:9]
    exact = NewsRanker.load("student", "float32").encode_news(titles)
    rounded = NewsRanker.load("student", "bfloat16").encode_news(titles)
    recommender.model.click_model.news_encoder.precision = "bfloat16"
    np.testing.assert_allclose(rounded, recommender.ranker().encode_news(titles), atol=1e-5)
    assert 0 < np.abs(rounded - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: folder.rename("away"), "student/click_model.safetensors: expected what NewsRanker.save writes"),
        (lambda folder: (folder / "click_model.safetensors").write_text("x"), "expected what NewsRanker.save writes"),
        (lambda folder: rewrite(folder, {}, LENGTHS), "expected what NewsRanker.save writes"),
        (lambda folder: rewrite(folder, {"news_encoder.dense.bias": None}, LENGTHS), "bias is missing or unknown"),
        (lambda folder: rewrite(folder, {"more": torch.ones(1)}, LENGTHS), "more is missing or unknown"),
        (lambda folder: rewrite(folder, {"more": torch.ones(1)}, None), "expected what NewsRanker.save writes"),
        (lambda folder: (folder / "model.safetensors").unlink(), "plm=student: a folder without an encoder"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_a_line(recommender, spoil, message):
    recommender.ranker().save("student")
    spoil(Path("student"))
    with pytest.raises(InputError, match=message):
        NewsRanker.load("student")


def test_serving_does_not_wait_for_recbole_to_load():
    code = "import sys, recbole_tinynews.serving; sys.exit(any(name.startswith('recbole.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
