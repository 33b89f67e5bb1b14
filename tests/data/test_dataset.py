"""From a RecBole dataset to its impressions."""

from __future__ import annotations

import os

import numpy as np
import pytest
from recbole.data import create_dataset

from recbole_tinynews import InputError, NewsConfig
from recbole_tinynews.data.dataset import cache_folder, has_impressions, load_impressions
from tests.tiny_dataset import write_dataset


@pytest.fixture
def dataset(tiny):
    return create_dataset(NewsConfig("Pop", "tiny"))


def test_impressions_are_in_the_ids_of_recboles_dataset(tiny, dataset):
    log = load_impressions(dataset, "valid")
    rows = [line.split("\t") for line in (tiny / "tiny.valid.imp").read_text().splitlines()[1:]]
    names = dataset.field2id_token["item_id"]
    for number, row in enumerate(rows):
        assert log.impression_ids[number] == row[0]
        assert dataset.id2token("user_id", log.users[number]) == (row[1] if row[1] != "u99" else "[PAD]")
        assert " ".join(names[log.history[number]]) == row[3]
        assert " ".join(names[log.candidates[number]]) == row[4]


def test_a_user_without_a_click_in_the_dataset_is_zero(dataset):
    log = load_impressions(dataset, "train")
    assert log.impression_ids[log.users == 0].tolist() == ["train-5"]


def test_every_news_of_the_item_file_has_an_id_clicked_or_not(dataset):
    assert np.unique(load_impressions(dataset, "test").candidates.values).max() > 20


def test_the_second_start_uses_the_cache_in_the_datasets_folder(tiny, dataset):
    first, second = load_impressions(dataset, "test"), load_impressions(dataset, "test")
    assert isinstance(second.labels, np.memmap)
    assert first.key == second.key
    assert [path.name.split("-")[0] for path in (tiny / ".cache").iterdir()] == ["tiny.test.imp"]


def test_a_split_without_a_file_is_none(tiny, dataset):
    (tiny / "tiny.train.imp").unlink()
    assert load_impressions(dataset, "train") is None


def test_a_news_that_the_dataset_lacks_is_refused(tiny, dataset):
    with (tiny / "tiny.test.imp").open("a") as file:
        file.write("x\tu1\t1.0\tn1\tn1 n77\t0 1\n")
    with pytest.raises(InputError, match=r"tiny\.test\.imp:27: news 'n77'"):
        load_impressions(dataset, "test")


@pytest.mark.parametrize(
    ("splits", "expected"), [(("valid",), True), (("test",), True), (("train",), False), ((), False)]
)
def test_a_dataset_has_impressions_if_there_are_any_to_evaluate_on(tmp_path, splits, expected):
    assert has_impressions(write_dataset(tmp_path, splits=splits)) is expected
    assert not has_impressions(tmp_path / "nowhere")


def test_what_is_read_of_a_read_only_dataset_is_kept_in_the_users_own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    (tmp_path / "mine").mkdir()
    assert cache_folder(tmp_path / "mine") == tmp_path / "mine" / ".cache"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    own = [cache_folder(tmp_path / name) for name in ("mine", "gone")]
    assert all(folder.is_dir() and folder.parent == tmp_path / "home" / "recbole_tinynews" for folder in own)
    assert own[0] != own[1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="what is read from the dataset cannot be written"):
        cache_folder(tmp_path / "mine")
