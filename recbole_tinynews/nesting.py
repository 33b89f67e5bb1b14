"""Settings inside settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["merged", "nested"]

# The one key of these chooses among alternatives: given anew, it replaces the default and does not join it.
_WHOLE = frozenset({"split", "threshold"})


def merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Put one tree of settings over another; neither is changed.

    Examples
    --------
    >>> merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4})
    {'a': {'b': 1, 'c': 3}, 'd': 4}
    """
    result = dict(base)
    for key, value in top.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and key not in _WHOLE:
            result[key] = merged(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn {"a.b": 1} into {"a": {"b": 1}}."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        for part in reversed(str(key).split(".")):
            value = {part: value}
        result = merged(result, value)
    return result
