import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_tinynews.data.converters.times import time_parser

NOON = calendar.timegm((2019, 11, 11, 12, 0, 0))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("11/11/2019 12:00:00 PM", NOON),
        ("11/11/2019 12:00:00 AM", NOON - 12 * 3600),
        ("11/11/2019 12:59:59 AM", NOON - 12 * 3600 + 59 * 60 + 59),
        ("11/11/2019 9:05:58 AM", NOON - 3 * 3600 + 5 * 60 + 58),
        ("11/11/2019 11:00:00 PM", NOON + 11 * 3600),
    ],
)
def test_mind_times_are_twelve_hour_utc(text, seconds):
    assert time_parser("mind")(text) == seconds
    assert time_parser()(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        str(NOON),
        f"{NOON}.0",
        f"{NOON}000",
        f"{NOON}000000",
        f"{NOON}000000000",
        "20191111T120000",
        "2019-11-11T12:00:00.0",
        "2019-11-11T12:00:00.0000000",
        "2019-11-11 12:00:00",
        "2019-11-11T12:00:00Z",
        "2019-11-11T13:00:00+01:00",
    ],
)
def test_usual_notations_are_told_apart(text):
    assert time_parser()(text) == NOON


def test_a_pattern_is_followed():
    assert time_parser("%d.%m.%Y %H:%M")("11.11.2019 12:00") == NOON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "nan",
        "inf",
        "-5",
        "1e9",
        "2019-13-01",
        "13/1/2019 9:00:00 AM",
        "2/30/2019 9:00:00 AM",
        "1/1/2019 13:00:00 PM",
        "1/1/2019 0:00:00 AM",
        "1/1/2019 9:60:00 AM",
        "1/1/2019 9:00:00",
    ],
)
def test_what_is_no_time_is_a_value_error(text):
    for notation in ("auto", "mind"):
        with pytest.raises(ValueError):  # noqa: PT011 - the message may be the standard library's
            time_parser(notation)(text)


@given(st.datetimes())
def test_the_fast_mind_parser_agrees_with_the_calendar(moment):
    text = f"{moment.month}/{moment.day}/{moment.year:04} {moment.hour % 12 or 12}:{moment:%M:%S} "
    assert time_parser("mind")(text + "AP"[moment.hour >= 12] + "M") == calendar.timegm(moment.timetuple())
