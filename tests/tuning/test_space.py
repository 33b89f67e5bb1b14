"""Files in RecBole's form that say what a search varies."""

from __future__ import annotations

import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from recbole_tinynews import InputError, NewsConfig
from recbole_tinynews.config import properties_folder
from recbole_tinynews.tuning.space import combinations, read_space, value_of

TEXT = """# a remark

learning_rate loguniform -8,0
dropout uniform 0.1, 0.5
epochs quniform 2,8,2
n_layers choice [1,2]
loss_type choice ['BPR', 'CE']
sizes choice [[64], [32, 16]]
"""


def write(tmp_path, text):
    path = tmp_path / "m.hyper"
    path.write_text(text)
    return path


def test_a_file_of_recbole_s_form_is_read(tmp_path):
    assert read_space(write(tmp_path, TEXT)) == {
        "learning_rate": FloatDistribution(math.exp(-8), 1.0, log=True),
        "dropout": FloatDistribution(0.1, 0.5),
        "epochs": FloatDistribution(2, 8, step=2),
        "n_layers": CategoricalDistribution(["1", "2"]),
        "loss_type": CategoricalDistribution(["'BPR'", "'CE'"]),
        "sizes": CategoricalDistribution(["[64]", "[32, 16]"]),
    }


def test_what_is_drawn_becomes_the_value_that_the_file_names(tmp_path):
    space = read_space(write(tmp_path, TEXT))
    drawn = {"sizes": "[32, 16]", "loss_type": "'CE'", "n_layers": "2", "epochs": 4.0, "dropout": 0.25}
    values = {name: value_of(space[name], value) for name, value in drawn.items()}
    assert values == {"sizes": [32, 16], "loss_type": "CE", "n_layers": 2, "epochs": 4, "dropout": 0.25}
    assert isinstance(values["epochs"], int)


def test_an_exhaustive_search_goes_through_all_combinations_of_choices(tmp_path):
    space = read_space(write(tmp_path, "a choice [1,2]\nb choice ['x','y','z']\n"))
    found = [(value["a"], value["b"]) for value in combinations(space)]
    assert found == [(a, b) for a in ("1", "2") for b in ("'x'", "'y'", "'z'")]
    with pytest.raises(InputError, match="needs a choice for learning_rate"):
        combinations(read_space(write(tmp_path, TEXT)))


@pytest.mark.parametrize("line", ["a", "a choice", "a choice [1,", "a uniform 1", "a sometimes 1,2", "a uniform x,y"])
def test_a_line_of_another_form_is_named(tmp_path, line):
    with pytest.raises(InputError, match=r"m.hyper:2: expected NAME choice"):
        read_space(write(tmp_path, f"# remark\n{line}\n"))


def test_a_file_with_nothing_to_vary_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="names nothing to vary"):
        read_space(write(tmp_path, "# remark\n"))
    with pytest.raises(InputError, match="cannot be read"):
        read_space(tmp_path / "none.hyper")


@pytest.mark.parametrize("path", sorted((properties_folder() / "hyper").glob("*.hyper")), ids=lambda path: path.stem)
def test_our_files_vary_settings_that_their_models_have(path, tmp_path):
    settings = NewsConfig(path.stem, "none", config_dict={"data_path": str(tmp_path)}).final_config_dict
    for name in read_space(path):
        stage, _, own = name.partition(".")
        assert stage in settings
        assert not own or own in settings[stage] or own in settings
