import lzma

import pytest

from recbole_tinynews.data.converters.corpus import convert_corpus
from recbole_tinynews.errors import InputError


def test_tables_become_news_and_rows_without_title_or_body_are_counted(tmp_path):
    (tmp_path / "a.tsv").write_text('1\tart\t"T\tBody one\n2\t\t\tno title\n3\t\tno body\t \n')
    (tmp_path / "b.tsv.xz").write_bytes(lzma.compress(b"4\tart\tT4\tB4\n"))
    summary = convert_corpus(tmp_path / "c", [tmp_path / "a.tsv", tmp_path / "b.tsv.xz"])
    assert (tmp_path / "c" / "c.news").read_text() == 'item_id\ttitle\tabstract\tbody\n1\t"T\t\tBody one\n4\tT4\t\tB4\n'
    assert (tmp_path / "c" / "c.item").read_text().splitlines()[1:] == ["1\tart\t", "4\tart\t"]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"c.news", "c.item"}
    assert str(summary).splitlines()[-1] == "news without title or body, dropped: 2"


def test_ids_of_two_tables_collide_unless_prefixed(tmp_path):
    (tmp_path / "a.tsv").write_text("1\tart\tT\tB\n")
    (tmp_path / "b.tsv").write_text("1\tart\tT2\tB2\n")
    tables = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    with pytest.raises(InputError, match=r"b\.tsv:1: news id '1'"):
        convert_corpus(tmp_path / "c", tables)
    assert convert_corpus(tmp_path / "c", tables, prefix=True).news == 2
