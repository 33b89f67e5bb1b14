import pytest

from recbole_tinynews.data.converters.records import Impressions, News
from recbole_tinynews.data.converters.writer import write_dataset
from recbole_tinynews.errors import InputError

NEWS = {
    "n1": News("n1", "food", "", "A\ttab", "", "Two\nlines"),
    "n2": News("n2", '"odd', "s", '"Quote', "abstract", ""),
}
TRAIN = Impressions.from_rows([("i1", "u1", 1000.5, [0], [0, 1], [0, 1])])
VALID = Impressions.from_rows([("", "u2", 2000.0, [1], [0, 1], [1, 0])])
TEST = Impressions.from_rows([("i3", "u3", 3000.0, [], [0], [])])


def files(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_atomic_file_has_its_contract_form(tmp_path):
    summary = write_dataset(tmp_path / "d", NEWS, [("test", TEST), ("train", TRAIN), ("valid", VALID)])
    head = "impression_id:token\tuser_id:token\ttimestamp:float\t"
    head += "history:token_seq\tcandidates:token_seq\tlabels:token_seq\n"
    assert files(tmp_path / "d") == {
        "d.news": 'item_id\ttitle\tabstract\tbody\nn1\tA tab\t\tTwo lines\nn2\t"Quote\tabstract\t\n',
        "d.item": "item_id:token\tcategory:token\tsubcategory:token\nn1\tfood\t\nn2\t'odd\ts\n",
        "d.inter": "user_id:token\titem_id:token\ttimestamp:float\nu1\tn1\t999.5\nu1\tn2\t1000.5\nu2\tn2\t1999\n",
        "d.train.imp": head + "i1\tu1\t1000.5\tn1\tn1 n2\t0 1\n",
        "d.valid.imp": head + "1\tu2\t2000\tn2\tn1 n2\t1 0\n",
        "d.test.imp": head + "i3\tu3\t3000\t\tn1\t\n",
    }
    assert list(summary.splits) == ["train", "valid", "test"]
    assert (summary.news, summary.inter_clicks, summary.inter_users) == (2, 3, 2)
    assert summary.splits["test"].unlabelled == summary.splits["test"].empty_histories == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "d"]


def test_histories_that_repeat_the_log_stay_out_of_inter(tmp_path):
    write_dataset(tmp_path / "d", NEWS, [("train", TRAIN), ("valid", VALID)], histories="none")
    assert files(tmp_path / "d")["d.inter"].splitlines()[1:] == ["u1\tn2\t1000.5"]


def test_an_error_half_way_leaves_the_old_dataset_as_it_was(tmp_path):
    write_dataset(tmp_path / "d", NEWS, [("train", TRAIN), ("valid", VALID)])
    before = files(tmp_path / "d")

    def breaks():
        yield "train", TEST
        raise InputError("broken", "log.tsv", 2)

    with pytest.raises(InputError, match=r"log\.tsv:2: broken"):
        write_dataset(tmp_path / "d", NEWS, breaks())
    assert files(tmp_path / "d") == before
    assert list(tmp_path.iterdir()) == [tmp_path / "d"]


def test_other_files_of_the_folder_stay(tmp_path):
    (tmp_path / "d" / "raw").mkdir(parents=True)
    (tmp_path / "d" / "raw" / "news.tsv").write_text("mine")
    write_dataset(tmp_path / "d", NEWS)
    assert (tmp_path / "d" / "raw" / "news.tsv").read_text() == "mine"
    assert {path.name for path in (tmp_path / "d").iterdir()} == {"raw", "d.news", "d.item"}


def test_impressions_of_another_conversion_are_not_mixed_with_this_one(tmp_path):
    write_dataset(tmp_path / "d", NEWS, [("train", TRAIN), ("valid", VALID), ("test", TEST)])
    with pytest.raises(InputError, match=r"d\.test\.imp: is of another conversion"):
        write_dataset(tmp_path / "d", NEWS, [("train", TRAIN), ("valid", VALID)])


def test_a_log_without_train_impressions_is_refused(tmp_path):
    with pytest.raises(InputError, match="no train impressions"):
        write_dataset(tmp_path / "d", NEWS, [("valid", VALID)])


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "d").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_dataset(tmp_path / "d", NEWS)
    with pytest.raises(InputError, match="cannot be written"):
        write_dataset(tmp_path / "d" / "e", NEWS)


def test_news_that_repeat_another_are_counted_and_kept(tmp_path):
    texts = {"a": "text", "b": "text", "c": "else"}
    news = {item: News(item, title="One", body=body) for item, body in texts.items()}
    summary = write_dataset(tmp_path / "d", news)
    assert summary.notes["news with the texts of another news, kept"] == 1
    assert summary.news == 3
