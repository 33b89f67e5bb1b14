"""Where an encoder starts, against numpy's own decompositions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recbole_tinynews.layers.initial import principal_directions, regression, start_from
from tests.plm_fixtures import HIDDEN, make_encoder, make_news

COUNT = 60
NEWS = make_news(tuple(np.random.default_rng(1).integers(3, 20, size=COUNT)))
ROWS = np.arange(1, COUNT + 1)


def fresh(folder, news_dim, seed=5):
    """An untrained encoder in double precision, its pooling the mean."""
    encoder = make_encoder(folder, news_dim=news_dim, seed=seed).double()
    torch.nn.init.zeros_(encoder.pooling.query.weight)
    return encoder


def pooled_states(encoder) -> np.ndarray:
    """Mean token state of each news, one news at a time."""
    with torch.no_grad():
        return np.stack([
            encoder.plm(encoder.plm.frozen_states(tokens, text), text).mean(dim=0).numpy()
            for tokens, text in ((NEWS.packed(np.array([row])), [(1, NEWS.lengths[row])]) for row in ROWS)
        ])


def vectors(encoder) -> np.ndarray:
    with torch.no_grad():
        return encoder(NEWS, ROWS).numpy()


@pytest.mark.parametrize("news_dim", [HIDDEN, 5])
def test_dot_products_are_those_of_the_centred_states_along_their_main_directions(plm_folder, news_dim):
    encoder = fresh(plm_folder, news_dim)
    start_from(encoder, principal_directions(encoder, NEWS, ROWS))
    states = pooled_states(encoder)
    centred = states - states.mean(axis=0)
    directions = np.linalg.svd(centred)[2][:news_dim]
    expected = (centred @ directions.T) @ (centred @ directions.T).T
    dots = vectors(encoder) @ vectors(encoder).T
    scale = expected[0, 0] / dots[0, 0]
    np.testing.assert_allclose(dots * scale, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_the_ranking_by_centred_dot_products_is_kept(plm_folder):
    encoder = fresh(plm_folder, HIDDEN)
    start_from(encoder, principal_directions(encoder, NEWS, ROWS))
    states = pooled_states(encoder)
    centred = states - states.mean(axis=0)
    np.testing.assert_array_equal(
        np.argsort(centred @ centred.T, axis=1), np.argsort(vectors(encoder) @ vectors(encoder).T, axis=1)
    )


def test_scores_of_different_news_spread_by_about_one(plm_folder):
    encoder = fresh(plm_folder, HIDDEN)
    start_from(encoder, principal_directions(encoder, NEWS, ROWS))
    dots = vectors(encoder) @ vectors(encoder).T
    assert dots[~np.eye(COUNT, dtype=bool)].std() == pytest.approx(1, abs=0.15)


def test_dimensions_beyond_the_hidden_size_keep_their_random_values(plm_folder):
    encoder = fresh(plm_folder, HIDDEN + 4)
    before = encoder.dense.weight.detach().clone()
    start_from(encoder, principal_directions(encoder, NEWS, ROWS))
    assert torch.equal(encoder.dense.weight[HIDDEN:], before[HIDDEN:])
    assert not torch.equal(encoder.dense.weight[:HIDDEN], before[:HIDDEN])


def test_fewer_news_than_dimensions_are_enough(plm_folder):
    encoder = fresh(plm_folder, HIDDEN)
    start_from(encoder, principal_directions(encoder, NEWS, ROWS[:3]))
    assert encoder.dense.weight.isfinite().all()


def test_a_student_starts_at_the_ridge_solution_for_its_teachers_vectors(plm_folder):
    teacher, student = fresh(plm_folder, 5, seed=7), fresh(plm_folder, 5, seed=8)
    del student.plm.layers[2:]
    start_from(student, regression(student, teacher, NEWS, ROWS))
    states, target = pooled_states(student), vectors(teacher)
    # Least squares with one row more for each direction: sqrt(alpha) times the direction shall be 0; alpha is 1.
    centred = states - states.mean(axis=0)
    system = np.concatenate([centred, np.eye(HIDDEN)])
    right = np.concatenate([target - target.mean(axis=0), np.zeros((HIDDEN, 5))])
    weight = np.linalg.lstsq(system, right, rcond=None)[0].T
    np.testing.assert_allclose(student.dense.weight.detach().numpy(), weight, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        student.dense.bias.detach().numpy(), target.mean(axis=0) - weight @ states.mean(axis=0), rtol=0, atol=1e-9
    )


def test_nothing_but_the_linear_map_is_changed(plm_folder):
    teacher, student = fresh(plm_folder, 5, seed=7), fresh(plm_folder, 5, seed=8)
    for start, models in (
        (lambda: start_from(student, principal_directions(student, NEWS, ROWS)), (student,)),
        (lambda: start_from(student, regression(student, teacher, NEWS, ROWS)), (student, teacher)),
    ):
        before = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models]
        start()
        changed = [
            {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, old[name])}
            for model, old in zip(models, before, strict=True)
        ]
        assert changed[0] == {"dense.weight", "dense.bias"}
        assert changed[1:] in ([], [set()])


def test_the_start_is_the_same_each_time(plm_folder):
    weights = []
    for _ in range(2):
        encoder = fresh(plm_folder, HIDDEN)
        start_from(encoder, principal_directions(encoder, NEWS, ROWS))
        weights.append(encoder.dense.weight)
    assert torch.equal(*weights)
