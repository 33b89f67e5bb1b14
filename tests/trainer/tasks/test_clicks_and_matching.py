"""What each stage learns, against losses computed from vectors of one news at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.data.pairs import PairBatch
from recbole_tinynews.layers import AttentiveUser, ClickModel
from recbole_tinynews.losses import MatchingDistillationLoss, MultiTeacherLoss
from recbole_tinynews.trainer.tasks import ClickDistillation, ClickTask, Matching, MatchingDistillation
from tests.plm_fixtures import make_encoder, make_news

DIM = 6
TITLES, BODIES = make_news((4, 9, 4, 1, 9, 6)), make_news((20, 12, 20, 7, 9, 15), seed=1)
PAIRS = PairBatch(np.array([5, 2, 1, 6]), torch.tensor([[1, 2], [3, 0], [0, 1], [2, 1]]))
CLICKS = ClickBatch(
    torch.tensor([[1, 2, 1], [4, 0, 0], [0, 0, 0]]),
    torch.tensor([[3, 1], [4, 5], [2, 6]]),
    torch.tensor([0, 1, 0]),
    torch.tensor([1, 2, 3]),
)


@pytest.fixture
def encoders(plm_folder):
    """A student of two layers and two teachers of four, in double precision."""
    student = make_encoder(plm_folder, 1, DIM, num_layers=2)
    return [encoder.double() for encoder in (student, *(make_encoder(plm_folder, 0, DIM, seed) for seed in (7, 8)))]


@pytest.fixture
def models(encoders):
    models = [ClickModel(encoder, AttentiveUser(DIM, 5)).double() for encoder in encoders]
    for model in models:
        torch.nn.init.normal_(model.user_encoder.query.weight)
    return models


def one_by_one(encoder, texts, rows) -> torch.Tensor:
    return torch.cat([encoder(texts, np.array([row])) for row in rows])


def slots_of(model) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, a vector for each slot of history and candidates, user vectors; each slot encoded by itself."""
    ids = torch.cat([CLICKS.history, CLICKS.candidates], dim=1)
    vectors = one_by_one(model.news_encoder, TITLES, ids.flatten().numpy()).view(*ids.shape, DIM)
    user = model.user_encoder(vectors[:, :3], CLICKS.history > 0)
    return torch.einsum("bcd,bd->bc", vectors[:, 3:], user), vectors, user


def assert_only_students_learn(task, teachers):
    """Teachers are no part of the task's state, get no gradient, and keep without dropout."""
    task.train()
    before = [{name: tensor.clone() for name, tensor in teacher.state_dict().items()} for teacher in teachers]
    assert all(name.startswith(("student.", "loss.")) for name in task.state_dict())
    assert set(task.parameters()).isdisjoint(p for teacher in teachers for p in teacher.parameters())
    for teacher, state in zip(teachers, before, strict=True):
        assert not teacher.training
        assert not any(module.training for module in teacher.modules())
        assert all(p.grad is None for p in teacher.parameters())
        assert all(torch.equal(tensor, state[name]) for name, tensor in teacher.state_dict().items())


def test_post_training_is_the_cross_entropy_of_each_body_with_its_own_and_other_titles(encoders):
    student = encoders[0]
    parts = Matching(student, TITLES, BODIES)(PAIRS)
    titles, bodies = one_by_one(student, TITLES, PAIRS.news), one_by_one(student, BODIES, PAIRS.news)
    rows = [
        torch.stack([bodies[b] @ titles[t] for t in [b, *others]]) for b, others in enumerate(PAIRS.negatives.tolist())
    ]
    scores = torch.stack(rows)
    expected = cross_entropy(scores, torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(parts["loss"], expected, rtol=0, atol=1e-10)
    hits = [float(row[0] == row.max()) for row in scores]
    assert parts["accuracy"].item() == pytest.approx(sum(hits) / 4)


@pytest.mark.parametrize("number", [1, 2])
def test_stage_1_is_its_loss_on_the_students_and_the_teachers_vectors(encoders, number):
    student, *teachers = encoders[: 1 + number]
    torch.manual_seed(0)
    loss = MatchingDistillationLoss(DIM, number, 2.0, 0.7).double()
    task = MatchingDistillation(student, teachers, TITLES, BODIES, loss)
    parts = task(PAIRS)
    vectors = [[one_by_one(e, texts, PAIRS.news) for texts in (TITLES, BODIES)] for e in (student, *teachers)]
    expected = loss(*vectors[0], *(torch.stack(v) for v in zip(*vectors[1:], strict=True)), PAIRS.negatives)
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-10)
    parts["loss"].backward()
    assert_only_students_learn(task, teachers)
    assert all(p.grad is not None for p in task.parameters() if p.requires_grad)


def test_fine_tuning_is_the_cross_entropy_over_the_candidates(models):
    scores, _, _ = slots_of(models[0])
    parts = ClickTask(models[0], TITLES)(CLICKS)
    torch.testing.assert_close(parts["loss"], cross_entropy(scores, CLICKS.labels), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shared", [True, False])
def test_stage_2_with_tables_and_distinct_news_is_its_loss_on_every_slot(models, shared):
    student, *teachers = models
    torch.manual_seed(0)
    loss = MultiTeacherLoss(DIM, 2, 1.5, 0.3, shared_projection=shared).double()
    tables = torch.stack([teacher.encode_news(TITLES, np.arange(7)) for teacher in teachers])
    task = ClickDistillation(student, teachers, tables, TITLES, loss)

    def gradients():
        return {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}

    parts = task(CLICKS)
    parts["loss"].backward()
    fast = gradients()
    task.zero_grad()

    with torch.no_grad():
        of_teachers = [torch.stack(tensors) for tensors in zip(*map(slots_of, teachers), strict=True)]
    mask = torch.cat([CLICKS.history, CLICKS.candidates], dim=1) > 0
    expected = loss(*slots_of(student), *of_teachers, CLICKS.labels, mask)
    expected["loss"].backward()
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-10)
    for name, gradient in gradients().items():
        torch.testing.assert_close(fast[name], gradient, rtol=0, atol=1e-10)
    assert parts["omega"].item() == 1
    assert_only_students_learn(task, teachers)


def test_everything_that_stage_2_trains_gets_a_gradient(models):
    student, *teachers = models
    loss = MultiTeacherLoss(DIM, 2).double()
    tables = torch.stack([teacher.encode_news(TITLES, np.arange(7)) for teacher in teachers])
    task = ClickDistillation(student, teachers, tables, TITLES, loss)
    task(CLICKS)["loss"].backward()
    for name, parameter in task.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert loss.log_omega.grad != 0
