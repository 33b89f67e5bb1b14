"""Dropout by random bits, against what dropout is."""

from __future__ import annotations

import pytest
import torch

from recbole_tinynews.layers.dropout import Dropout, drop


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_share_of_values_is_dropped_and_the_others_are_scaled_to_the_same_mean(share, dtype):
    torch.manual_seed(0)
    dropped = drop(torch.ones(1_000_003, dtype=dtype), share)  # not a multiple of the numbers in a word
    values = dropped.unique().tolist()
    assert values[0] == 0
    assert values[1:] == [pytest.approx(1 / (1 - share), rel=5e-3 if dtype == torch.bfloat16 else 1e-4)]
    # Five standard deviations of a mean of a million draws.
    assert (dropped == 0).double().mean().item() == pytest.approx(share, abs=5 * (share * (1 - share) / 1e6) ** 0.5)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    kept = (drop(torch.ones(1_000_000), 0.5) > 0).double()
    for distance in (1, 2, 3, 4, 384):
        both = (kept[:-distance] * kept[distance:]).mean().item()
        assert both == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 1e6) ** 0.5)


def test_gradients_pass_where_values_did_with_the_same_factor():
    values = torch.ones(10, 7, requires_grad=True)
    dropped = drop(values, 0.3)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, dropped.detach())


def test_the_same_seed_drops_the_same():
    values = torch.ones(100)
    torch.manual_seed(5)
    first = drop(values, 0.5)
    second = drop(values, 0.5)
    torch.manual_seed(5)
    torch.testing.assert_close(drop(values, 0.5), first, rtol=0, atol=0)
    assert not torch.equal(first, second)


def test_a_share_that_rounds_to_all_still_leaves_finite_values():
    torch.manual_seed(0)
    dropped = drop(torch.ones(1_000_000), 0.999999)
    assert dropped.isfinite().all()
    assert 0 < (dropped > 0).sum() < 50  # 15 expected, of 16 bits


def test_the_module_with_share_one_drops_all_as_torchs_does():
    assert Dropout(1.0)(torch.ones(5)).tolist() == [0] * 5


def test_the_module_drops_in_training_only_and_nothing_with_share_zero():
    values = torch.ones(1000)
    assert (Dropout(0.5)(values) == 0).any()
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
