"""Points in time, from the notations of logs to unix seconds (UTC where no zone is given)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache

__all__ = ["MIND_TIME", "midnight", "time_parser"]

MIND_TIME = "mind"
_MIND = re.compile(r"(\d{1,2}/\d{1,2}/\d{4}) (\d{1,2}):(\d\d):(\d\d) ([AP])M", re.ASCII)
_NUMBER = re.compile(r"\d{1,16}(\.\d*)?", re.ASCII)
_MILLISECONDS = 1e11  # as seconds this is the year 5138, as milliseconds 1973


def time_parser(notation: str = "auto") -> Callable[[str], float]:
    """Return a function from text to unix seconds that raises ValueError on anything else.

    Parameters
    ----------
    notation : str, default "auto"
        ``mind`` (``11/11/2019 9:05:58 AM``), ``auto`` (unix seconds or milliseconds, ISO 8601 or ``mind``) or
        a pattern of ``strptime`` such as ``%d.%m.%Y %H:%M``.

    Examples
    --------
    >>> time_parser("mind")("1/1/1970 12:00:07 AM"), time_parser()("1970-01-02 00:00")
    (7.0, 86400.0)
    """
    if notation == MIND_TIME:
        return _mind
    if notation == "auto":
        return _auto
    return lambda text: _seconds(datetime.strptime(text, notation))


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@lru_cache(maxsize=4096)
def midnight(day: str) -> float:
    """Unix seconds of the start of a day such as 11/9/2019."""
    return _seconds(datetime.strptime(day, "%m/%d/%Y"))


def _mind(text: str) -> float:
    # strptime takes 10 times as long, and logs have millions of rows
    match = _MIND.fullmatch(text)
    if match is None:
        raise ValueError("expected something like 11/11/2019 9:05:58 AM")
    day, half = match[1], match[5]
    hour, minute, second = int(match[2]), int(match[3]), int(match[4])
    if not (1 <= hour <= 12 and minute < 60 and second < 60):
        raise ValueError("no such time of day")
    return midnight(day) + (hour % 12 + 12 * (half == "P")) * 3600 + minute * 60 + second


def _auto(text: str) -> float:
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number / 1000 if number >= _MILLISECONDS else number
    if "/" in text:
        return _mind(text)
    # Python 3.10 knows no Z
    return _seconds(datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text))
