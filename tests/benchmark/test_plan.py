"""From a yaml file to rows."""

from __future__ import annotations

import pytest

from recbole_tinynews.benchmark.plan import read_plan
from recbole_tinynews.config import NewsConfig, properties_folder
from recbole_tinynews.errors import InputError

PLAN = """
title: A table
depths: [1/3, 1/6, 1/12]
rows:
  - {name: "Big-{depth}", model: PLMNR, depth: full, settings: {pretraining: mlm}}
  - {name: "Small-{depth}", model: TinyNewsRec, depth: students, ours: True}
  - {name: Pop, model: Pop}
expected:
  - ["Big-{depth}", "Small-{depth}"]
"""


@pytest.fixture
def plan_file(tmp_path):
    def write(text):
        path = tmp_path / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(("full", "students"), [(12, [4, 2, 1]), (6, [2, 1]), (2, [1]), (24, [8, 4, 2])])
def test_students_have_parts_of_the_encoders_layers_rounded_up_and_none_twice(plan_file, full, students):
    plan = read_plan(plan_file(PLAN), full)
    assert [row.name for row in plan.rows] == [f"Big-{full}", *(f"Small-{depth}" for depth in students), "Pop"]
    assert [row.depth for row in plan.rows] == [full, *students, None]
    assert [row.ours for row in plan.rows] == [False, *[True] * len(students), False]
    assert plan.rows[0].settings == {"pretraining": "mlm"}
    assert plan.name == "plan"


def test_depths_may_be_given(plan_file):
    assert [row.depth for row in read_plan(plan_file(PLAN), 6, [4, 2]).rows] == [6, 4, 2, None]
    with pytest.raises(InputError, match="6 layers, a student cannot have 7"):
        read_plan(plan_file(PLAN), 6, [7])


def test_an_order_is_expected_where_both_rows_are(plan_file):
    assert read_plan(plan_file(PLAN), 6, [6, 3]).expected == [("Big-6", "Small-6")]
    assert read_plan(plan_file(PLAN), 6).expected == []


def test_a_sweep_makes_a_row_of_each_value(plan_file):
    rows = read_plan(
        plan_file("title: T\nrows: [{name: 'A-{depth}', model: TinyNewsRec, depth: full, settings: {seed: 3}, "
                  "sweep: {key: stage1.target_weight, label: beta, values: [0.5, 1]}}]"), 4
    ).rows  # fmt: skip
    assert [row.name for row in rows] == ["A-4, beta = 0.5", "A-4, beta = 1"]
    assert [row.settings for row in rows] == [{"seed": 3, "stage1.target_weight": value} for value in (0.5, 1)]
    assert [(row.x, row.x_label, row.system) for row in rows] == [(0.5, "beta", "A"), (1.0, "beta", "A")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [", "not yaml"),
        ("just words", "a plan consists of keys"),
        ("title: T\nrows: []", "a plan needs rows"),
        ("rows: [{name: A, model: Pop}]", "a plan needs title"),
        ("title: T\nrow: 1\nrows: [1]", "a plan has no key 'row'"),
        ("title: T\nrows: [1]", "a row consists of keys"),
        ("title: T\nrows: [{name: A}]", "a row needs model"),
        ("title: T\nplot: bar\nrows: [{name: A, model: Pop}]", "plot must be lines, bars or speed, not 'bar'"),
        ("title: T\nrows: [{name: A, model: Pop, sweep: {key: seed, values: [1]}}]", "a sweep needs label"),
        ("title: T\nrows: [{name: A, model: Pop}]\nexpected: [[A, B]]", "expected: there is no row 'B'"),
        ("title: T\nrows: [{name: A, model: Pop}]\nexpected: [[A]]", "not of the form"),
        ("title: T\nrows: [{name: A, model: Pop}]\nexpected:", "not of the form"),
        ("title: T\nrows: [{name: 'A{x}', model: Pop}]", "not of the form"),
        ("title: T\ndepths: [x]\nrows: [{name: A, model: Pop}]", "not of the form"),
        ("title: T\n1: 2\nrows: [{name: A, model: Pop}]", "a plan has no key '1'"),
        ("title: T\nrows: [{name: A, model: Pop, colour: red}]", "no key 'colour'"),
        ("title: T\nrows: [{name: A, model: Pop, depth: deep}]", "depth must be"),
        ("title: T\nrows: [{name: A, model: Pop}, {name: A, model: Pop}]", "same name"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line_with_its_file(plan_file, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_plan(plan_file(text), 6)
    assert "plan.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read_plan(tmp_path / "nowhere.yaml", 6)


@pytest.mark.parametrize("path", sorted((properties_folder() / "paper").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_row_of_the_papers_plans_is_a_model_with_known_settings(tiny, path):
    assert read_plan(path, None).name == path.stem  # before the encoder is known
    for row in read_plan(path, 12).rows:
        assert NewsConfig(row.model, "tiny", config_dict=dict(row.settings)).remarks == []
