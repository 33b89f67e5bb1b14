"""Which runs a table or a figure needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from recbole_tinynews.errors import InputError

__all__ = ["Plan", "Row", "read_plan"]

_KEYS = {"title", "depths", "rows", "expected", "plot"}
_ROW_KEYS = {"name", "model", "depth", "settings", "sweep", "ours"}
_SWEEP_KEYS = {"key", "label", "values"}
_PLOTS = ("lines", "bars", "speed", None)


@dataclass(frozen=True)
class Row:
    """A system at one depth, or with one value of what is varied.

    Parameters
    ----------
    name : str
        Unique in the plan, as it stands in the report.
    system : str
        The name without its depth: what rows of several depths have in common.
    model : str
        Model as for ``run_recbole.py``.
    depth : int, optional
        Layers; None for a model that has no depth.
    settings : mapping
        Its own settings.
    ours : bool
        Whether it is compared with the best other system of its depth.
    x : float, optional
        Value of what a figure varies.
    x_label : str
        What that is.
    """

    name: str
    system: str
    model: str
    depth: int | None
    settings: Mapping[str, Any]
    ours: bool = False
    x: float | None = None
    x_label: str = ""


@dataclass(frozen=True)
class Plan:
    """A table or a figure.

    Parameters
    ----------
    name : str
        Stem of its file.
    title : str
        What it shows.
    rows : sequence of Row
        In the order of the report.
    expected : sequence of (str, str)
        Names of two rows, of which the paper reports the second to be at least as good.
    plot : {"lines", "bars", "speed"}, optional
        The figure; a table has none. ``speed`` trains nothing.
    """

    name: str
    title: str
    rows: Sequence[Row]
    expected: Sequence[tuple[str, str]] = field(default=())
    plot: str | None = None


def read_plan(path: Path, full_depth: int | None, depths: Sequence[int] = ()) -> Plan:
    """Read a plan from a yaml file; its form is told in ``docs/benchmark.md``.

    Parameters
    ----------
    path : Path
        The file.
    full_depth : int, optional
        Layers of the pre-trained encoder; None where no model has one.
    depths : sequence of int
        Layers of the students, instead of those that the file names.

    Raises
    ------
    InputError
        If it cannot be read or is not a plan.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except yaml.YAMLError as error:
        raise InputError(f"not yaml: {error}".splitlines()[0], path=path) from None
    _check_keys(content, "a plan", _KEYS, {"title", "rows"}, path)
    try:
        return _plan(content, path, full_depth, depths)
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"a value is not of the form that docs/benchmark.md shows ({error})", path=path) from None


def _plan(content: Mapping[str, Any], path: Path, full_depth: int | None, depths: Sequence[int]) -> Plan:
    if content.get("plot") not in _PLOTS:
        raise InputError(f"plot must be lines, bars or speed, not {content['plot']!r}", path=path)
    students = list(depths)
    if not students and full_depth:
        students = list(dict.fromkeys(math.ceil(Fraction(part) * full_depth) for part in content.get("depths", [])))
    if full_depth and (wrong := [depth for depth in students if not 1 <= depth <= full_depth]):
        raise InputError(f"the encoder has {full_depth} layers, a student cannot have {wrong[0]}")
    rows = [row for entry in content["rows"] for row in _rows(entry, full_depth, students, path)]
    names = {row.name for row in rows}
    if len(names) < len(rows):
        raise InputError("two rows have the same name", path=path)
    pairs, every_depth = content.get("expected", []), dict.fromkeys([full_depth, *students])
    for name in chain.from_iterable(pairs):
        if full_depth and names.isdisjoint(name.format(depth=depth) for depth in every_depth):
            raise InputError(f"expected: there is no row {name!r}", path=path)
    expected = [tuple(name.format(depth=depth) for name in pair) for pair in pairs for depth in every_depth]
    known = [(worse, better) for worse, better in dict.fromkeys(expected) if names.issuperset((worse, better))]
    return Plan(path.stem, content["title"], rows, known, content.get("plot"))


def _check_keys(content: Any, what: str, known: set[str], needed: set[str], path: Path) -> None:
    if not isinstance(content, dict):
        raise InputError(f"{what} consists of keys and values: {', '.join(sorted(known))}", path=path)
    if unknown := sorted(map(str, set(content) - known)):
        raise InputError(f"{what} has no key {unknown[0]!r}; it has {', '.join(sorted(known))}", path=path)
    if missing := sorted(key for key in needed if not content.get(key)):
        raise InputError(f"{what} needs {missing[0]}", path=path)


def _rows(entry: Mapping[str, Any], full_depth: int | None, students: Sequence[int], path: Path) -> list[Row]:
    _check_keys(entry, "a row", _ROW_KEYS, {"name", "model"}, path)
    where = {"full": [full_depth], "students": students, "both": [full_depth, *students], None: [None]}
    if entry.get("depth") not in where:
        raise InputError(f"depth must be full, students or both, not {entry['depth']!r}", path=path)
    system = entry["name"].replace("-{depth}", "")
    sweep = entry.get("sweep")
    if sweep is not None:
        _check_keys(sweep, "a sweep", _SWEEP_KEYS, _SWEEP_KEYS, path)
    rows = []
    for depth in dict.fromkeys(where[entry.get("depth")]):
        name, settings = entry["name"].format(depth=depth), dict(entry.get("settings", {}))
        row = Row(name, system, entry["model"], depth, settings, entry.get("ours", False))
        rows += [row] if sweep is None else [_at(row, sweep, value) for value in sweep["values"]]
    return rows


def _at(row: Row, sweep: Mapping[str, Any], value: float) -> Row:
    settings = {**row.settings, sweep["key"]: value}
    name = f"{row.name}, {sweep['label']} = {value:g}"
    return Row(name, row.system, row.model, row.depth, settings, row.ours, float(value), sweep["label"])
