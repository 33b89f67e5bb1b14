"""What a search varies, from a file in RecBole's form."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from recbole_tinynews.errors import InputError

__all__ = ["combinations", "read_space", "value_of"]

Space = dict[str, BaseDistribution]

_FORMS = "NAME choice [A,B,...], NAME uniform LOW,HIGH, NAME loguniform LN_LOW,LN_HIGH or NAME quniform LOW,HIGH,STEP"


def read_space(path: str | Path) -> Space:
    """Read a ``.hyper`` file.

    A line holds a setting's name (dots lead into a stage's own settings), a kind and its values: ``choice`` among a
    list, ``uniform`` and ``loguniform`` (bounds are natural logarithms) between two numbers, ``quniform`` in steps.
    Empty lines and those that start with ``#`` are skipped.

    Raises
    ------
    InputError
        If a line has another form.
    """
    space: Space = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(" ")
        kind, _, values = rest.strip().partition(" ")
        try:
            space[name] = _distribution(kind, values.strip())
        except (KeyError, SyntaxError, TypeError, ValueError):
            raise InputError(f"expected {_FORMS}", path=path, line=number) from None
    if not space:
        raise InputError("names nothing to vary", path=path)
    return space


def _distribution(kind: str, values: str) -> BaseDistribution:
    if kind == "choice":
        return CategoricalDistribution([repr(value) for value in ast.literal_eval(values)])
    numbers = [float(number) for number in values.split(",")]
    if kind == "quniform":
        low, high, step = numbers
        return FloatDistribution(low, high, step=step)
    low, high = numbers
    if kind == "loguniform":
        return FloatDistribution(math.exp(low), math.exp(high), log=True)
    return {"uniform": FloatDistribution}[kind](low, high)


def value_of(distribution: BaseDistribution, drawn: Any) -> Any:
    """Turn what was drawn into a setting's value: choices are kept as text, and whole steps are whole numbers."""
    if isinstance(distribution, CategoricalDistribution):
        return ast.literal_eval(drawn)
    step = getattr(distribution, "step", None)
    return int(drawn) if step and step == int(step) and drawn == int(drawn) else drawn


def combinations(space: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Return all combinations of a space.

    Raises
    ------
    InputError
        If something in it is not a choice.
    """
    choices = []
    for name, distribution in space.items():
        if not isinstance(distribution, CategoricalDistribution):
            raise InputError(f"an exhaustive search needs a choice for {name}; take --tool=random or --tool=bayes")
        choices.append(distribution.choices)
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*choices)]
