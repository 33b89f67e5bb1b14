"""The GPU's attention kernel, against torch's attention on each text alone; without a GPU Triton interprets it."""

from __future__ import annotations

import os

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from recbole_tinynews.layers.packed_attention import _kernel_runs
from recbole_tinynews.layers.texts import text_spans

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("needs a GPU, or Triton and TRITON_INTERPRET=1", allow_module_level=True)
pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for GPUs")

from recbole_tinynews.layers import gpu_attention  # noqa: E402
from recbole_tinynews.layers.gpu_attention import attend  # noqa: E402

GROUPS = [(3, 5), (1, 8), (2, 9), (1, 4), (2, 17), (1, 1), (1, 150)]  # not ordered; the last one fills three blocks
SPANS = text_spans(GROUPS, DEVICE).int()
HEADS, LONGEST, SCALE = 3, 150, 0.3
# The interpreter knows no bfloat16.
TOLERANCES = {torch.float32: 1e-5, torch.float16: 5e-3} | ({torch.bfloat16: 4e-2} if DEVICE.type == "cuda" else {})


def draw(dim, dtype=torch.float32):
    random = torch.Generator().manual_seed(0)
    shape = SPANS.shape[1], HEADS, dim
    return [torch.randn(shape, generator=random).to(DEVICE, dtype).requires_grad_() for _ in range(4)]


def attend_alone(query, key, value):
    texts = [slice(*bounds) for bounds in SPANS.T.unique(dim=0).tolist()]
    found = [
        scaled_dot_product_attention(*(t[rows].transpose(0, 1) for t in (query, key, value)), scale=SCALE)
        for rows in texts
    ]
    return torch.cat(found, dim=1).transpose(0, 1)


@pytest.mark.parametrize("dim", [8, 24, 64])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_each_text_attends_as_if_alone_and_so_do_gradients(dim, dtype):
    *projections, weights = draw(dim, dtype)
    exact = [tensor.detach().double().requires_grad_() for tensor in projections]
    got, expected = attend(*projections, SPANS, LONGEST, 0.0, SCALE), attend_alone(*exact)
    bounds = {"rtol": 0, "atol": TOLERANCES[dtype]}
    torch.testing.assert_close(got.double(), expected, **bounds)
    found = torch.autograd.grad(got, projections, weights.detach())
    for own, alone in zip(found, torch.autograd.grad(expected, exact, weights.detach().double()), strict=True):
        torch.testing.assert_close(own.double(), alone, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


def test_with_dropout_gradients_are_those_of_the_weights_that_were_kept():
    *projections, weights = draw(8)

    def loss():
        torch.manual_seed(3)
        return (attend(*projections, SPANS, LONGEST, 0.3, SCALE) * weights).sum()

    for tensor, gradient in zip(projections, torch.autograd.grad(loss(), projections), strict=True):
        step = 1e-2 * torch.randn_like(tensor) / tensor.numel() ** 0.5
        with torch.no_grad():
            tensor += step
            above = loss()
            tensor -= 2 * step
            below = loss()
            tensor += step
        torch.testing.assert_close(above - below, 2 * (gradient * step).sum(), rtol=0.02, atol=1e-3)


def test_dropped_weights_keep_the_mean_and_are_drawn_for_each_token_and_head():
    spans = text_spans([(4, 5)], DEVICE).int()
    query, key, value, _ = (tensor.detach()[:20] for tensor in draw(8))
    torch.manual_seed(0)
    draws = [attend(query, key, torch.ones_like(value), spans, 5, 0.3, SCALE)[..., 0] for _ in range(100)]
    values = torch.stack(draws).flatten(1)  # (draws, tokens and heads)
    torch.testing.assert_close(values.mean(dim=0), torch.ones_like(values[0]), rtol=0, atol=0.3)
    assert abs(values.mean() - 1) < 0.02
    shared = values.T.corrcoef() - torch.eye(values.shape[1], device=DEVICE)
    assert shared.abs().max() < 0.5


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_first_try_takes_the_kernel_where_it_runs(dtype):
    assert _kernel_runs.__wrapped__(DEVICE, dtype, 64)


@pytest.mark.parametrize("wrong", ["_forward", "_backward"])
def test_the_first_try_refuses_a_kernel_that_gives_other_values_or_gradients(wrong, monkeypatch):
    class Halved:
        def __init__(self, kernel):
            self.kernel = kernel

        def __getitem__(self, grid):
            def run(*tensors, scaling, **settings):
                self.kernel[grid](*tensors, scaling=scaling / 2, **settings)

            return run

    monkeypatch.setattr(gpu_attention, wrong, Halved(getattr(gpu_attention, wrong)))
    assert not _kernel_runs.__wrapped__(DEVICE, torch.float16, 32)
