"""NRMS, NAML and LSTUR as RecBole models: whole runs, predictions, word vectors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.data import create_dataset
from recbole.data.interaction import Interaction
from recbole.utils import init_seed
from sklearn.metrics import roc_auc_score

from recbole_tinynews import NewsConfig, run
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.trainer.staged_trainer import StagedTrainer
from tests.plm_fixtures import write_news

MODELS = ("NRMS", "NAML", "LSTUR")
SETTINGS = {
    "word_dim": 6, "query_dim": 3, "heads": 2, "head_dim": 3, "filters": 5, "category_dim": 2, "title_length": 5,
    "body_length": 7, "history_length": 4, "num_negatives": 2, "epochs": 2, "train_batch_size": 8,
    "learning_rate": 0.01, "show_progress": False, "use_gpu": False,
}  # fmt: skip


@pytest.fixture
def texts(tiny) -> Path:
    return write_news(tiny)


def build(name, **settings) -> SimpleNamespace:
    config = NewsConfig(name, "tiny", config_dict=SETTINGS | settings)
    init_seed(1, True)
    dataset = create_dataset(config)
    model = config.model_class(config, dataset).eval()
    for key, parameter in model.named_parameters():
        if "query" in key or key.endswith("users.weight"):
            torch.nn.init.normal_(parameter)
    return SimpleNamespace(model=model, dataset=dataset)


@torch.no_grad()
def score_by_hand(model, user, history, items) -> list[float]:
    """One user, every news by itself."""
    network = model.click_model
    vectors = {item: network.news_encoder(model.titles, np.array([item]))[0] for item in {*history, *items}}
    clicks = torch.stack([vectors[item] for item in history]) if history else torch.zeros(1, len(vectors[items[0]]))
    mask = torch.tensor([[bool(history)] * len(clicks)])
    vector = network.user_encoder(clicks[None], mask, torch.tensor([user]))[0]
    return [float(vectors[item] @ vector) for item in items]


@pytest.mark.parametrize("name", MODELS)
def test_impressions_are_scored_as_a_loop_would(texts, name):
    built = build(name)
    log = load_impressions(built.dataset, "valid")
    expected = [
        score
        for row in range(len(log))
        for score in score_by_hand(
            built.model, int(log.users[row]), log.history[row][-4:].tolist(), log.candidates[row].tolist()
        )
    ]
    np.testing.assert_allclose(built.model.score_impressions(log), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_predict_is_a_row_of_predicting_all_news(texts, name):
    model = build(name).model
    histories = torch.tensor([[1, 2, 3], [4, 0, 0], [0, 0, 0]])
    users, items = torch.tensor([1, 2, 3]), torch.tensor([5, 6, 7])
    rows = Interaction({"user_id": users, "item_id_list": histories, "item_id": items})
    every = model.full_sort_predict(rows)
    torch.testing.assert_close(every.gather(1, rows["item_id"][:, None])[:, 0], model.predict(rows))
    expected = score_by_hand(model, 1, [1, 2, 3], [5])[0]
    assert model.predict(rows)[0].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_run_stopped_and_resumed_ends_as_one_that_was_not_with_the_metrics_of_its_saved_weights(
    texts, name, monkeypatch
):
    whole = run(name, "tiny", config_dict=SETTINGS | {"checkpoint_dir": "whole"})

    def stop(self, stage, step, values):
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StagedTrainer, "_to_tensorboard", stop)
        with pytest.raises(KeyboardInterrupt):
            run(name, "tiny", config_dict=SETTINGS | {"save_seconds": 0})
    resumed = run(name, "tiny", config_dict=SETTINGS)
    assert resumed["test_result"] == whole["test_result"]
    assert [stage["name"] for stage in resumed["stages"]] == ["learn_clicks"]

    built = build(name)
    (path,) = Path("saved").glob("*.pth")
    built.model.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    log = load_impressions(built.dataset, "test")
    auc = [
        roc_auc_score(labels, score_by_hand(built.model, int(log.users[row]), log.history[row][-4:].tolist(), shown))
        for row in range(len(log))
        if 0 < (labels := log.labels[log.candidates.offsets[row] : log.candidates.offsets[row + 1]]).sum() < len(labels)
        for shown in [log.candidates[row].tolist()]
    ]
    assert resumed["test_result"]["auc"] == pytest.approx(np.mean(auc), abs=1e-9)


def test_words_start_from_the_vectors_of_a_file(texts):
    titles = " ".join(line.split("\t")[1] for line in Path("dataset/tiny/tiny.news").read_text().splitlines()[1:])
    word, *_ = titles.split()
    Path("glove.txt").write_text(f"{word.lower()} 1 2 3\nunheard 7 7 7\n")
    model = build("NRMS", word_vectors="glove.txt").model
    row = model.tokenizer.get_vocab()[word.lower()]
    words = model.click_model.news_encoder.words.weight
    assert words.shape == (len(model.tokenizer), 3)
    assert words[row].tolist() == [1, 2, 3]
    assert words[0].tolist() == [0, 0, 0]
    assert words.requires_grad


def test_other_word_vectors_are_another_stage(texts):
    words = build("NRMS").model.tokenizer.get_vocab()
    word = max(words, key=words.get)
    keys = []
    for number in (1, 2, 1):
        Path("glove.txt").write_text(f"{word} {number} 2 3\n")
        keys.append(build("NRMS", word_vectors="glove.txt").model.key)
    assert keys[0] == keys[2] != keys[1]
