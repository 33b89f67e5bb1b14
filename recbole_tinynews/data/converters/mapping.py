"""Which column of a user's log means what: the yaml of ``convert feeds``."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from recbole_tinynews.data.converters.tables import Column
from recbole_tinynews.data.converters.times import time_parser
from recbole_tinynews.errors import InputError

__all__ = ["FeedsMapping", "ImpressionColumns", "NewsColumns", "SplitDates"]

T = TypeVar("T")


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
    time_format: str = "auto"
    list_separator: str = " "
    label_separator: str = "-"
    separator: str | None = None
    header: bool = True
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        ways = (self.candidates,), (self.clicked, self.shown), (self.item, self.label)
        given = [way for way in ways if any(column is not None for column in way)]
        if len(given) != 1 or None in given[0]:
            raise InputError("give either candidates, or both clicked and shown, or both item and label")


@dataclass(frozen=True)
class SplitDates:
    """How a log that is not split into files is split; the keys of ``split:`` in properties/dataset/feeds.yaml."""

    valid_from: Any = None
    test_from: Any = None
    test_days: float | None = None
    valid_share: float | None = None
    seed: int = 2020

    def __post_init__(self) -> None:
        for name, most in (("test_days", float("inf")), ("valid_share", 1.0)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and 0 < value < most):
                raise InputError(f"split: {name} must be a number above 0" + (" and below 1" if most == 1 else ""))
        if (self.valid_from is None) == (self.valid_share is None) and self.test_days is not None:
            raise InputError("split: test_days needs valid_share or valid_from")
        if None not in (self.valid_from, self.valid_share) or None not in (self.test_from, self.test_days):
            raise InputError("split: give valid_from or valid_share, and test_from or test_days")

    @property
    def given(self) -> bool:
        """Whether it says where validation comes from."""
        return self.valid_from is not None or self.valid_share is not None

    def rule(self, last: float = 0.0) -> Callable[[float], str]:
        """Return the function from the time of an impression to its split, given the time of the last one.

        With ``valid_share`` the impressions that are validation's are drawn anew by each such function, the same ones.
        """
        valid, test = (self._seconds(moment) for moment in (self.valid_from, self.test_from))
        if self.test_days is not None:
            test = last - self.test_days * 86400
        if self.valid_share is not None:
            draw = random.Random(self.seed).random
            share = self.valid_share
            return lambda time: "test" if time >= test else "valid" if draw() < share else "train"
        if valid >= test and test < float("inf"):
            raise InputError("split: valid_from must be before test_from")
        return lambda time: "test" if time >= test else "valid" if time >= valid else "train"

    @staticmethod
    def _seconds(moment: Any) -> float:
        if moment is None:
            return float("inf")
        try:
            # yaml makes dates of what looks like one; their str is ISO 8601 again
            return time_parser()(str(moment))
        except ValueError as error:
            raise InputError(f"split: bad date {str(moment)!r} ({error})") from error


@dataclass(frozen=True)
class FeedsMapping:
    """The whole yaml file."""

    news: NewsColumns
    impressions: ImpressionColumns
    split: SplitDates

    @classmethod
    def load(cls, path: str | Path) -> FeedsMapping:
        """Read the yaml file.

        Raises
        ------
        InputError
            If it is no yaml, or a key is unknown or missing.
        """
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError(f"cannot be read as yaml ({' '.join(str(error).split())})", path) from error
        try:
            sections = _fill(cls, {"split": {}, **content} if isinstance(content, dict) else content, "the file")
            return cls(
                _fill(NewsColumns, sections.news, "news"),
                _fill(ImpressionColumns, sections.impressions, "impressions"),
                _fill(SplitDates, sections.split, "split"),
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
    try:
        return kind(**{key: value for key, value in values.items() if value is not None})
    except TypeError as error:
        raise InputError(f"{section}: {str(error).split('.__init__() ')[-1]}") from error
