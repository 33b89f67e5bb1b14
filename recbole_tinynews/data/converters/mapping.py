"""Which column of a user's log means what: the yaml of ``convert feeds``."""

from __future__ import annotations

import difflib
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from recbole_tinynews.data.converters.cells import Column
from recbole_tinynews.data.converters.times import time_parser
from recbole_tinynews.errors import InputError

__all__ = ["FeedsMapping", "ImpressionColumns", "NewsColumns", "SplitRule"]

T = TypeVar("T")

_AS_THE_PAPER = {"test_last_days": 7, "valid_share": 0.2}  # how it splits Feeds


@dataclass(frozen=True)
class NewsColumns:
    """Columns of the news table; the keys of ``news:`` in properties/dataset/feeds.yaml, which explains them."""

    item_id: Column
    title: Column
    category: Column = None
    subcategory: Column = None
    abstract: Column = None
    body: Column = None
    separator: str | None = None
    header: bool = True
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class ImpressionColumns:
    """Columns of the impression log; the keys of ``impressions:`` in properties/dataset/feeds.yaml."""

    user_id: Column
    timestamp: Column
    impression_id: Column = None
    history: Column = None
    candidates: Column = None
    clicked: Column = None
    shown: Column = None
    item: Column = None
    label: Column = None
    history_length: int | None = None
    time_format: str = "auto"
    list_separator: str = " "
    label_separator: str = "-"
    separator: str | None = None
    header: bool = True
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        shapes = [("candidates",), ("clicked", "shown"), ("item", "label")]
        given = [name for shape in shapes for name in shape if getattr(self, name) is not None]
        if tuple(given) not in shapes:
            found = " and ".join(given) or "none of them"
            raise InputError(f"give either candidates, or clicked and shown, or item and label; found {found}")


@dataclass(frozen=True)
class SplitRule:
    """How a log is split; the keys of ``split:`` in properties/dataset/feeds.yaml, which explains them."""

    test_last_days: float | None = None
    test_from: Any = None
    valid_from: Any = None
    valid_share: float | None = None
    seed: int = 2020

    def __post_init__(self) -> None:
        if self.test_last_days is not None and self.test_from is not None:
            raise InputError("give either test_last_days or test_from")
        if self.valid_share is not None and self.valid_from is not None:
            raise InputError("give either valid_share or valid_from")
        if self.test_last_days is not None and not _is_number(self.test_last_days, 0, float("inf")):
            raise InputError(f"test_last_days must be a number of days, found {self.test_last_days!r}")
        if self.valid_share is not None and not _is_number(self.valid_share, 0, 1):
            raise InputError(f"valid_share must be between 0 and 1, found {self.valid_share!r}")
        if not isinstance(self.seed, int):
            raise InputError(f"seed must be a whole number, found {self.seed!r}")

    def test_start(self, last: float) -> float:
        """First moment of the test split in a log whose last impression is at ``last``."""
        if self.test_last_days is not None:
            # just behind the moment that lies exactly so many days before the last one
            return math.nextafter(last - self.test_last_days * 86_400, math.inf)
        return _moment(self.test_from, "test_from")

    def valid_start(self) -> float:
        """First moment of validation, if a date says it."""
        return _moment(self.valid_from, "valid_from")


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low < value < high


def _moment(value: Any, name: str) -> float:
    if value is None:
        return math.inf
    try:
        # yaml makes dates of what looks like one; their str is ISO 8601 again
        return time_parser()(str(value))
    except ValueError as error:
        raise InputError(f"{name}: bad date {str(value)!r} ({error})") from error


@dataclass(frozen=True)
class FeedsMapping:
    """The whole yaml file."""

    news: NewsColumns
    impressions: ImpressionColumns
    split: SplitRule

    @classmethod
    def load(cls, path: str | Path) -> FeedsMapping:
        """Read the yaml file.

        Raises
        ------
        InputError
            If it is no yaml, or a key is unknown or missing.
        """
        try:
            content: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError(f"cannot be read as yaml ({' '.join(str(error).split())})", path) from error
        try:
            if isinstance(content, dict):
                content = {"split": _AS_THE_PAPER, **content}
            sections = _fill(cls, content, "the file")
            return cls(
                _fill(NewsColumns, sections.news, "news"),
                _fill(ImpressionColumns, sections.impressions, "impressions"),
                _fill(SplitRule, sections.split, "split"),
            )
        except InputError as error:
            raise InputError(str(error), path) from error


def _fill(kind: type[T], values: Any, section: str) -> T:
    names = [f.name for f in fields(kind) if f.name != "widths"]  # type: ignore[arg-type]
    if not isinstance(values, dict):
        raise InputError(f"{section}: expected keys and values, one of {', '.join(names)}")
    for key in values:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"
            raise InputError(f"{section}: unknown key {key!r}{hint}")
        if key.endswith("separator") and not (isinstance(values[key], str | None) and values[key] != ""):
            raise InputError(f"{section}: {key} must be text in quotes, such as ','")
        if key == "separator" and len(values[key] or ",") > 1:
            raise InputError(f"{section}: separator must be one character, found {values[key]!r}")
    given = {key: value for key, value in values.items() if value is not None}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.default is MISSING and field.default_factory is MISSING and field.name not in given:
            raise InputError(f"{section}: {field.name} is missing")
    try:
        return kind(**given)
    except (InputError, TypeError) as error:
        raise InputError(f"{section}: {error}") from error
