"""Points in time, from the notations of logs to unix seconds (UTC where no zone is given)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from dateutil.parser import isoparse

from recbole_tinynews.data.converters.bad_rows import Fault

__all__ = ["MIND_TIME", "parse_times", "time_parser"]

MIND_TIME = "mind"
_MIND_FIELDS = r"^(?P<day>\d{1,2}/\d{1,2}/\d{4}) (?P<h>1[0-2]|0?[1-9]):(?P<m>[0-5]\d):(?P<s>[0-5]\d) (?P<half>[AP])M$"
_NUMBER = re.compile(r"\d{1,19}(\.\d*)?", re.ASCII)
_MILLISECONDS = 1e11  # as seconds this is the year 5138, as milliseconds 1973


def time_parser(notation: str = "auto") -> Callable[[str], float]:
    """Return a function from text to unix seconds that raises ValueError on anything else.

    Parameters
    ----------
    notation : str, default "auto"
        ``mind`` (``11/11/2019 9:05:58 AM``), ``auto`` (unix seconds, milli-, micro- or nanoseconds, ISO 8601 or
        ``mind``) or a pattern of ``strptime`` such as ``%d.%m.%Y %H:%M``.

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


def parse_times(texts: pa.Array, notation: str = "auto") -> tuple[np.ndarray, Fault]:
    """Unix seconds of each text, and those where `time_parser` would raise, which are NaN.

    Examples
    --------
    >>> times, fault = parse_times(pa.array(["1/1/1970 12:00:07 AM", "soon"]))
    >>> times.tolist(), fault.rows.tolist()
    ([7.0, nan], [False, True])
    """
    times = _times(texts, notation)

    def message(row: int) -> str:
        text = texts[row].as_py()
        try:
            return f"bad date {text!r} ({time_parser(notation)(text)})"
        except (ValueError, OverflowError) as error:
            return f"bad date {text!r} ({error})"

    return times, Fault("bad date", ~np.isfinite(times), message)


def _times(texts: pa.Array, notation: str) -> np.ndarray:
    times = np.full(len(texts), np.nan)
    if notation in (MIND_TIME, "auto"):
        # a log has millions of them, and one by one they take a quarter of the time of a conversion
        fields = pc.extract_regex(texts, pattern=_MIND_FIELDS)
        found = np.flatnonzero(fields.is_valid().to_numpy(zero_copy_only=False))
        times[found] = _mind_times(fields.drop_null())
        if len(found) == len(texts):
            return times
    parse = time_parser(notation)
    rest = np.flatnonzero(np.isnan(times))
    encoded = pc.dictionary_encode(texts.take(pa.array(rest)))
    known = np.array([_or_nan(parse, text) for text in encoded.dictionary.to_pylist()], dtype=np.float64)
    times[rest] = known[encoded.indices.to_numpy()]
    return times


def _mind_times(fields: pa.StructArray) -> np.ndarray:
    days = pc.dictionary_encode(fields.field("day"))
    midnights = np.array([_or_nan(_midnight, day) for day in days.dictionary.to_pylist()])
    hour, minute, second = (fields.field(name).cast(pa.int64()).to_numpy() for name in "hms")
    hour = hour % 12 + 12 * pc.equal(fields.field("half"), "P").to_numpy(zero_copy_only=False)
    return midnights[days.indices.to_numpy()] + hour * 3600 + minute * 60 + second


def _or_nan(parse: Callable[[str], float], text: str) -> float:
    try:
        return parse(text)
    except (ValueError, OverflowError):
        return np.nan


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _midnight(day: str) -> float:
    return _seconds(datetime.strptime(day, "%m/%d/%Y"))


def _mind(text: str) -> float:
    return _seconds(datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p"))


def _auto(text: str) -> float:
    if _NUMBER.fullmatch(text):
        number = float(text)
        while number >= _MILLISECONDS:  # or micro-, or nanoseconds
            number /= 1000
        return number
    return _mind(text) if "/" in text else _seconds(isoparse(text))
