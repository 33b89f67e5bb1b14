"""Teacher and student together, against losses by hand and a ten-line toy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from recbole_tinynews.layers import NewsMemory
from recbole_tinynews.trainer.tasks import JointTraining, blend_gradients
from tests.trainer.tasks.test_layerwise import CLICKS, DIM, SLOTS, TITLES, by_hugging_face, click_model

WEIGHTS = {
    "temperature": 2.0, "distill_weight": 0.7, "layer_weight": 0.4, "embedding_weight": 0.6, "target_weight": 0.3,
    "momentum": 0.25,
}  # fmt: skip


@pytest.fixture
def task(plm_folder):
    student, teacher = click_model(plm_folder, 2, 1, 2), click_model(plm_folder, 4, 2, 2)
    return JointTraining(student, teacher, TITLES, TITLES, {0: 2, 1: 3}, WEIGHTS).eval()


def test_all_but_the_layers_is_shared(task):
    student, teacher = task.student, task.teacher
    assert student.user_encoder is teacher.user_encoder
    assert student.news_encoder.pooling is teacher.news_encoder.pooling
    assert student.news_encoder.dense is teacher.news_encoder.dense
    assert student.news_encoder.plm is not teacher.news_encoder.plm


def test_the_loss_is_that_of_both_by_hand(task):
    student, teacher = task.student, task.teacher
    vectors = {}
    for name, model in (("s", student), ("t", teacher)):
        news = model.encode_news(TITLES, np.arange(1, 7))
        histories = [h[h > 0] - 1 for h in CLICKS.history]
        users = torch.stack([model.user_encoder(news[h]) if len(h) else torch.zeros(DIM) for h in histories])
        scores = torch.stack([news[c - 1] @ user for c, user in zip(CLICKS.candidates, users, strict=True)])
        vectors[name] = news, users.detach(), scores.detach()
    (news_s, user_s, s), (news_t, user_t, t) = vectors["s"], vectors["t"]
    slots = torch.tensor(SLOTS) - 1
    layers = sum(
        torch.cat(
            [(by_hugging_face(student, r)[o + 1] - by_hugging_face(teacher, r)[m + 1]).square().mean(1) for r in SLOTS]
        ).mean()
        for o, m in {0: 2, 1: 3}.items()
    )
    expected = {
        "teacher_target": cross_entropy(t, CLICKS.labels),
        "distill": -(torch.softmax(t / 2, 1) * torch.log_softmax(s, 1)).sum(1).mean(),
        "target": cross_entropy(s, CLICKS.labels),
        "layer": layers,
        "embedding": (news_s - news_t).square().mean(1)[slots].mean() + (user_s - user_t).square().mean(),
    }
    parts = task(CLICKS)
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-5, msg=name)
    weights = {"teacher_target": 1.0, **{name: WEIGHTS[f"{name}_weight"] for name in expected if name[0] != "t"}}
    weights["target"] = WEIGHTS["target_weight"]
    total = sum(weight * expected[name] for name, weight in weights.items())
    torch.testing.assert_close(parts["loss"], total, rtol=1e-4, atol=1e-5)


def test_the_teachers_layers_learn_from_clicks_alone(task):
    parts = task(CLICKS)
    layers = list(task.teacher.news_encoder.plm.layers[2:].parameters())
    of_all = torch.autograd.grad(parts["loss"], layers, retain_graph=True)
    of_clicks = torch.autograd.grad(parts["teacher_target"], layers)
    for one, other in zip(of_all, of_clicks, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_gradients_are_blended_as_by_hand():
    student, *teachers = (nn.Linear(2, 1, bias=False) for _ in range(3))
    student.weight.grad = torch.tensor([[1.0, 2.0]])
    teachers[0].weight.grad = torch.tensor([[3.0, 0.0]])
    teachers[1].weight.grad = torch.tensor([[5.0, 4.0]])
    blend_gradients(student, teachers[:1], 0.1)
    assert student.weight.grad.tolist() == [pytest.approx([0.9 * 1 + 0.1 * 3, 0.9 * 2])]
    blend_gradients(student, teachers, 0.5)
    assert student.weight.grad.tolist() == [pytest.approx([0.5 * 1.2 + 0.5 * 4, 0.5 * 1.8 + 0.5 * 2])]
    assert teachers[0].weight.grad.tolist() == [[3.0, 0.0]]


@pytest.mark.parametrize(("depth", "pairs"), [(2, {0: [2], 1: [3]}), (1, {0: [2, 3]})])
def test_after_a_step_matched_layers_have_a_share_of_the_teachers_gradients(plm_folder, depth, pairs):
    student, teacher = click_model(plm_folder, depth, 1, 2), click_model(plm_folder, 4, 2, 2)
    matched = {0: 2, 1: 3} if depth == 2 else {0: 3}
    task = JointTraining(student, teacher, TITLES, TITLES, matched, WEIGHTS)
    task(CLICKS)["loss"].backward()

    def gradients(plm, number):
        return [parameter.grad.clone() for parameter in plm.layers[number].parameters()]

    own, masters = student.news_encoder.plm, teacher.news_encoder.plm
    expected = {}
    for layer, of_teacher in pairs.items():
        theirs = [torch.stack(g).mean(0) for g in zip(*(gradients(masters, n) for n in of_teacher), strict=True)]
        expected[layer] = [0.75 * a + 0.25 * b for a, b in zip(gradients(own, layer), theirs, strict=True)]
    task.after_backward()
    for layer, values in expected.items():
        for value, gradient in zip(values, gradients(own, layer), strict=True):
            torch.testing.assert_close(gradient, value, rtol=1e-5, atol=1e-8)


def test_kept_vectors_are_those_of_both(plm_folder, task):
    kept = JointTraining(
        task.student, task.teacher, TITLES, TITLES, task.matched, WEIGHTS, NewsMemory(7, 2 * DIM, 5)
    ).eval()
    exact = task(CLICKS)
    for _ in range(2):  # nothing has been learnt in between
        for name, value in kept(CLICKS).items():
            torch.testing.assert_close(value, exact[name])
