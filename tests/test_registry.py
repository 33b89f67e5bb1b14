"""Names of models, for us and for RecBole's own tools."""

from __future__ import annotations

import sys

import pytest
import recbole.trainer
from recbole.utils import ModelType, get_model, get_trainer

from recbole_tinynews import InputError, register
from recbole_tinynews.registry import OUR_MODELS, model_names, resolve_model, resolve_trainer


@pytest.mark.parametrize("name", OUR_MODELS)
def test_our_models_come_first(name):
    assert resolve_model(name).__module__ == f"recbole_tinynews.model.{name.lower()}"


@pytest.mark.parametrize("name", ["Random", "BPR", "FM", "SASRec", "KGAT"])
def test_every_family_of_recbole_is_found(name):
    assert resolve_model(name) is get_model(name)
    assert model_names()[name] == get_model(name).__module__


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bpr", "did you mean BPR"),
        ("TinyNewsRek", "did you mean TinyNewsRec"),
        ("Zzzzz", "known are .*BPR.*TinyNewsRec"),
    ],
)
def test_an_unknown_name_is_told_with_close_matches(name, message):
    with pytest.raises(InputError, match=message):
        resolve_model(name)


def test_recbole_s_own_tools_find_our_models_after_register():
    register()
    for name in set(OUR_MODELS) - {"Pop"}:
        assert get_model(name) is resolve_model(name)
        ours = resolve_trainer(resolve_model(name))
        assert get_trainer(ModelType.SEQUENTIAL, name) is ours
        assert ours.__module__.startswith("recbole_tinynews.")
    assert get_model("Pop").__module__ == "recbole.model.general_recommender.pop"


def test_other_models_keep_the_trainer_that_recbole_picks():
    assert resolve_trainer(resolve_model("BPR")) is recbole.trainer.Trainer
    assert resolve_trainer(resolve_model("Pop")) is recbole.trainer.TraditionalTrainer


def test_recbole_s_quick_start_is_never_imported():
    model_names()
    assert "recbole.quick_start" not in sys.modules
    assert "ray" not in sys.modules
