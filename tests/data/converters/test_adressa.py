"""Adressa's events and articles, small and made up."""

from __future__ import annotations

import json

import pytest

from recbole_tinynews.data.converters.adressa import convert_adressa
from recbole_tinynews.errors import InputError
from tests.data.converters.test_feeds import rows

EVENTS = [
    {"userId": "cx:1", "time": 30, "id": "aaa", "title": "En", "category1": "nyheter|trondheim", "url": "http://x"},
    {"userId": "cx:1", "time": 10, "id": "bbb", "title": "To", "category1": "sport"},
    {"userId": "cx:1", "time": 20, "url": "http://front.page"},
    {"userId": "cx:2", "time": 40, "id": "aaa", "title": "En", "category1": "nyheter|trondheim"},
    {"userId": "cx:1", "time": 50, "id": "aaa", "title": "En", "category1": "nyheter|trondheim"},
]
CONTENT = {"id": "aaa", "fields": [
    {"field": "title", "value": "En tittel"}, {"field": "teaser", "value": ["kort"]},
    {"field": "body", "value": ["F\u00f8rste.", "Andre."]}, {"field": "author", "value": ["x"]},
]}  # fmt: skip


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events"
    path.write_text("\n".join(map(json.dumps, EVENTS)) + "\n")
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "aaa").write_text(json.dumps(CONTENT))
    return [path]


def test_events_become_clicks_once_in_order_of_time_and_articles_get_their_bodies(tmp_path, events):
    summary = convert_adressa(tmp_path / "d", events, tmp_path / "content")
    folder = tmp_path / "d"
    assert rows(folder / "d.inter") == [["cx:1", "bbb", "10"], ["cx:1", "aaa", "30"], ["cx:2", "aaa", "40"]]
    assert rows(folder / "d.news") == [["aaa", "En tittel", "kort", "F\u00f8rste. Andre."], ["bbb", "To", "", ""]]
    assert rows(folder / "d.item") == [["aaa", "nyheter", "trondheim"], ["bbb", "sport", ""]]
    assert not list(folder.glob("*.imp"))
    text = str(summary)
    assert ".inter: 3 clicks of 2 users" in text
    assert "events without user, article or title, left out: 1" in text
    assert "articles without content, which have no body: 1" in text


def test_a_line_that_is_no_json_is_told_or_counted(tmp_path, events):
    with events[0].open("a") as file:
        file.write("{broken\n")
    with pytest.raises(InputError, match=r"events:6: expected a JSON object"):
        convert_adressa(tmp_path / "d", events)
    assert not (tmp_path / "d").exists()
    assert "events:6: expected a JSON object" in str(convert_adressa(tmp_path / "d", events, skip_bad=True))
