"""Title-body matching against its formulas in plain loops."""

from __future__ import annotations

import pytest
import torch

from recbole_tinynews.losses import MatchingDistillationLoss, matching_scores
from tests.losses.by_hand import ce, kd, learn_something, mapped, mean, random, softmax, squared_error

BATCH, NEGATIVES, DIM = 5, 3, 4


@pytest.fixture
def negatives() -> torch.Tensor:
    return torch.tensor([[1, 2, 3], [0, 4, 2], [4, 3, 1], [2, 0, 1], [3, 0, 2]])


def scores_by_hand(titles, bodies, negatives):
    return [
        [sum(float(x) * float(y) for x, y in zip(bodies[b], titles[t], strict=True)) for t in [b, *negatives[b]]]
        for b in range(len(bodies))
    ]


def test_column_zero_is_the_own_title_and_the_others_are_the_given_ones(negatives):
    titles, bodies = random(BATCH, DIM), random(BATCH, DIM, seed=1)
    expected = torch.tensor(scores_by_hand(titles, bodies, negatives.tolist()), dtype=torch.float64)
    torch.testing.assert_close(matching_scores(titles, bodies, negatives), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("teachers", [1, 3])
@pytest.mark.parametrize(
    ("temperature", "target_weight", "distill_weight", "embedding_weight"), [(1.0, 1.0, 1.0, 1.0), (2.0, 0.7, 0.3, 5.0)]
)
def test_loss_and_parts_equal_plain_loops(
    negatives, teachers, temperature, target_weight, distill_weight, embedding_weight
):
    """One teacher: the first version of the paper; several, each with its linear map: the later one."""
    weights = (target_weight, distill_weight, embedding_weight)
    loss = MatchingDistillationLoss(DIM, teachers, temperature, *weights).double()
    learn_something(loss)
    maps = [None] if teachers == 1 else list(loss.projections)
    titles, bodies = random(BATCH, DIM), random(BATCH, DIM, seed=1)
    teacher_titles, teacher_bodies = random(teachers, BATCH, DIM, seed=2), random(teachers, BATCH, DIM, seed=3)
    output = loss(titles, bodies, teacher_titles, teacher_bodies, negatives)

    scores = scores_by_hand(titles, bodies, negatives.tolist())
    of_teachers = [
        scores_by_hand(t, b, negatives.tolist())
        for t, b in zip(teacher_titles, teacher_bodies, strict=True)
    ]
    trust = [softmax([-ce(of_teachers[i][b], 0) for i in range(teachers)]) for b in range(BATCH)]
    mixed = [
        [sum(trust[b][i] * of_teachers[i][b][c] for i in range(teachers)) for c in range(1 + NEGATIVES)]
        for b in range(BATCH)
    ]
    embedding = mean([
        sum(
            trust[b][i] * squared_error(vectors[b].tolist(), mapped(maps[i], of_teacher[i, b].tolist()))
            for i in range(teachers)
            for vectors, of_teacher in ((titles, teacher_titles), (bodies, teacher_bodies))
        )
        for b in range(BATCH)
    ])  # fmt: skip
    target = mean([ce(row, 0) for row in scores])
    distill = kd(scores, mixed, temperature)
    expected = {"distill": distill, "embedding": embedding, "target": target}
    expected["loss"] = distill_weight * distill + embedding_weight * embedding + target_weight * target
    assert {name: output[name].item() for name in expected} == pytest.approx(expected, abs=1e-9)


def test_a_single_teacher_has_no_map_to_learn():
    assert list(MatchingDistillationLoss(DIM, 1).parameters()) == []
    assert len(list(MatchingDistillationLoss(DIM, 2).parameters())) == 4


def test_a_student_that_equals_its_teacher_has_no_embedding_loss(negatives):
    titles, bodies = random(BATCH, DIM), random(BATCH, DIM, seed=1)
    output = MatchingDistillationLoss(DIM)(titles, bodies, titles[None], bodies[None], negatives)
    assert output["embedding"].item() == 0
