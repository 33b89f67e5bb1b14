"""Trained models that answer questions, and the commands that ask them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.model.general_recommender import LightGCN
from sklearn.metrics import roc_auc_score

from recbole_tinynews import InputError, Recommender, run
from recbole_tinynews.evaluate import evaluate
from recbole_tinynews.evaluate import main as evaluate_main
from recbole_tinynews.predict import main as predict_main
from recbole_tinynews.recommend import main as recommend_main
from tests.plm_fixtures import PLMNR_SETTINGS, write_news
from tests.test_quick_start import FAST

MODELS = ["BPR", "SASRec", "FM", "Pop", "PLMNR", "LSTUR"]


@pytest.fixture
def texts(tiny) -> Path:
    return write_news(tiny)


def train(name, plm) -> tuple[str, dict]:
    own = PLMNR_SETTINGS | {"plm": str(plm)} if name == "PLMNR" else {}
    result = run(name, "tiny", config_dict=FAST | {"filters": 8, "category_dim": 4} | own | {"epochs": 1})
    return str(next(Path("saved").glob("*.pth"))), result


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_alone_gives_the_test_metrics_again_through_a_prediction_file(texts, plm_folder, name):
    checkpoint, result = train(name, plm_folder)
    assert predict_main([f"--checkpoint={checkpoint}", "--split=test", "--output=p.zip"]) == 0
    assert evaluate("p.zip", "tiny", "test") == pytest.approx(result["test_result"], abs=1e-9)

    # an evaluator of its own: sklearn on the file and the labels of the source
    lines = zipfile.ZipFile("p.zip").read("prediction.txt").decode().splitlines()
    rows = [line.split("\t") for line in (texts / "tiny.test.imp").read_text().splitlines()[1:]]
    assert [line.split(" ")[0] for line in lines] == [row[0] for row in rows]
    auc = [
        roc_auc_score(labels, [1 / rank for rank in json.loads(line.split(" ", 1)[1])])
        for line, row in zip(lines, rows, strict=True)
        if len(set(labels := list(map(int, row[5].split())))) == 2
    ]
    assert np.mean(auc) == pytest.approx(result["test_result"]["auc"], abs=1e-9)


@pytest.mark.parametrize("name", ["BPR", "SASRec", "PLMNR", "LSTUR"])
def test_ranking_one_user_gives_the_scores_of_the_impression(texts, plm_folder, name):
    recommender = Recommender.load(train(name, plm_folder)[0])
    log = recommender.impressions("valid")
    scores = recommender.score(log)
    users = recommender.dataset.field2id_token["user_id"]
    for row in (1, 3, 6):
        span = slice(log.candidates.offsets[row], log.candidates.offsets[row + 1])
        candidates = recommender.names[log.candidates.values[span]].tolist()
        ranked = recommender.rank(recommender.names[log.history[row]].tolist(), users[log.users[row]], candidates)
        expected = sorted(zip(scores[span], candidates, strict=True), key=lambda pair: -pair[0])
        assert [news.news for news in ranked] == [news for _, news in expected]
        np.testing.assert_allclose([news.score for news in ranked], [score for score, _ in expected], atol=1e-5)


@pytest.mark.parametrize("name", ["NRMS", "PLMNR"])
def test_news_are_encoded_once_for_all_rankings(texts, plm_folder, name, monkeypatch):
    recommender = Recommender.load(train(name, plm_folder)[0])
    monkeypatch.setattr(recommender.model.click_model, "encode_news", None)
    assert len(recommender.rank(["n1"])) == len(recommender.rank(["n2"], user="u1")) == 29


def test_clicks_are_read_once_and_are_each_users_own_in_order_of_time(texts):
    (texts / "tiny.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\n"
        "u1\tn1\t20\nu2\tn2\t5\nu1\tn3\t9\nu1\tn2\t100\nu2\tn1\t30\n"
    )
    recommender = Recommender.load(train("BPR", None)[0])
    (texts / "tiny.inter").rename(texts / "kept")
    with pytest.raises(FileNotFoundError):
        recommender.clicks_of("u1")
    (texts / "kept").rename(texts / "tiny.inter")
    names = {user: recommender.names[recommender.clicks_of(user)].tolist() for user in ("u1", "u2", "u9")}
    assert names == {"u1": ["n3", "n1", "n2"], "u2": ["n2", "n1"], "u9": []}
    (texts / "tiny.inter").unlink()
    assert recommender.names[recommender.clicks_of("u2")].tolist() == ["n2", "n1"]


def test_without_candidates_all_news_but_those_clicked_are_ranked_and_titles_are_shown(texts, plm_folder):
    recommender = Recommender.load(train("PLMNR", plm_folder)[0])
    clicked = [line.split("\t") for line in (texts / "tiny.inter").read_text().splitlines()[1:]]
    history = [item for user, item, _ in sorted(clicked, key=lambda row: float(row[2])) if user == "u3"]
    ranked = recommender.rank(user="u3")
    assert {news.news for news in ranked} == {f"n{i}" for i in range(30)} - set(history)
    assert ranked == recommender.rank(history, user="u3")
    assert ranked[:4] == recommender.rank(user="u3", top=4)
    titles = dict(line.split("\t")[:2] for line in (texts / "tiny.news").read_text().splitlines()[1:])
    assert all(news.title == titles[news.news] for news in ranked)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"user": "nobody"}, "no clicks of user 'nobody'"),
        ({"user": "u1", "history": ["n1", "n77"]}, "no news 'n77'"),
        ({"user": "u1", "candidates": ["x"]}, "no news 'x'"),
        ({"user": "u1", "candidates": []}, "no candidates"),
        ({"user": "u1", "top": -1}, "top must be 1 or more, not -1"),
        ({}, "whose news"),
        ({"history": ["n1"]}, "Pop does not read histories: give a user"),
    ],
)
def test_a_question_without_an_answer_is_told(tiny, question, message):
    recommender = Recommender.load(train("Pop", None)[0])
    with pytest.raises(InputError, match=message):
        recommender.rank(**question)


def test_a_file_that_is_no_checkpoint_is_refused(tiny):
    Path("x.pth").write_text("x")
    Path("y.pth").write_text("student_layers: 2\nepochs: 1\n")  # bytes that torch's reader takes for other things
    for name, message in (("x.pth", "not a checkpoint"), ("y.pth", "not a checkpoint"), ("none.pth", "cannot be read")):
        with pytest.raises(InputError, match=message):
            Recommender.load(name)
    torch.save({"weight": torch.ones(1)}, "other.pth")
    with pytest.raises(InputError, match="not a checkpoint"):
        Recommender.load("other.pth")


@pytest.mark.parametrize("name", ["BPR", "LSTUR"])
def test_a_dataset_with_other_ids_is_told_though_the_sizes_fit(texts, name):
    checkpoint, _ = train(name, None)
    lines = (texts / "tiny.inter").read_text().splitlines(keepends=True)
    (texts / "tiny.inter").write_text("".join([lines[0], *lines[:0:-1]]))
    with pytest.raises(InputError, match="its dataset has changed"):
        Recommender.load(checkpoint)


def test_other_texts_are_told_where_words_come_from_them_and_a_language_model_reads_them(texts, plm_folder):
    for name in ("NRMS", "PLMNR"):
        train(name, plm_folder)
    lines = (texts / "tiny.news").read_text().splitlines(keepends=True)
    (texts / "tiny.news").write_text("".join([lines[0], lines[1].replace("\t", "\tnew ", 1), *lines[2:]]))
    with pytest.raises(InputError, match="its dataset has changed"):
        Recommender.load(next(path for path in Path("saved").glob("NRMS*.pth")))
    recommender = Recommender.load(next(path for path in Path("saved").glob("PLMNR*.pth")))
    assert recommender.titles[recommender.item_ids["n0"]].startswith("new ")


@pytest.mark.parametrize("name", ["BPR", "FM", "LSTUR"])
def test_a_checkpoint_is_loaded_without_reading_an_impression(texts, name):
    checkpoint, _ = train(name, None)
    before = Recommender.load(checkpoint).rank(["n1"], "u1")
    (texts / "tiny.train.imp").unlink()
    (texts / "tiny.valid.imp").write_text("no impressions")
    assert Recommender.load(checkpoint).rank(["n1"], "u1") == before


def test_a_graph_of_the_training_clicks_is_the_one_that_was_trained_on(tiny, monkeypatch):
    for path in tiny.glob("*.imp"):
        path.unlink()
    graphs, made = [], LightGCN.get_norm_adj_mat
    monkeypatch.setattr(LightGCN, "get_norm_adj_mat", lambda self: graphs.append(made(self)) or graphs[-1])
    checkpoint, _ = train("LightGCN", None)
    torch.manual_seed(99)
    Recommender.load(checkpoint)
    assert len(graphs) == 2
    assert torch.equal(graphs[0].to_dense(), graphs[1].to_dense())


def test_only_a_model_that_reads_any_news_can_do_without_its_dataset(tiny):
    with pytest.raises(InputError, match="Pop has no pre-trained encoder"):
        Recommender.load(train("Pop", None)[0]).ranker()


def test_the_commands_print_what_was_asked_and_tell_mistakes_in_a_line(texts, capsys):
    checkpoint, result = train("Pop", None)
    Path("some.txt").write_text("n3 n4\nn5\n")
    asked = ["--user=u1", "--history=n1,n2", "--candidates=some.txt", "--top=2"]
    assert recommend_main([f"--checkpoint={checkpoint}", *asked]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines[0].split() == ["news", "score", "title"]
    assert {line.split()[1] for line in lines[1:]} < {"n3", "n4", "n5"}

    assert predict_main([f"--checkpoint={checkpoint}"]) == 0
    assert evaluate_main(["prediction.zip", "--dataset=tiny"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == f"{result['test_result']['auc']:.4f}"

    for main, arguments, message in (
        (recommend_main, [f"--checkpoint={checkpoint}"], "whose news?"),
        (recommend_main, [f"--checkpoint={checkpoint}", "--user=u1", "--candidates=none.txt"], "none.txt: cannot"),
        (recommend_main, [f"--checkpoint={checkpoint}", "--user=u1", "--top=0"], "top must be 1 or more"),
        (recommend_main, [f"--checkpoint={checkpoint}", "--history=,"], "--history names no news"),
        (predict_main, ["--checkpoint=none.pth"], "none.pth: cannot be read"),
        (predict_main, [f"--checkpoint={checkpoint}", "--output=some.txt/p.zip"], "--output cannot be written"),
        (predict_main, [f"--checkpoint={checkpoint}", "--output=ranks.txt"], "--output must be the name of a .zip"),
        (evaluate_main, ["none.zip", "--dataset=tiny"], "none.zip: cannot be read"),
        (evaluate_main, ["prediction.zip", "--dataset=tiny", "--split=valid"], "expected impression valid-0"),
        (evaluate_main, ["prediction.zip", "--dataset=tinny"], "there is no dataset 'tinny'"),
    ):
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
