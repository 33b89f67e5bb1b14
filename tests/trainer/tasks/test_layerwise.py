"""Learning layer by layer, against Hugging Face's own hidden states of one text at a time."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from recbole_tinynews.data.clicks import ClickBatch
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import AttentiveUser, ClickModel, NewsMemory
from recbole_tinynews.layers.plm import _projections
from recbole_tinynews.trainer.tasks import LayerwiseDistillation, matched_layers
from tests.plm_fixtures import CONFIGS, make_encoder, make_news

DIM = 6
TITLES = make_news((4, 9, 4, 3, 9, 6))
CLICKS = ClickBatch(
    torch.tensor([[1, 2, 1], [4, 0, 0], [0, 0, 0]]),
    torch.tensor([[3, 1], [4, 5], [2, 6]]),
    torch.tensor([0, 1, 0]),
    torch.tensor([1, 2, 3]),
)
SLOTS = [1, 2, 1, 3, 1, 4, 4, 5, 2, 6]  # news in the batch, as often as they stand there
WEIGHTS = {"temperature": 2.0, "distill_weight": 0.7, "layer_weight": 0.4, "target_weight": 0.3}
MATCHED = {0: 2, 1: 3}  # a student of 2 layers, a teacher of 4


def click_model(folder, num_layers, seed, trained):
    model = ClickModel(make_encoder(folder, trained, DIM, seed, num_layers), AttentiveUser(DIM, 5))
    torch.nn.init.normal_(model.user_encoder.query.weight)
    with torch.no_grad():  # else the student's layers are the teacher's first ones
        for parameter in model.news_encoder.plm.layers.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
    return model


def make_task(folder, layer_loss="tinybert", matched=MATCHED, memory=None):
    student, teacher = click_model(folder, 2, 1, 2), click_model(folder, 4, 2, 2)
    table = teacher.news_table(TITLES, np.arange(1, 7))
    task = LayerwiseDistillation(student, teacher, table, TITLES, TITLES, matched, layer_loss, WEIGHTS, memory)
    return task, student, teacher


@torch.no_grad()
def by_hugging_face(model, row):
    """States after each layer of one news, from the encoder's own forward pass with its own attention."""
    plm = copy.deepcopy(model.news_encoder.plm.model)
    if plm._supports_attention_backend:
        plm.set_attn_implementation("eager")
    tokens = TITLES.values[TITLES.offsets[row] : TITLES.offsets[row + 1]].long()
    return [states[0] for states in plm(input_ids=tokens[None], output_hidden_states=True).hidden_states]


@torch.no_grad()
def scores_by_hand(model, states, layer):
    query, key = (linear(states[layer]) for linear in _projections(model.news_encoder.plm.layers[layer]))
    q, k = (part.view(len(part), 2, -1).transpose(0, 1) for part in (query, key))
    return q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])


def expected_layers(student, teacher, layer_loss, slots=SLOTS):
    """The mean over all slots of a batch, padding not counted."""
    total = 0.0
    for own, master in MATCHED.items():
        states, scores = [], []
        for row in slots:
            s, t = by_hugging_face(student, row), by_hugging_face(teacher, row)
            a, b = s[own + 1], t[master + 1]
            if layer_loss == "tinybert":
                states.append((a - b).square().mean(dim=1))
                scores.append((scores_by_hand(student, s, own) - scores_by_hand(teacher, t, master)).square().flatten())
            elif layer_loss == "distilbert":
                states.append(1 - cosine_similarity(a, b, dim=1))
            else:
                states.append((a[:1] / a[0].norm() - b[:1] / b[0].norm()).square().sum(dim=1))
        total += torch.cat(states).mean() + (torch.cat(scores).mean() if scores else 0)
    return total


@pytest.mark.parametrize("layer_loss", ["tinybert", "distilbert", "pkd"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_layers_are_compared_over_every_slot_of_a_batch(plm_folders, kind, layer_loss):
    task, student, teacher = make_task(plm_folders[kind], layer_loss)
    parts = task.eval()(CLICKS)
    torch.testing.assert_close(parts["layers"], expected_layers(student, teacher, layer_loss), rtol=1e-4, atol=1e-5)


def test_only_the_teachers_scores_are_divided_by_the_temperature(plm_folder):
    task, student, teacher = make_task(plm_folder)
    parts = task.eval()(CLICKS)
    rows = [(CLICKS.history[b], CLICKS.candidates[b]) for b in range(3)]

    def scores(model):
        vectors = model.encode_news(TITLES, np.arange(1, 7))
        users = [model.user_encoder(vectors[h[h > 0] - 1]) if (h > 0).any() else torch.zeros(DIM) for h, _ in rows]
        return torch.stack([vectors[c - 1] @ user for (_, c), user in zip(rows, users, strict=True)])

    own, masters = scores(student), scores(teacher)
    distill = -(torch.softmax(masters / 2.0, dim=1) * torch.log_softmax(own, dim=1)).sum(dim=1).mean()
    target = cross_entropy(own, CLICKS.labels)
    torch.testing.assert_close(parts["distill"], distill, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parts["target"], target, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parts["loss"], 0.7 * distill + 0.4 * parts["layers"] + 0.3 * target)


def test_packs_do_not_change_the_loss(plm_folder):
    task, student, teacher = make_task(plm_folder)
    whole = task.eval()(CLICKS)["layers"].detach()
    student.news_encoder.max_tokens = teacher.news_encoder.max_tokens = 8
    torch.testing.assert_close(task(CLICKS)["layers"], whole, rtol=1e-5, atol=1e-6)


def test_the_teacher_learns_nothing_and_the_students_layers_do(plm_folder):
    task, student, teacher = make_task(plm_folder)
    task(CLICKS)["loss"].backward()
    assert all(name.startswith("student.") for name in task.state_dict())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student.news_encoder.plm.layers.parameters())


def test_with_kept_vectors_only_news_that_are_encoded_are_compared(plm_folder):
    task, student, teacher = make_task(plm_folder, memory=NewsMemory(7, DIM, max_age=5))
    batch = ClickBatch(torch.tensor([[1, 2]]), torch.tensor([[3, 6]]), torch.tensor([0]), torch.tensor([1]))
    for slots in ([1, 2, 3, 6], [3, 6]):
        expected = expected_layers(student, teacher, "tinybert", slots)
        torch.testing.assert_close(task.eval()(batch)["layers"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("student", "teacher", "number", "how", "expected"),
    [
        (4, 12, 2, "last", {2: 10, 3: 11}),
        (1, 12, 2, "last", {0: 11}),
        (2, 6, 1, "last", {1: 5}),
        (4, 12, 2, "skip", {2: 8, 3: 11}),
        (4, 6, 4, "skip", {0: 1, 1: 2, 2: 3, 3: 5}),
        (2, 6, 0, "last", {}),
    ],
)
def test_layers_are_matched_from_the_end(student, teacher, number, how, expected):
    assert matched_layers(student, teacher, number, how) == expected


def test_an_encoder_without_queries_is_refused_in_one_line():
    with pytest.raises(InputError, match="queries and keys in a Linear"):
        _projections(torch.nn.Linear(2, 2))
