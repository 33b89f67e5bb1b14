"""Tiny-NewsRec as a plugin of RecBole: PLM-based news recommendation and its distillation."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from recbole_tinynews.errors import InputError

__all__ = ["InputError", "NewsConfig", "NewsRanker", "Recommender", "__version__", "register", "run"]

__version__ = "0.1.0"

if find_spec("recbole") is None:
    raise ImportError(
        "recbole_tinynews needs RecBole 1.2.1. Type:\n"
        "  pip install recbole==1.2.1              (Python 3.10 and 3.11)\n"
        "  pip install --no-deps recbole==1.2.1    (Python 3.12 and later, where its 'ray' has no wheel)"
    )

# Loaded on first use: a converter starts without torch and RecBole.
_HOMES = {
    "NewsConfig": "config",
    "NewsRanker": "serving",
    "Recommender": "recommender",
    "register": "registry",
    "run": "quick_start",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
