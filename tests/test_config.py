"""Settings from all sources, and what is said about wrong ones."""

from __future__ import annotations

import re

import pytest
from recbole.config import Config

from recbole_tinynews import InputError, NewsConfig

PLAIN = {"gpu_id": ""}


def config_of(model="BPR", dataset="ml-100k", files=(), settings=(), line=()):
    return NewsConfig(model, dataset, files, PLAIN | dict(settings), line)


def test_without_settings_of_ours_all_is_as_in_recbole(monkeypatch):
    monkeypatch.setattr("sys.argv", ["pytest"])
    for model in ("BPR", "FM"):
        expected = Config(model, "ml-100k", config_dict=dict(PLAIN)).final_config_dict
        ours = config_of(model).final_config_dict
        assert {key: ours[key] for key in expected} == expected


def test_command_line_beats_config_dict_beats_later_file_beats_earlier_file(tmp_path):
    early, late = tmp_path / "early.yaml", tmp_path / "late.yaml"
    early.write_text("epochs: 1\nlearning_rate: 1e-1\nembedding_size: 11\nseed: 1\n")
    late.write_text("epochs: 2\nlearning_rate: 1e-2\nembedding_size: 12\n")
    config = config_of(files=[early, late], settings={"epochs": 3, "learning_rate": 1e-3}, line=["--epochs=4"])
    assert [config[key] for key in ("epochs", "learning_rate", "embedding_size", "seed")] == [4, 1e-3, 12, 1]


def test_nested_settings_given_in_part_keep_the_rest():
    config = config_of(settings={"eval_args": {"order": "TO"}}, line=["--train_neg_sample_args.sample_num=3"])
    assert config["eval_args"]["order"] == "TO"
    assert config["eval_args"]["split"] == {"RS": [0.8, 0.1, 0.1]}
    assert config["train_neg_sample_args"]["sample_num"] == 3
    assert config["train_neg_sample_args"]["distribution"] == "uniform"


def test_a_split_replaces_the_default_split():
    assert config_of(settings={"eval_args": {"split": {"LS": "valid_only"}}})["eval_args"]["split"] == {
        "LS": "valid_only"
    }


def test_the_caller_s_settings_are_not_changed():
    settings = {"train_neg_sample_args": {"sample_num": 2}, "epochs": "7"}
    config_of(settings=settings)
    assert settings == {"train_neg_sample_args": {"sample_num": 2}, "epochs": "7"}


def test_the_command_line_of_the_process_is_not_read(monkeypatch):
    monkeypatch.setattr("sys.argv", ["program", "--epochs=77", "rubbish"])
    assert config_of()["epochs"] == 300


def test_values_are_literals_and_never_code():
    line = ["--note=__import__('os').getcwd()", "--topk=[5,10]", "--checkpoint_dir=a=b", "--shuffle=false"]
    config = config_of(line=line)
    assert config["note"] == "__import__('os').getcwd()"
    assert config["topk"] == [5, 10]
    assert config["checkpoint_dir"] == "a=b"
    assert config["shuffle"] is False


def test_a_typing_error_in_a_key_is_told_with_the_likely_key():
    message = "unknown setting 'learning_rat': did you mean 'learning_rate'?"
    assert config_of(settings={"learning_rat": 1, "hidden_size": 8}).remarks == [message]
    with pytest.raises(InputError, match=re.escape(message)):  # no other package's model has keys of ours
        config_of("PLMNR", settings={"learning_rat": 1})


def test_a_path_in_place_of_a_datasets_name_is_told_and_a_slash_behind_it_is_none():
    with pytest.raises(InputError, match="--data_path=some/where --dataset=ml-100k"):
        config_of(dataset="some/where/ml-100k")
    assert config_of(dataset="ml-100k/")["dataset"] == "ml-100k"


def test_keys_that_resemble_none_and_keys_of_other_models_may_stand_in_a_file_for_ours():
    config = config_of("PLMNR", settings={"zzz": "a", "hidden_size": 8, "stage2": {"epochs": 1}})
    assert config.remarks == ["unknown setting 'zzz'"]


def test_a_stage_takes_its_own_settings_and_those_of_the_run():
    line = ["--post_train.epochs=3", "--teacher.learning_rate=1e-3"]
    config = config_of("TinyNewsRec", line=line)
    assert config["post_train"]["epochs"] == 3
    assert config["post_train"]["num_negatives"] == 9
    assert config["teacher"] == {"learning_rate": 1e-3}
    with pytest.raises(InputError, match=r"unknown setting 'stage2.temprature': did you mean 'stage2.temperature'\?"):
        config_of("TinyNewsRec", line=["--stage2.temprature=2"])


@pytest.mark.parametrize(
    "argument", ["stage1.seed=4", "stage2.dropout=0.4", "teacher.title_length=4", "teacher.history_length=4"]
)
def test_a_setting_that_a_stage_cannot_have_of_its_own_is_refused(argument):
    with pytest.raises(InputError, match=f"unknown setting {argument.split('=')[0]!r}"):
        config_of("TinyNewsRec", line=[f"--{argument}"])


def test_recbole_s_training_settings_that_our_stages_do_without_are_told():
    assert config_of("PLMNR", line=["--weight_decay=0.1"]).remarks == ["weight_decay has no effect on PLMNR"]
    assert config_of("BPR", line=["--weight_decay=0.1"]).remarks == []


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("num_teachers=0", "num_teachers must be a whole number, 1 or more, not 0"),
        ("num_post_trained=0", "num_post_trained must be"),
        ("teacher.epochs=abc", "teacher.epochs must be a whole number, 0 or more, not 'abc'"),
        ("stage2=3", "stage2 holds settings of its own"),
        ("teacher_layers=all", "teacher_layers must be"),
        ("history_length=0", "history_length must be"),
        ("post_train.body_length=1", "post_train.body_length must be a whole number, 3 or more"),
        ("train_batch_size=0", "train_batch_size must be"),
        ("num_negatives=-1", "num_negatives must be"),
        ("epochs=2.5", "epochs must be"),
        ("trained_layers=-1", "trained_layers must be"),
        ("stage1.temperature=0", "stage1.temperature must be a number above 0"),
        ("dropout=-0.1", "dropout must be a number from 0 to below 1"),
        ("dropout=1", "dropout must be a number from 0 to below 1"),
        ("precision=bf16", "precision must be one of auto, float32, bfloat16, not 'bf16'"),
        ("valid_metric=None", "valid_metric must be one of"),
        ("valid_metric=NDCG@7", "valid_metric must be one of"),
    ],
)
def test_a_value_that_would_fail_later_is_refused_at_once(argument, message):
    with pytest.raises(InputError, match=message):
        config_of("TinyNewsRec", line=[f"--{argument}"])


@pytest.mark.parametrize(
    "argument", ["heads=0", "head_dim=0", "filters=0", "window=0", "vocabulary=0", "word_dim=0", "category_dim=-1"]
)
def test_sizes_of_the_models_over_words_are_one_or_more(argument):
    model = "NRMS" if "head" in argument else "LSTUR"
    with pytest.raises(InputError, match=f"{argument.split('=')[0]} must be a whole number, 1 or more"):
        config_of(model, line=[f"--{argument}"])


def test_not_all_of_a_user_can_be_left_out():
    with pytest.raises(InputError, match="user_dropout must be a number from 0 to below 1, not 1"):
        config_of("LSTUR", line=["--user_dropout=1"])


def test_settings_of_our_models_in_a_shared_file_leave_recbole_s_alone():
    shared = {"history_length": 20, "num_negatives": 4}
    assert config_of("BPR", settings=shared)["train_neg_sample_args"]["sample_num"] == 1
    assert config_of("SASRec", settings=shared)["train_neg_sample_args"]["distribution"] == "none"


def test_a_batch_without_impressions_has_as_many_clicks_as_the_settings_say():
    config = config_of("PLMNR", line=["--train_batch_size=128", "--num_negatives=4"])
    assert config["train_batch_size"] == 128 * 4  # RecBole counts pairs of a click and a negative


def test_a_variant_of_the_paper_lies_under_the_user_s_settings():
    assert config_of("TinyNewsRec")["stage2"]["target_weight"] == 0.1
    later = config_of("TinyNewsRec", line=["--variant=v2", "--stage2.learning_rate=0.5"])
    assert (later["stage2"]["target_weight"], later["stage2"]["learning_rate"]) == (0.2, 0.5)
    assert later["stage2"]["temperature"] == 1.0
    with pytest.raises(InputError, match="variant must be one of v1, v2, not 'v3'"):
        config_of("TinyNewsRec", line=["--variant=v3"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "LightGNC"}, "no model 'LightGNC': did you mean LightGCN"),
        ({"model": None}, "expected a model and a dataset"),
        ({"line": ["--epochs"]}, "expected --key=value, found '--epochs'"),
        ({"line": ["epochs=3"]}, "expected --key=value, found 'epochs=3'"),
        ({"line": ["--epochs=many"]}, "epochs must be a number, not 'many'"),
        ({"line": ["--train_neg_sample_args.sample_num=many"]}, "train_neg_sample_args.sample_num must be a number"),
        ({"line": ["--shuffle=ja"]}, "shuffle must be True or False, not 'ja'"),
        ({"line": ["--metrics=Recal"]}, "no metric named 'Recal'"),
        ({"files": ["missing.yaml"]}, "missing.yaml: cannot be read: No such file"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as error:
        config_of(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1\nb: 2\n", "bad.yaml:2: not yaml"), ("- 1\n", "bad.yaml: expected lines of the form")]
)
def test_a_broken_file_is_named(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        config_of(files=[path])


def test_sequential_models_run_without_a_word_on_negatives():
    assert config_of("SASRec")["train_neg_sample_args"]["distribution"] == "none"
    assert config_of("SASRec", line=["--loss_type=BPR"])["train_neg_sample_args"]["distribution"] == "uniform"


def test_use_gpu_false_means_the_cpu():
    config = NewsConfig("BPR", "ml-100k", config_dict={"use_gpu": False})
    assert config["gpu_id"] == ""
    assert config["device"].type == "cpu"


def test_impressions_replace_split_and_metrics(tiny):
    config = config_of("SASRec", "tiny", settings={"topk": 5, "metrics": ["AUC", "MRR"], "eval_args": {"mode": "uni9"}})
    assert config.impressions
    assert config["valid_metric"] == "auc"
    assert config["eval_args"]["split"] == {"RS": [1.0]}
    assert [remark.split()[0] for remark in sorted(config.remarks)] == ["eval_args", "metrics", "topk"]
    with pytest.raises(InputError, match=r"valid_metric must be one of auc, mrr, ndcg@5, ndcg@10, not 'MRR@10'"):
        config_of("BPR", "tiny", settings={"valid_metric": "MRR@10"})


def test_context_aware_models_draw_negatives_where_there_are_impressions(tiny):
    assert config_of("FM", "tiny")["train_neg_sample_args"]["sample_num"] == 1
    assert not config_of("FM", "ml-100k").impressions
    assert config_of("FM", "ml-100k")["train_neg_sample_args"]["distribution"] == "none"


def test_settings_that_all_stages_have_of_their_own_are_told_to_have_no_effect(tmp_path):
    (tmp_path / "small.yaml").write_text("teacher: {learning_rate: 1e-3}\n")
    line = ["--learning_rate=1e-2", "--epochs=3"]
    remarks = config_of("PLMNR", files=[tmp_path / "small.yaml"], line=line).remarks
    assert remarks == ["learning_rate has no effect: teacher.learning_rate is 0.001"]
    assert config_of("TinyNewsRec", files=[tmp_path / "small.yaml"], line=line).remarks == []


def test_a_stages_own_batches_are_told_to_have_no_effect_without_impressions():
    remarks = config_of("PLMNR", line=["--teacher.num_negatives=2", "--teacher.epochs=2"]).remarks
    assert remarks == ["teacher.num_negatives has no effect without impressions"]
