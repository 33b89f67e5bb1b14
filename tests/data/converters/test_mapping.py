from pathlib import Path

import pytest

from recbole_tinynews.data.converters.mapping import FeedsMapping, SplitRule
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (": :", "my.yaml: cannot be read as yaml"),
        ("just text", "my.yaml: the file: expected keys"),
        (GOOD + "news2: {}", "unknown key 'news2'; did you mean 'news'"),
        (GOOD.replace("title: t", "titel: t"), "news: unknown key 'titel'; did you mean 'title'"),
        (GOOD.replace(", title: t", ""), "news: title is missing"),
        (GOOD.replace(", candidates: c", ""), "give either candidates, or clicked and shown, .*found none"),
        (
            GOOD.replace("candidates: c", "candidates: c, clicked: a, shown: b"),
            "found candidates and clicked and shown",
        ),
        (GOOD.replace("candidates: c", "candidates: c, separator: 5"), "separator must be text"),
        (GOOD.replace("title: t", "title: t, separator: '||'"), "separator must be one character"),
        ("news: {item_id: id, title: t}", "the file: impressions is missing"),
    ],
)
def test_a_wrong_mapping_is_told_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("test_last_days: 7, test_from: 2020-01-01", "split: give either test_last_days or test_from"),
        ("valid_share: 0.2, valid_from: 2020-01-01", "split: give either valid_share or valid_from"),
        ("valid_share: 20", "valid_share must be between 0 and 1, found 20"),
        ("test_last_days: 0", "test_last_days must be a number of days, found 0"),
        ("seed: x", "seed must be a whole number, found 'x'"),
    ],
)
def test_a_wrong_rule_is_told(tmp_path, rule, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, GOOD + f"split: {{{rule}}}")


def test_a_log_is_split_as_the_paper_splits_feeds_unless_the_file_says_otherwise(tmp_path):
    assert load(tmp_path, GOOD).split == SplitRule(test_last_days=7, valid_share=0.2)
    assert load(tmp_path, GOOD + "split: {valid_from: 2020-01-01}").split.test_last_days is None
