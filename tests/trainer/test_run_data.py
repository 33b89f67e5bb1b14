"""What RecBole's models train on, where there are impressions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from recbole_tinynews import InputError, NewsConfig, run
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.trainer.run_data import load_data
from tests.plm_fixtures import write_news

FAST = {"epochs": 1, "show_progress": False, "gpu_id": ""}
WORDS = {"heads": 2, "head_dim": 4}


def load(model, **settings):
    return load_data(NewsConfig(model, "tiny", config_dict=FAST | settings))


def epoch(data) -> list[dict]:
    return [
        dict(zip(batch.interaction, row, strict=True))
        for batch in data.train
        for row in zip(*(column.tolist() for column in batch.interaction.values()), strict=True)
    ]


def test_a_context_aware_model_gets_each_candidate_of_each_training_impression_with_its_label(tiny):
    data = load("FM")
    log = load_impressions(data.dataset, "train")
    shown = zip(log.users[log.candidates.row_of], log.candidates.values, log.labels, strict=True)
    rows = Counter((row["user_id"], row["item_id"], row["label"]) for row in epoch(data))
    assert rows == Counter((int(user), int(item), float(label)) for user, item, label in shown)


def test_a_context_aware_model_without_training_impressions_gets_clicks_and_sampled_negatives(tiny):
    (tiny / "tiny.train.imp").unlink()
    rows = epoch(load("FM"))
    assert Counter(row["label"] for row in rows) == {1.0: 72, 0.0: 72}


def test_a_feature_that_impressions_lack_is_refused(tiny):
    text = (tiny / "tiny.inter").read_text().splitlines()
    rows = [text[0] + "\trating:float", *(line + "\t1.0" for line in text[1:])]
    (tiny / "tiny.inter").write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match="'rating': leave it out of load_col"):
        load("FM", load_col={"inter": ["user_id", "item_id", "rating"]})


@pytest.mark.parametrize("name", ["BPR", "NeuMF", "GRU4Rec"])
def test_negatives_come_from_the_impression_where_the_settings_say_so(tiny, name):
    data = load(name, negatives="impression", **({"loss_type": "BPR"} if name == "GRU4Rec" else {}))
    log = load_impressions(data.dataset, "train")
    beside: dict[tuple[int, int], set[int]] = {}
    for row in range(len(log)):
        span = slice(log.candidates.offsets[row], log.candidates.offsets[row + 1])
        shown, labels = log.candidates.values[span], np.asarray(log.labels[span])
        for item in shown[labels == 1].tolist():
            beside.setdefault((int(log.users[row]), item), set()).update(shown[labels == 0].tolist())
    rows, met = epoch(data), 0
    for row in rows:
        wanted = beside.get((row["user_id"], row["item_id"]))
        if wanted and "neg_item_id" in row:
            met += 1
            assert row["neg_item_id"] in wanted
    if name == "NeuMF":  # pointwise: the negatives are rows of their own
        negatives = {(row["user_id"], row["item_id"]) for row in rows if row["label"] == 0}
        positives = {(row["user_id"], row["item_id"]) for row in rows if row["label"] == 1}
        known = positives & set(beside)
        met = sum(any((user, other) in negatives for other in beside[user, item]) for user, item in known)
        assert met == len(known)
    assert met > 0


def test_a_model_that_learns_from_clicks_does_not_read_the_training_impressions(tiny):
    (tiny / "tiny.train.imp").write_text("no impressions")
    assert len(epoch(load("BPR"))) == 72  # 12 users, six clicks each


def test_only_two_sources_of_negatives_are_known(tiny):
    with pytest.raises(InputError, match="negatives must be catalogue or impression, not 'shown'"):
        NewsConfig("BPR", "tiny", config_dict={"negatives": "shown"})


def test_without_impressions_it_is_told_that_they_give_no_negatives(tiny):
    for file in tiny.glob("*.imp"):
        file.unlink()
    remarks = NewsConfig("BPR", "tiny", config_dict={"negatives": "impression"}).remarks
    assert remarks == ["negatives has no effect: the dataset has no impressions"]


def test_a_model_that_samples_no_negatives_is_told_that_their_source_has_no_effect(tiny, caplog):
    load("SASRec", negatives="impression")
    assert caplog.messages == ["negatives has no effect: SASRec samples none"]


def test_a_run_reports_slices_and_if_wanted_diversity(tiny):
    plain = run("BPR", "tiny", config_dict=FAST)
    assert set(plain["slices"]) == {"warm news", "cold news", "no history", "short history", "unknown user"}
    assert plain["slices"]["unknown user"]["impressions"] == 1
    assert "diversity" not in plain
    more = run("BPR", "tiny", config_dict=FAST | {"diversity": True})
    assert more["test_result"] == plain["test_result"]
    assert 0 < more["diversity"]["coverage@5"] <= 1


@pytest.fixture
def clicks_only(tiny):
    """The dataset with texts, without impressions."""
    write_news(tiny)
    for path in tiny.glob("*.imp"):
        path.unlink()
    return tiny


@pytest.mark.parametrize("name", ["Pop", "BPR", "SASRec", "SASRecF", "FM", "DIN", "NRMS"])
def test_without_impressions_all_models_are_tested_on_the_last_click_of_each_user(clicks_only, name):
    data = load(name)
    rows = [line.split("\t") for line in (clicks_only / "tiny.inter").read_text().splitlines()[1:]]
    last = {user: item for user, item, _ in sorted(rows, key=lambda row: float(row[2]))}
    tested = data.test._dataset
    users, items = (tested.inter_feat[field].numpy() for field in ("user_id", "item_id"))
    names = tested.field2id_token
    found = dict(zip(names["user_id"][users].tolist(), names["item_id"][items].tolist(), strict=True))
    assert found.items() <= last.items()
    assert len(found) == sum(len([row for row in rows if row[0] == user]) > 2 for user in last)
    assert tuple(run(name, "tiny", config_dict=FAST | WORDS)["test_result"]) == (
        "recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10"
    )  # fmt: skip


def test_without_impressions_and_texts_all_is_as_in_recbole(tiny):
    for path in tiny.glob("*.imp"):
        path.unlink()
    assert NewsConfig("BPR", "tiny", config_dict=FAST)["eval_args"]["split"] == {"RS": [0.8, 0.1, 0.1]}


@pytest.mark.parametrize("name", ["BPR", "FM", "NRMS"])
def test_the_time_may_have_another_name_and_need_not_be_among_the_columns_asked_for(clicks_only, name):
    path = clicks_only / "tiny.inter"
    path.write_text(path.read_text().replace("timestamp:float", "ts:float"))
    settings = {"TIME_FIELD": "ts", "load_col": {"inter": ["user_id", "item_id"]}} | WORDS
    data = load(name, **settings)
    assert ("ts" in data.test._dataset.inter_feat) == (name != "FM")


def test_clicks_without_a_time_are_split_as_in_recbole(clicks_only):
    path = clicks_only / "tiny.inter"
    rows = [line.split("\t")[:2] for line in path.read_text().splitlines()]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    assert load("BPR").train is not None
    assert NewsConfig("BPR", "tiny", config_dict=FAST)["eval_args"]["split"] == {"RS": [0.8, 0.1, 0.1]}
