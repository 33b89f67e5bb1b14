"""Ids without clicks are those that RecBole gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recbole.data import create_dataset

from recbole_tinynews import NewsConfig
from recbole_tinynews.data.ids import id_dataset

DEMO = Path(__file__).parents[2] / "dataset"


def config_of(data_path="dataset", name="tiny", **settings):
    return NewsConfig("NRMS", name, config_dict={"data_path": str(data_path), "use_gpu": False, **settings})


def assert_as_recbole(config):
    ids, dataset = id_dataset(config), create_dataset(config)
    for field in (dataset.uid_field, dataset.iid_field):
        assert ids.field2id_token[field].tolist() == list(dataset.field2id_token[field])
        assert ids.field2token_id[field] == dataset.field2token_id[field]
        assert ids.num(field) == dataset.num(field)
    counts = np.bincount(dataset.inter_feat[dataset.iid_field], minlength=dataset.item_num)
    np.testing.assert_array_equal(ids.clicks, counts)


def test_numbers_and_counts_are_those_of_recbole_s_dataset(tiny, tmp_path):
    assert_as_recbole(config_of())
    demo = tmp_path / "copy" / "demo"
    demo.mkdir(parents=True)
    for suffix in ("inter", "item", "valid.imp"):
        (demo / f"demo.{suffix}").write_bytes((DEMO / "demo" / f"demo.{suffix}").read_bytes())
    assert_as_recbole(config_of(demo.parent, "demo"))


def test_the_ids_are_kept_until_a_file_changes(tiny):
    before = id_dataset(config_of())
    (cached,) = (tiny / ".cache").glob("ids-*")
    assert id_dataset(config_of()).field2token_id == before.field2token_id
    with (tiny / "tiny.inter").open("a") as file:
        file.write("new\tn3\t5000.0\n")
    after = id_dataset(config_of())
    assert after.user_num == before.user_num + 1
    assert after.clicks.sum() == before.clicks.sum() + 1
    assert [path != cached for path in (tiny / ".cache").glob("ids-*")] == [True]


@pytest.mark.parametrize(
    "settings",
    [{"user_inter_num_interval": "[5,inf)"}, {"val_interval": {"timestamp": "[0,9]"}}, {"rm_dup_inter": "first"}],
)
def test_where_recbole_would_leave_rows_out_it_is_asked(tiny, settings):
    assert id_dataset(config_of(**settings)) is None


@pytest.mark.parametrize("row", ["u1\tn99\t1.0", "NA\tn1\t1.0", "u1\t\t1.0", '"u1"\tn1\t1.0'])
def test_where_recbole_would_drop_or_change_a_row_it_is_asked(tiny, row):
    with (tiny / "tiny.inter").open("a") as file:
        file.write(row + "\n")
    assert id_dataset(config_of()) is None


def test_without_an_item_file_recbole_is_asked(tiny):
    (tiny / "tiny.item").unlink()
    assert id_dataset(config_of()) is None
