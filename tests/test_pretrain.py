"""Training an encoder from scratch."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from recbole_tinynews.data.masked import MaskedTexts
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import load_plm, load_tokenizer
from recbole_tinynews.pretrain import PretrainSettings, main, pretrain, train_vocabulary

SMALL = PretrainSettings(layers=2, hidden=16, heads=2, vocabulary=80, length=16, epochs=2, batch_size=8)
WORDS = ["snow", "rain", "wind", "chess", "rowing", "opera", "jazz", "bread", "cheese", "storm", "market", "trade"]


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))).capitalize() + "." for _ in range(60)]


def weights(folder):
    return load_plm(str(folder)).state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_encoder_is_read_strictly_like_any_other(texts, tmp_path):
    folder = pretrain(texts, tmp_path / "encoder", SMALL, show_progress=False)
    plm = load_plm(str(folder))
    assert len(plm.layers) == 2
    assert plm.hidden_size == 16
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.decode(tokenizer("SNOW and jazz?")["input_ids"]).startswith("[CLS] snow")
    assert tokenizer.model_max_length == 16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder"]


def test_frequent_words_are_whole_pieces_and_the_vocabulary_keeps_its_limit(texts):
    tokenizer = train_vocabulary(texts, 80, 16)
    assert len(tokenizer) <= 80
    assert tokenizer.tokenize("Cheese") == ["cheese"]
    assert [tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id] == [0, 1, 4]


def test_the_vocabulary_does_not_depend_on_the_order_of_hash_tables(texts):
    assert train_vocabulary(texts, 80, 16).get_vocab() == train_vocabulary(texts, 80, 16).get_vocab()


def test_a_seed_decides_all(texts, tmp_path):
    one, other = (weights(pretrain(texts, tmp_path / name, SMALL, show_progress=False)) for name in ("a", "b"))
    assert same(one, other)
    third = PretrainSettings(**{**vars(SMALL), "seed": 1})
    assert not same(one, weights(pretrain(texts, tmp_path / "c", third, show_progress=False)))


def test_an_interrupted_training_goes_on_where_it_was(texts, tmp_path, monkeypatch):
    whole = weights(pretrain(texts, tmp_path / "whole", SMALL, show_progress=False))
    epoch, numbers = MaskedTexts.epoch, []

    def interrupted(self, number):
        if number == 1:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(MaskedTexts, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(texts, tmp_path / "cut", SMALL, show_progress=False)
    assert not (tmp_path / "cut").exists()
    monkeypatch.setattr(MaskedTexts, "epoch", lambda self, number: numbers.append(number) or epoch(self, number))
    assert same(whole, weights(pretrain(texts, tmp_path / "cut", SMALL, show_progress=False)))
    assert numbers == [1]


def test_what_was_made_before_is_kept_and_what_was_made_otherwise_is_replaced(texts, tmp_path):
    report = pretrain(texts, tmp_path / "encoder", SMALL, show_progress=False) / "pretrain.json"
    before = report.stat().st_mtime_ns
    pretrain(texts, tmp_path / "encoder", SMALL, show_progress=False)
    assert report.stat().st_mtime_ns == before
    pretrain(texts, tmp_path / "encoder", PretrainSettings(**{**vars(SMALL), "layers": 1}), show_progress=False)
    assert json.loads(report.read_text())["layers"] == 1


def test_a_folder_of_something_else_is_not_touched(texts, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        pretrain(texts, tmp_path, SMALL, show_progress=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hidden=10", "--heads=4"], "hidden must be a multiple of heads"),
        (["--epochs=0"], "epochs must be more than 0"),
        (["--news=elsewhere.tsv"], "expected the .news file of a dataset"),
        (["--news=dataset/none/none.news"], "no news texts"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "dataset" / "small"
    folder.mkdir(parents=True)
    (folder / "small.news").write_text("item_id\ttitle\tabstract\tbody\nn1\tSnow\t\tRain and snow\n")
    assert main(["--news=dataset/small/small.news", "--output=encoder", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "encoder").exists()
