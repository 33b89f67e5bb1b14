import pytest

from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.mapping import NewsColumns
from recbole_tinynews.data.converters.news import read_news
from recbole_tinynews.data.converters.records import News
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

COLUMNS = NewsColumns(item_id=1, title=2, header=False)


def read(tmp_path, *texts, skip=False, **options):
    files = []
    for number, text in enumerate(texts):
        files.append(TextFile(tmp_path / f"n{number}.tsv.x"))
        files[-1].path.write_text(text)
    return read_news(files, COLUMNS, BadRows(skip), **options)


def test_the_same_news_may_stand_in_several_files(tmp_path):
    assert read(tmp_path, "1\tA\n", "2\tB\n1\tA\n") == {"1": News("1", title="A"), "2": News("2", title="B")}


@pytest.mark.parametrize("texts", [("1\tA\n1\tB\n",), ("1\tA\n", "1\tB\n")])
def test_an_id_with_two_texts_is_refused_and_both_places_are_named(tmp_path, texts):
    with pytest.raises(InputError, match=r"n[01].tsv.x:[12]: news id '1' stands in .*n0.tsv.x:1 with another text"):
        read(tmp_path, *texts)


def test_a_prefix_keeps_ids_of_two_files_apart(tmp_path):
    assert list(read(tmp_path, "1\tA\n", "1\tB\n", prefix=True)) == ["n0-1", "n1-1"]


@pytest.mark.parametrize("item", ["", "a b", "NA"])
def test_an_unusable_id_is_refused(tmp_path, item):
    with pytest.raises(InputError, match=r"n0\.tsv\.x:2: news id"):
        read(tmp_path, f"1\tA\n{item}\tB\n")


def test_bad_rows_can_be_skipped_and_the_first_text_of_an_id_stays(tmp_path):
    assert read(tmp_path, "1\tA\n1\tB\na b\tC\n2\tD\textra\n3\tE\n", skip=True) == {
        "1": News("1", title="A"),
        "3": News("3", title="E"),
    }


def test_a_table_without_a_usable_row_is_refused(tmp_path):
    with pytest.raises(InputError, match="no usable news"):
        read(tmp_path, "a b\tC\n", skip=True)
