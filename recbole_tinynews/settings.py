"""Names and values that the settings of our models can have; their meaning stands in ``properties/model/``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recbole_tinynews.errors import InputError

__all__ = ["CLICK_KEYS", "CLICK_STAGES", "OWN_CLICK_KEYS", "check_kinds", "check_values"]

CLICK_STAGES = frozenset({"teacher", "stage2", "distillation", "joint"})
CLICK_KEYS = (
    "epochs", "train_batch_size", "learning_rate", "plm_learning_rate", "trained_layers", "num_negatives",
    "group_by_user", "reuse_steps", "history_length", "valid_metric",
)  # fmt: skip
OWN_CLICK_KEYS = frozenset(CLICK_KEYS) - {"history_length", "valid_metric"}  # a stage may differ from the run in these

_MAY_BE_NONE = frozenset({"layers", "teacher_layers", "memory_gb", "max_tokens", "frozen_cache_gb", "frozen_disk_gb"})
_LEAST_WHOLE = {
    **dict.fromkeys(("epochs", "trained_layers", "reuse_steps"), 0),
    **dict.fromkeys(("layers", "teacher_layers", "student_layers", "num_teachers", "num_post_trained", "nproc"), 1),
    "matched_layers": 0,
    **dict.fromkeys(("news_dim", "query_dim", "history_length", "num_negatives", "train_batch_size", "max_tokens"), 1),
    **dict.fromkeys(("heads", "head_dim", "filters", "window", "vocabulary", "word_dim", "category_dim"), 1),
    **dict.fromkeys(("title_length", "body_length"), 3),  # [CLS], a word piece, [SEP]
}
_NOT_NEGATIVE = (
    "learning_rate", "plm_learning_rate", "frozen_cache_gb", "frozen_disk_gb", "save_seconds",
    "distill_weight", "embedding_weight", "layer_weight", "target_weight", "momentum",
)  # fmt: skip
_SHARE = ("user_dropout", "dropout")
_POSITIVE = ("temperature", "memory_gb")
_ONE_OF = {
    "precision": ("auto", "float32", "bfloat16"),
    "pretraining": ("none", "mlm", "matching"),
    "layer_loss": ("tinybert", "distilbert", "pkd"),
    "match": ("last", "skip"),
}


def check_kinds(settings: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse words where the default is a number or a truth value; ``prefix`` stands before the names told."""
    for key, default in defaults.items():
        value = settings.get(key)
        if isinstance(default, dict) and isinstance(value, dict):
            check_kinds(value, default, f"{prefix}{key}.")
        elif isinstance(default, (bool, int, float)) and isinstance(value, str):
            kind = "True or False" if isinstance(default, bool) else "a number"
            raise InputError(f"{prefix}{key} must be {kind}, not {value!r}")


def check_values(settings: Mapping[str, Any], stages: Iterable[str]) -> None:
    """Refuse what would fail after hours, or do something that nobody meant.

    Parameters
    ----------
    settings : mapping
        All settings of a run.
    stages : iterable of str
        Keys that hold a stage's own settings.

    Raises
    ------
    InputError
        If a value is of the wrong kind or too small.
    """
    _check(settings)
    for stage in stages:
        if not isinstance(settings[stage], dict):
            raise InputError(f"{stage} holds settings of its own, such as {stage}.epochs; found {settings[stage]!r}")
        _check(settings[stage], f"{stage}.")


def _check(settings: Mapping[str, Any], prefix: str = "") -> None:
    for key, value in settings.items():
        name = prefix + key
        if value is None and key in _MAY_BE_NONE:
            continue
        if key in _LEAST_WHOLE:
            least = _LEAST_WHOLE[key]
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} must be a whole number, {least} or more, not {value!r}")
        elif key in _NOT_NEGATIVE and not (_is_number(value) and value >= 0):
            raise InputError(f"{name} must be a number, 0 or more, not {value!r}")
        elif key in _ONE_OF and value not in _ONE_OF[key]:
            raise InputError(f"{name} must be one of {', '.join(_ONE_OF[key])}, not {value!r}")
        elif key in _SHARE and not (_is_number(value) and 0 <= value < 1):
            raise InputError(f"{name} must be a number from 0 to below 1, not {value!r}")
        elif key in _POSITIVE and not (_is_number(value) and value > 0):
            raise InputError(f"{name} must be a number above 0, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
