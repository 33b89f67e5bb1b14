"""From a config to untrained networks."""

from __future__ import annotations

import pytest
import torch

from recbole_tinynews import InputError
from recbole_tinynews.model import build
from recbole_tinynews.model.build import build_click_model, build_encoder, choose_precision
from tests.plm_fixtures import HIDDEN, LAYERS

CPU = torch.device("cpu")


@pytest.fixture
def config(plm_folder):
    return {
        "plm": str(plm_folder), "dropout": 0.3, "news_dim": 6, "query_dim": 5, "precision": "float32",
        "max_tokens": 100, "memory_gb": 0.5, "compile": False, "device": CPU,
    }  # fmt: skip


def test_an_encoder_is_built_as_the_config_says(config):
    encoder = build_encoder(config, 3, 1)
    assert len(encoder.plm.layers) == 3
    assert encoder.plm.num_frozen == 2
    assert (encoder.dense.in_features, encoder.dense.out_features) == (HIDDEN, 6)
    assert (encoder.precision, encoder.max_tokens, encoder.memory_gb) == ("float32", 100, 0.5)
    assert {m.p for m in encoder.modules() if isinstance(m, torch.nn.Dropout)} == {0.3}


def test_a_click_model_has_attention_over_tokens_and_over_clicks_of_the_same_query_size(config):
    model = build_click_model(config, None, 2)
    assert len(model.news_encoder.plm.layers) == LAYERS
    assert model.news_encoder.pooling.projection.weight.shape == (5, HIDDEN)
    assert model.user_encoder.projection.weight.shape == (5, 6)


def test_a_run_without_an_encoder_is_told_how_to_name_one(config):
    with pytest.raises(InputError, match="--plm="):
        build_encoder(config | {"plm": None}, None, 1)


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(wanted):
    assert choose_precision(wanted, CPU) == wanted


@pytest.mark.parametrize(
    ("avx", "amx", "chosen"),
    [(False, False, "float32"), (True, False, "bfloat16"), (False, True, "bfloat16")],
)
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, avx, amx, chosen):
    monkeypatch.setattr(build.torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(build.torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert choose_precision("auto", CPU) == chosen


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision must be auto, float32 or bfloat16, not 'half'"):
        choose_precision("half", CPU)
