from pathlib import Path

import pytest

from recbole_tinynews.data.converters.mapping import FeedsMapping
from recbole_tinynews.errors import InputError

SHIPPED = Path(__file__).parents[3] / "properties" / "dataset" / "feeds.yaml"
GOOD = "news: {item_id: id, title: t}\nimpressions: {user_id: u, timestamp: ts, candidates: c}\n"


def load(tmp_path, text):
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    return FeedsMapping.load(tmp_path / "my.yaml")


def test_the_shipped_file_documents_every_key():
    mapping = FeedsMapping.load(SHIPPED)
    text = SHIPPED.read_text(encoding="utf-8")
    for section in (mapping.news, mapping.impressions, mapping.split):
        for key in set(vars(section)) - {"widths"}:
            assert f"\n  {key}: " in text


def test_keys_that_may_be_absent_may_be_left_out(tmp_path):
    mapping = load(tmp_path, GOOD)
    assert (mapping.news.item_id, mapping.news.body, mapping.impressions.label_separator) == ("id", None, "-")


def test_dates_split_at_their_first_moment(tmp_path):
    split = load(tmp_path, GOOD + "split: {valid_from: 1970-01-02, test_from: '1970-01-03 12:00:00'}").split.rule()
    day = 86400.0
    assert [split(t) for t in (0.0, day - 1, day, 2.5 * day - 1, 2.5 * day)] == ["train"] * 2 + ["valid"] * 2 + ["test"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (": :", "my.yaml: cannot be read as yaml"),
        ("just text", "my.yaml: the file: expected keys"),
        (GOOD + "news2: {}", "unknown key 'news2'; did you mean 'news'"),
        (GOOD.replace("title: t", "titel: t"), "news: unknown key 'titel'; did you mean 'title'"),
        (GOOD.replace(", title: t", ""), "news: missing 1 required .*'title'"),
        (GOOD.replace(", candidates: c", ""), "either candidates, or both clicked and shown"),
        (GOOD.replace("candidates: c", "candidates: c, clicked: a, shown: b"), "either candidates, or both"),
        (GOOD.replace("candidates: c", "candidates: c, separator: 5"), "separator must be text"),
        (GOOD.replace("title: t", "title: t, separator: '||'"), "separator must be one character"),
        ("news: {item_id: id, title: t}", "missing 1 required .*'impressions'"),
    ],
)
def test_a_wrong_mapping_is_told_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ("valid_from: soon", "bad date 'soon'"),
        ("valid_from: 2020-01-02, test_from: 2020-01-01", "before test_from"),
        ("valid_share: 1.5", "valid_share must be a number above 0 and below 1"),
        ("test_days: x, valid_share: 0.2", "test_days must be a number above 0"),
        ("test_days: 7", "test_days needs valid_share or valid_from"),
        ("valid_from: 2020-01-02, valid_share: 0.2", "give valid_from or valid_share"),
        ("valid_share: 0.2, test_from: 2020-01-01, test_days: 3", "test_from or test_days"),
    ],
)
def test_wrong_dates_are_told(tmp_path, dates, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, GOOD + f"split: {{{dates}}}").split.rule()
