"""The demo's table and settings; the demo itself is run by ``make demo``."""

from __future__ import annotations

import pytest
import yaml

from recbole_tinynews.config import NewsConfig, properties_folder
from recbole_tinynews.demo import main, rows, table, verdict
from recbole_tinynews.pretrain import PretrainSettings
from recbole_tinynews.registry import OUR_MODELS, resolve_model


def result(parameters, auc, stages=()):
    return {"parameters": parameters, "test_result": metrics(auc), "stages": list(stages)}


def metrics(auc):
    return {"auc": auc, "mrr": 0.25, "ndcg@5": 0.3, "ndcg@10": 0.35}


@pytest.fixture
def lines():
    stages = [
        {"name": "post_train", "seconds": 1.0, "result": {"loss": 1.0}},
        {"name": "teacher_1", "parameters": 4000, "test_result": metrics(0.70)},
        {"name": "teacher_2", "parameters": 4000, "test_result": metrics(0.74)},
        {"name": "stage2", "parameters": 1000, "test_result": metrics(0.73)},
    ]
    results = {"TinyNewsRec": result(1000, 0.73, stages), "Pop": result(0, 0.5), "BPR": result(2000, 0.55)}
    return rows(results, {"teacher": 1000.0, "student": 3500.0})


def test_teachers_come_before_the_student_and_each_run_has_a_line(lines):
    assert [(line.role, line.model) for line in lines] == [
        ("teacher", "PLM-NR, teacher 1"),
        ("teacher", "PLM-NR, teacher 2"),
        ("student", "TinyNewsRec"),
        ("baseline", "Pop"),
        ("baseline", "BPR"),
    ]


def test_the_table_shows_each_figure_in_its_column(lines):
    head, rule, *body = table(lines).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *body)]
    assert cells[0] == ["model", "parameters", "news/s", "AUC", "MRR", "nDCG@5", "nDCG@10"]
    assert cells[2] == ["PLM-NR, teacher 2", "4,000", "1,000", "0.7400", "0.2500", "0.3000", "0.3500"]
    assert cells[4] == ["Pop", "0", "-", "0.5000", "0.2500", "0.3000", "0.3500"]
    assert len({len(line) for line in (head, rule, *body)}) == 1


def test_the_verdict_compares_with_the_best_teacher_and_the_mean(lines):
    assert verdict(lines) == (
        "AUC of the best teacher: +0.240 to Pop, +0.190 to BPR.\n"
        "AUC of the student: -0.010 to the best teacher, +0.010 to the teachers' mean, with 25% of its parameters and "
        "3.5 times its speed."
    )


def test_every_setting_of_the_demo_is_known(tiny):
    sections = yaml.safe_load((properties_folder() / "dataset/demo.yaml").read_text(encoding="utf-8"))
    PretrainSettings(**sections["PLMModel"]["encoder"]).check()
    for model in (*OUR_MODELS, "BPR", "SASRec"):
        for cls in resolve_model(model).__mro__:
            settings = sections["any"] | sections.get(cls.__name__, {})
            assert NewsConfig(model, "tiny", config_dict=settings).remarks == []
    known = {cls.__name__ for model in (*OUR_MODELS, "BPR", "SASRec") for cls in resolve_model(model).__mro__}
    assert set(sections) <= {"any", *known}


def test_without_the_raw_world_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "dataset/demo/raw/train" in error
