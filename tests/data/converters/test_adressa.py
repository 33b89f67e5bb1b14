import json

import pytest

from recbole_tinynews.data.converters.adressa import convert_adressa
from recbole_tinynews.errors import InputError

PROFILE = [{"item": "adressa.no", "groups": [{"count": 1, "group": "site", "weight": 1.0}]}]
START = 1_483_225_200


def event(user, seconds, item=None, title=None, category="nyheter|trondheim"):
    made = {
        "eventId": seconds,
        "userId": f"cx:{user}",
        "time": START + seconds,
        "url": "http://adressa.no",
        "os": "iOS",
    }
    if item:
        made |= {"id": item, "title": title, "category1": category, "profile": PROFILE, "activeTime": 8}
    return made


DAYS = {
    "20170101": [
        event("a", 0),
        event("a", 5, "n1", "Første\nnytt"),
        event("b", 7, "n2", None, "sport|fotball|eliteserien"),
        event("a", 9, "n1", "Første nytt, igjen"),
    ],
    "20170102": [event("b", 90_000, "n1", "Første"), event("a", 90_001, "n2", "Mål &amp; mer")],
}


def write(folder, days=DAYS):
    folder.mkdir(exist_ok=True)
    for day, events in days.items():
        (folder / day).write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
    return folder


def rows(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[1:-1]]


def test_events_on_news_become_clicks_and_there_are_no_impressions(tmp_path):
    summary = convert_adressa(tmp_path / "d", [write(tmp_path / "one_week")])
    assert {path.name for path in (tmp_path / "d").iterdir()} == {"d.inter", "d.item", "d.news"}
    assert rows(tmp_path / "d" / "d.inter") == [
        ["cx:a", "n1", str(START + 5)],
        ["cx:a", "n2", str(START + 90_001)],
        ["cx:b", "n2", str(START + 7)],
        ["cx:b", "n1", str(START + 90_000)],
    ]
    assert rows(tmp_path / "d" / "d.news") == [["n1", "Første nytt", "", ""], ["n2", "Mål & mer", "", ""]]
    assert rows(tmp_path / "d" / "d.item") == [["n1", "nyheter", "trondheim"], ["n2", "nyheter", "trondheim"]]
    assert summary.notes["events on pages that are no news, left out"] == 1
    assert ".inter: 4 clicks of 2 users" in str(summary)


ARTICLE = {
    "id": "n2",
    "fields": [
        {"field": "title", "value": "En tittel"},
        {"field": "teaser", "value": ["kort"]},
        {"field": "body", "value": ["Første.", "Andre."]},
        {"field": "author", "value": ["x"]},
    ],
}


def test_articles_give_their_titles_teasers_and_bodies(tmp_path):
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "n2").write_text(json.dumps(ARTICLE), encoding="utf-8")
    summary = convert_adressa(tmp_path / "d", [write(tmp_path / "week")], tmp_path / "content")
    assert rows(tmp_path / "d" / "d.news")[1] == ["n2", "En tittel", "kort", "Første. Andre."]
    assert summary.notes["articles without content, which have no body"] == 1


def test_an_article_that_is_no_json_is_told_with_its_file_or_counted(tmp_path):
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "n2").write_text("{broken")
    week = write(tmp_path / "week")
    with pytest.raises(InputError, match="content/n2:1: expected a JSON object with the article's fields"):
        convert_adressa(tmp_path / "d", [week], tmp_path / "content")
    assert not (tmp_path / "d").exists()
    assert "content/n2:1: expected a JSON" in str(convert_adressa(tmp_path / "d", [week], tmp_path / "content", True))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([event("a", 0)], "20170101:1: no column 'id'"),
        ([event("a", 1, "n1", "T"), event("a b", 2, "n1", "T")], "20170101:2: user id 'cx:a b' holds a space"),
        ([event("a", 1, "n1", "T") | {"time": "soon"}], "20170101:1: bad date 'soon'"),
        ([event("a", 1, "n 1", "T")], "20170101:1: news id 'n 1' holds a space"),
        ([], "20170101: the file is empty"),
    ],
)
def test_broken_events_are_refused_with_their_line(tmp_path, events, message):
    with pytest.raises(InputError, match=message):
        convert_adressa(tmp_path / "d", [write(tmp_path / "week", {"20170101": events})])
    assert not (tmp_path / "d").exists()


def test_broken_events_can_be_skipped(tmp_path):
    place = write(tmp_path / "week", {"20170101": [event("a b", 1, "n1", "T"), event("a", 1, "n1", "T")]})
    with (place / "20170101").open("a") as stream:
        stream.write('{"id": \n')
    summary = convert_adressa(tmp_path / "d", [place], skip_bad=True)
    assert len(rows(tmp_path / "d" / "d.inter")) == 1
    assert sum("left out" in note and count == 1 for note, count in summary.notes.items()) == 2
