"""RecBole's trainers on impressions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.data import create_dataset
from recbole.trainer import Trainer

from recbole_tinynews import InputError, NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.evaluator import impression_metrics
from recbole_tinynews.trainer.impression_trainer import impression_trainer


@pytest.fixture
def run(tiny):
    config = NewsConfig("BPR", "tiny", config_dict={"gpu_id": "", "epochs": 1})
    dataset = create_dataset(config)
    model = config.model_class(config, dataset)
    return impression_trainer(Trainer)(config, model, dataset), load_impressions(dataset, "valid")


def test_evaluation_gives_the_metrics_of_the_model_s_scores(run):
    trainer, log = run
    embedding = trainer.model.state_dict()
    users, items = embedding["user_embedding.weight"].numpy(), embedding["item_embedding.weight"].numpy()
    scores = np.concatenate([items[log.candidates[row]] @ users[user] for row, user in enumerate(log.users)])
    expected = impression_metrics(scores, log.labels, log.candidates.offsets)
    assert trainer.evaluate(log, load_best_model=False) == pytest.approx(expected, abs=1e-6)


def test_the_best_checkpoint_is_loaded_before_the_test(run):
    trainer, log = run
    trainer._save_checkpoint(0, verbose=False)
    expected = trainer.evaluate(log, load_best_model=False)
    saved = trainer.model.user_embedding.weight.detach().clone()
    torch.nn.init.normal_(trainer.model.user_embedding.weight)
    assert trainer.evaluate(log, load_best_model=False) != expected
    assert trainer.evaluate(log) == expected
    torch.testing.assert_close(trainer.model.user_embedding.weight.detach(), saved)


def test_without_impressions_there_is_no_result(run):
    assert run[0].evaluate(None) is None


def test_impressions_that_cannot_be_evaluated_are_refused(run):
    trainer, log = run
    one_class = ImpressionLog(
        log.impression_ids, log.users, log.times, log.history, log.candidates, np.zeros_like(log.labels)
    )
    with pytest.raises(InputError, match="no impression has both a clicked and a not-clicked candidate"):
        trainer.evaluate(one_class, load_best_model=False)
