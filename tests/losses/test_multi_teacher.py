"""Multi-teacher distillation against its formula in plain loops."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from recbole_tinynews.losses import MultiTeacherLoss
from tests.losses.by_hand import ce, kd, learn_something, mapped, mean, random, softmax, squared_error

TEACHERS, BATCH, CANDIDATES, SLOTS, DIM = 3, 4, 5, 7, 6
PARTS = ("loss", "distill", "embedding", "target")


@dataclass
class Batch:
    """Arguments of the loss; history slots come first, and some of them are empty."""

    student_scores: torch.Tensor
    student_news: torch.Tensor
    student_user: torch.Tensor
    teacher_scores: torch.Tensor
    teacher_news: torch.Tensor
    teacher_user: torch.Tensor
    labels: torch.Tensor
    news_mask: torch.Tensor


@pytest.fixture
def batch() -> Batch:
    mask = torch.ones(BATCH, SLOTS, dtype=torch.bool)
    mask[0, 1:2] = False
    mask[2, 0:2] = False  # an empty history: only the candidates are left
    return Batch(
        random(BATCH, CANDIDATES),
        random(BATCH, SLOTS, DIM),
        random(BATCH, DIM),
        random(TEACHERS, BATCH, CANDIDATES),
        random(TEACHERS, BATCH, SLOTS, DIM),
        random(TEACHERS, BATCH, DIM),
        torch.tensor([0, 4, 2, 0]),
        mask,
    )


def make_loss(**settings) -> MultiTeacherLoss:
    """The loss, with projections that are not the identity."""
    loss = MultiTeacherLoss(DIM, TEACHERS, **settings).double()
    learn_something(loss)
    return loss


def by_hand(loss: MultiTeacherLoss, batch: Batch, omega: float) -> dict[str, float]:
    mixed, embedding = [], []
    for b in range(BATCH):
        label = int(batch.labels[b])
        weights = softmax([-omega * ce(batch.teacher_scores[i, b].tolist(), label) for i in range(TEACHERS)])
        mixed.append(
            [sum(w * float(batch.teacher_scores[i, b, c]) for i, w in enumerate(weights)) for c in range(CANDIDATES)]
        )
        of_teachers = []
        for i in range(TEACHERS):
            news = [
                squared_error(
                    batch.student_news[b, s].tolist(),
                    mapped(loss.news_projections[i], batch.teacher_news[i, b, s].tolist()),
                )
                for s in range(SLOTS)
                if batch.news_mask[b, s]
            ]
            user = squared_error(
                batch.student_user[b].tolist(), mapped(loss.user_projections[i], batch.teacher_user[i, b].tolist())
            )
            of_teachers.append(mean(news) + user)
        embedding.append(sum(w * e for w, e in zip(weights, of_teachers, strict=True)))
    parts = {
        "distill": kd(batch.student_scores.tolist(), mixed, loss.temperature),
        "embedding": mean(embedding),
        "target": mean([ce(batch.student_scores[b].tolist(), int(batch.labels[b])) for b in range(BATCH)]),
    }
    weights = {"distill": loss.distill_weight, "embedding": loss.embedding_weight, "target": loss.target_weight}
    return parts | {"loss": sum(weights[name] * value for name, value in parts.items())}


def flattened(batch: Batch, slots: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same batch with the vectors of distinct news only (row 0 is padding) and the slots that hold them."""
    rows = 1 + int(slots.max())
    student = torch.zeros(rows, DIM, dtype=torch.float64)
    teacher = torch.zeros(TEACHERS, rows, DIM, dtype=torch.float64)
    student[slots], teacher[:, slots] = batch.student_news, batch.teacher_news
    return vars(batch) | {"student_news": student, "teacher_news": teacher, "news_slots": slots}


@pytest.mark.parametrize("shared_projection", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 2.5, "target_weight": 0.0},
        {"temperature": 0.5, "target_weight": 1.3, "distill_weight": 0.2, "embedding_weight": 7.0},
    ],
)
def test_loss_and_parts_equal_plain_loops_over_samples_teachers_and_real_news(batch, settings, shared_projection):
    loss = make_loss(shared_projection=shared_projection, **settings)
    output = loss(**vars(batch))
    expected = by_hand(loss, batch, omega=1.0)
    assert {name: output[name].item() for name in PARTS} == pytest.approx(expected, abs=1e-9)


def test_the_defaults_are_those_of_the_paper():
    loss = MultiTeacherLoss(DIM, TEACHERS)
    assert (loss.temperature, loss.target_weight, loss.omega.item()) == (1.0, 0.1, 1.0)
    assert (loss.distill_weight, loss.embedding_weight) == (1.0, 1.0)
    assert loss.log_omega.requires_grad
    assert loss.news_projections is not loss.user_projections


def test_a_sharper_omega_counts_in_the_weights(batch):
    loss = make_loss()
    with torch.no_grad():
        loss.log_omega.fill_(torch.tensor(2.0).log())
    output = loss(**vars(batch))
    assert output["loss"].item() == pytest.approx(by_hand(loss, batch, loss.omega.item())["loss"], abs=1e-9)
    assert output["weights"].shape == (BATCH, TEACHERS)


def test_a_student_that_equals_all_its_teachers_has_no_embedding_loss_at_the_start(batch):
    batch.teacher_news = batch.student_news.expand(TEACHERS, -1, -1, -1)
    batch.teacher_user = batch.student_user.expand(TEACHERS, -1, -1)
    assert MultiTeacherLoss(DIM, TEACHERS).double()(**vars(batch))["embedding"].item() == 0


@pytest.mark.parametrize("value", [-50.0, 0.0, 50.0])
def test_omega_is_positive_whatever_is_learnt(value):
    loss = make_loss()
    with torch.no_grad():
        loss.log_omega.fill_(value)
    assert loss.omega > 0


def test_vectors_of_distinct_news_give_the_same_loss_and_gradients_as_one_vector_a_slot(batch):
    # The news of a slot: the same one in several slots, 0 where the slot is empty.
    slots = torch.tensor([[1, 0, 2, 3, 4, 5, 6], [7, 1, 1, 2, 8, 9, 3], [0, 0, 1, 2, 3, 4, 5], [6, 6, 6, 7, 8, 9, 1]])
    table, tables = random(10, DIM), random(TEACHERS, 10, DIM, seed=3)
    dense, flat = Batch(**vars(batch)), Batch(**vars(batch))
    assert torch.equal(slots > 0, batch.news_mask)

    student = table.clone().requires_grad_()
    dense.student_news, dense.teacher_news = student[slots], tables[:, slots]
    loss = make_loss()
    expected = loss(**vars(dense))
    expected["loss"].backward()
    gradients = {name: p.grad.clone() for name, p in loss.named_parameters()}

    loss.zero_grad()
    flat.student_news, flat.teacher_news = table.clone().requires_grad_(), tables
    output = loss(**vars(flat), news_slots=slots)
    output["loss"].backward()
    for name in PARTS:
        assert output[name].item() == pytest.approx(expected[name].item(), abs=1e-10)
    torch.testing.assert_close(flat.student_news.grad, student.grad, rtol=0, atol=1e-10)
    for name, parameter in loss.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=1e-10)


def test_what_stands_in_an_empty_slot_does_not_matter(batch):
    loss = make_loss()
    before = loss(**vars(batch))["loss"].item()
    batch.student_news[~batch.news_mask] = 1e3
    batch.teacher_news[:, ~batch.news_mask] = -1e3
    assert loss(**vars(batch))["loss"].item() == before


def test_omega_learns_from_the_mixed_target_and_from_the_embedding_loss(batch):
    """The weights are not detached: both gradients are those of finite differences of the plain loops."""
    loss = make_loss()
    output = loss(**vars(batch))
    step = 1e-5
    sides = [by_hand(loss, batch, torch.tensor(sign * step, dtype=torch.float64).exp().item()) for sign in (1, -1)]
    for part in ("distill", "embedding"):
        (gradient,) = torch.autograd.grad(output[part], loss.log_omega, retain_graph=True)
        slope = (sides[0][part] - sides[1][part]) / (2 * step)
        assert abs(slope) > 1e-3
        assert gradient.item() == pytest.approx(slope, abs=1e-8)


def test_an_omega_that_is_not_learnt_is_one_and_gets_no_gradient(batch):
    loss = make_loss(learn_omega=False)
    output = loss(**vars(batch))
    output["loss"].backward()
    assert loss.log_omega.grad is None
    assert output["loss"].item() == pytest.approx(by_hand(loss, batch, 1.0)["loss"], abs=1e-9)


@pytest.mark.parametrize(("shared", "maps"), [(True, TEACHERS), (False, 2 * TEACHERS)])
def test_there_is_one_map_a_teacher_when_shared_and_two_otherwise(shared, maps):
    parameters = sum(p.numel() for p in make_loss(shared_projection=shared).parameters())
    assert parameters == maps * (DIM * DIM + DIM) + 1


def test_the_order_of_the_candidates_does_not_matter(batch):
    loss = make_loss()
    before = loss(**vars(batch))["loss"].item()
    order = torch.tensor([3, 1, 4, 0, 2])
    batch.student_scores, batch.teacher_scores = batch.student_scores[:, order], batch.teacher_scores[..., order]
    batch.labels = torch.argsort(order)[batch.labels]
    assert loss(**vars(batch))["loss"].item() == pytest.approx(before, abs=1e-12)
