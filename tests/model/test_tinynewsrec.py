"""The student as a RecBole model."""

from __future__ import annotations

import pytest
from recbole.data import create_dataset

from recbole_tinynews import NewsConfig
from recbole_tinynews.model.plm_model import PLMModel
from recbole_tinynews.model.tinynewsrec import TinyNewsRec
from tests.plm_fixtures import HIDDEN, TINYNEWSREC_SETTINGS, VOCABULARY


def build(news, **settings):
    config = NewsConfig("TinyNewsRec", "tiny", config_dict=TINYNEWSREC_SETTINGS | news | settings)
    return TinyNewsRec(config, create_dataset(config))


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_network_is_of_the_students_depth(news, layers):
    model = build(news, student_layers=layers)
    assert isinstance(model, PLMModel)
    assert len(model.click_model.news_encoder.plm.layers) == layers
    assert model.click_model.news_encoder.plm.num_frozen == max(0, layers - 2)


def test_the_number_of_parameters_is_that_of_its_parts_without_a_pooler(news):
    per_layer = 4 * (HIDDEN * HIDDEN + HIDDEN) + 2 * HIDDEN * 24 + 24 + HIDDEN + 4 * HIDDEN
    embeddings = (VOCABULARY + 80 + 2) * HIDDEN + 2 * HIDDEN
    attention = {dim: dim * 5 + 5 + 5 + 1 for dim in (HIDDEN, 8)}
    expected = embeddings + 2 * per_layer + sum(attention.values()) + HIDDEN * 8 + 8
    assert sum(p.numel() for p in build(news).parameters()) == expected
