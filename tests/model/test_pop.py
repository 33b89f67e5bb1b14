"""Popularity counts each click of the training data once."""

from __future__ import annotations

from collections import Counter

import torch
from recbole.data import create_dataset
from recbole.data.interaction import Interaction

from recbole_tinynews import NewsConfig


def test_an_item_s_score_is_its_number_of_clicks(tiny):
    config = NewsConfig("Pop", "tiny", config_dict={"gpu_id": ""})
    dataset = create_dataset(config)
    dataset = dataset.build()[0]
    rows = (tiny / "tiny.inter").read_text().splitlines()[1:]
    clicks = Counter(row.split("\t")[1] for row in rows)
    expected = [clicks[item] for item in dataset.field2id_token["item_id"]]

    model = config.model_class(config, dataset)
    items = torch.arange(dataset.item_num)
    assert model.predict(Interaction({"item_id": items})).tolist() == expected
    everyone = Interaction({"user_id": torch.tensor([1, 2])})
    assert model.full_sort_predict(everyone).view(2, -1).tolist() == [expected, expected]
    assert max(expected) > 1
    assert 0 in expected[1:]


def test_training_changes_nothing(tiny):
    config = NewsConfig("Pop", "tiny", config_dict={"gpu_id": ""})
    dataset = create_dataset(config).build()[0]
    model = config.model_class(config, dataset)
    before = model.clicks.clone()
    loss = model.calculate_loss(dataset.inter_feat)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(model.clicks, before)
    assert sum(parameter.numel() for parameter in model.parameters()) == 0
