"""Weights of teachers against their formula in plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from recbole_tinynews.losses import teacher_weights
from tests.losses.by_hand import ce, random, softmax


@pytest.mark.parametrize("omega", [0.3, 1.0, 4.0])
def test_weights_are_the_softmax_over_teachers_of_minus_omega_times_each_samples_loss(omega):
    scores, labels = random(3, 4, 5), torch.tensor([0, 4, 2, 2])
    expected = [softmax([-omega * ce(scores[i, b].tolist(), int(labels[b])) for i in range(3)]) for b in range(4)]
    torch.testing.assert_close(
        teacher_weights(scores, labels, omega), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9
    )


def test_a_hand_computed_case():
    # The first teacher gives the clicked one 3/4, the second 1/4; losses are -log of these, so weights are as 3 to 1.
    scores = torch.tensor([[[math.log(3.0), 0.0]], [[0.0, math.log(3.0)]]], dtype=torch.float64)
    weights = teacher_weights(scores, torch.tensor([0]))
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]], dtype=torch.float64), rtol=0, atol=1e-12)


def test_one_teacher_has_all_the_weight():
    assert teacher_weights(random(1, 3, 2), torch.tensor([0, 1, 0])).tolist() == [[1.0]] * 3


def test_teachers_that_are_hopelessly_wrong_are_still_weighed_without_overflow():
    scores = torch.tensor([[[-3e4, 3e4]], [[-3e4, 3e4]]])
    assert teacher_weights(scores, torch.tensor([0])).tolist() == [[0.5, 0.5]]


def test_omega_gets_the_gradient_of_the_formula():
    scores, labels = random(3, 4, 5), torch.tensor([0, 4, 2, 2])
    omega = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    teacher_weights(scores, labels, omega)[:, 0].sum().backward()
    step = 1e-6
    up, down = (teacher_weights(scores, labels, 1.3 + sign * step)[:, 0].sum().item() for sign in (1, -1))
    assert omega.grad.item() == pytest.approx((up - down) / (2 * step), abs=1e-8)
