"""Soft labels against their formula in plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from recbole_tinynews.losses import soft_label_loss
from tests.losses.by_hand import kd, random


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_loss_is_the_cross_entropy_of_the_two_softmaxes_without_a_squared_temperature(temperature):
    student, teacher = random(4, 5), random(4, 5)
    assert soft_label_loss(student, teacher, temperature).item() == pytest.approx(
        kd(student.tolist(), teacher.tolist(), temperature), abs=1e-9
    )


def test_a_hand_computed_case():
    student = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)  # 1/4, 3/4
    teacher = torch.tensor([[math.log(9.0), 0.0]], dtype=torch.float64)  # 9/10, 1/10
    expected = -(0.9 * math.log(0.25) + 0.1 * math.log(0.75))
    assert soft_label_loss(student, teacher).item() == pytest.approx(expected, abs=1e-12)


def test_a_constant_added_to_a_users_scores_changes_nothing():
    student, teacher = random(3, 4), random(3, 4)
    shift = torch.tensor([[10.0], [-3.0], [100.0]], dtype=torch.float64)
    assert soft_label_loss(student + shift, teacher - shift).item() == pytest.approx(
        soft_label_loss(student, teacher).item(), abs=1e-9
    )


def test_huge_scores_do_not_overflow():
    scores = torch.tensor([[3e4, -3e4, 0.0]], dtype=torch.float16)
    assert soft_label_loss(scores, scores).item() == 0


def test_the_gradient_is_the_difference_of_the_distributions_over_batch_and_temperature():
    student, teacher = random(3, 4).requires_grad_(), random(3, 4)
    soft_label_loss(student, teacher, 2.0).backward()
    expected = ((student / 2).softmax(1) - (teacher / 2).softmax(1)) / (3 * 2)
    torch.testing.assert_close(student.grad, expected.detach(), rtol=0, atol=1e-12)
