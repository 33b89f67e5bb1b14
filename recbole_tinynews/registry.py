"""Models by name: ours first, then every model of RecBole."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from difflib import get_close_matches
from importlib.util import find_spec

import recbole.model
import recbole.trainer
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_trainer

import recbole_tinynews.compat  # noqa: F401
from recbole_tinynews.errors import InputError

__all__ = ["OUR_MODELS", "model_names", "register", "resolve_model", "resolve_trainer"]

OUR_MODELS = ("PLMNR", "TinyNewsRec", "TinyBERT", "NewsBERT", "NRMS", "NAML", "LSTUR", "Pop")

_GENERAL = "recbole.model.general_recommender"


def resolve_model(name: str) -> type[AbstractRecommender]:
    """Find a model class by its name.

    Parameters
    ----------
    name : str
        One of ours, or any of RecBole's.

    Raises
    ------
    InputError
        If there is no such model, with the names that come close.

    Examples
    --------
    >>> resolve_model("BPR").__module__
    'recbole.model.general_recommender.bpr'
    >>> resolve_model("Pop").__module__
    'recbole_tinynews.model.pop'
    """
    if name in OUR_MODELS:
        return getattr(importlib.import_module(f"recbole_tinynews.model.{name.lower()}"), name)
    names = model_names()
    if name not in names:
        by_lower_case = {known.lower(): known for known in names}
        close = [by_lower_case[match] for match in get_close_matches(name.lower(), by_lower_case, n=3)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(names))}"
        raise InputError(f"there is no model {name!r}: {hint}")
    return getattr(importlib.import_module(names[name]), name)


def resolve_trainer(model: type[AbstractRecommender]) -> type:
    """Find the trainer of a model: ours for its class or one that it inherits from, or the one that RecBole picks."""
    ours = importlib.import_module("recbole_tinynews.trainer")
    of_classes = (getattr(ours, f"{cls.__name__}Trainer", None) for cls in model.__mro__)
    return next(filter(None, of_classes), None) or get_trainer(model.type, model.__name__)


def model_names() -> dict[str, str]:
    """Map the name of each model that can be used here to its module.

    Models that need a package which is not installed (lightgbm, xgboost) are left out.
    """
    names = {}
    for family in pkgutil.iter_modules(recbole.model.__path__, "recbole.model."):
        if not family.ispkg or (family.name.endswith("exlib_recommender") and not _has_tree_packages()):
            continue
        for name, member in vars(importlib.import_module(family.name)).items():
            if isinstance(member, type) and issubclass(member, AbstractRecommender):
                names[name] = member.__module__
    return names | {name: f"recbole_tinynews.model.{name.lower()}" for name in OUR_MODELS}


def register() -> None:
    """Let RecBole's own tools find our models and trainers by name.

    Their settings are those of `NewsConfig`, since RecBole's Config does not read our properties. A name that RecBole
    has already (Pop) stays RecBole's there.
    """
    for name in OUR_MODELS:
        home = f"{_GENERAL}.{name.lower()}"
        if find_spec(home) is None:
            sys.modules[home] = importlib.import_module(f"recbole_tinynews.model.{name.lower()}")
        trainer = resolve_trainer(resolve_model(name))
        if trainer.__module__.startswith("recbole_tinynews"):
            setattr(recbole.trainer, f"{name}Trainer", trainer)


def _has_tree_packages() -> bool:
    return find_spec("lightgbm") is not None and find_spec("xgboost") is not None
