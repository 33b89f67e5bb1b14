"""RecBole on today's libraries."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import recbole.trainer.trainer
import torch
from recbole.evaluator.collector import Collector
from scipy.sparse import dok_matrix

import recbole_tinynews.compat  # noqa: F401
from recbole_tinynews import NewsConfig


def test_numpy_has_the_names_that_recbole_reads():
    assert vars(np)["float_"] is np.float64
    assert vars(np)["unicode_"] is np.str_


def test_a_dok_matrix_takes_entries_at_once():
    matrix = dok_matrix((2, 2), dtype=np.float32)
    matrix._update({(0, 1): 3.0})
    np.testing.assert_array_equal(matrix.toarray(), [[0, 3], [0, 0]])


def test_recbole_s_trainer_reads_checkpoints_that_hold_a_config_and_nothing_else_does(tmp_path):
    config = NewsConfig("BPR", "ml-100k", config_dict={"gpu_id": ""})
    path = tmp_path / "checkpoint.pth"
    torch.save({"config": config}, path)
    assert recbole.trainer.trainer.torch.load(path)["config"]["model"] == "BPR"
    assert recbole.trainer.trainer.torch.nn is torch.nn
    with pytest.raises(Exception, match="weights_only"):
        torch.load(path)


def test_the_collector_keeps_numbers_that_are_no_tensors():
    config = NewsConfig("BPR", "ml-100k", config_dict={"gpu_id": "", "metrics": ["ItemCoverage"]})
    collector = Collector(config)
    collector.data_struct.set("data.num_items", 9)
    collector.data_struct.set("rec.items", torch.tensor([[1]]))
    for _ in range(2):  # a number of the data stays, a result is handed out once
        struct = collector.get_data_struct()
        assert struct.get("data.num_items") == 9
    assert "rec.items" not in struct


def test_no_model_of_recbole_slows_every_backward_pass():
    code = """
import recbole_tinynews.compat, torch
from recbole_tinynews.registry import model_names
model_names()
print(torch.is_anomaly_enabled())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
