"""Attention inside texts that lie one after another, as one Triton kernel for all of them.

Kernels made for long texts give each text a block of a hundred and more rows of its own; a title fills an eighth of it.
Here a block holds as many texts as fit, whatever their lengths, and each row looks at the columns of its text only.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

__all__ = ["attend"]

_BLOCK = 32  # larger ones do not fit into registers with four warps
_LOG2_E = 1.4426950408889634


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    spans: torch.Tensor,
    longest: int,
    dropout: float,
    scaling: float,
) -> torch.Tensor:
    """Attend inside each text: ``softmax(scaling * Q K^T) V``.

    Parameters
    ----------
    query, key, value : Tensor of shape (tokens, heads, head_dim)
        Projections of all tokens, in bfloat16; sums are in float32. In float32 the kernels would compile, but need more
        shared memory than most GPUs have.
    spans : int32 Tensor of shape (2, tokens)
        Where the text of each token starts and ends.
    longest : int
        Most tokens of a text.
    dropout : float
        Share of attention weights that become zero.
    scaling : float
        Factor of the dot products.

    Returns
    -------
    Tensor of shape (tokens, heads, head_dim)
    """
    return _Attention.apply(query, key, value, spans, longest, dropout, scaling)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        spans: torch.Tensor,
        longest: int,
        dropout: float,
        scaling: float,
    ) -> torch.Tensor:
        query, key, value, spans = (tensor.contiguous() for tensor in (query, key, value, spans))
        output = torch.empty_like(query)
        sums = torch.empty(query.shape[:2], dtype=torch.float32, device=query.device)
        seed = torch.empty(1, dtype=torch.int64, device=query.device)
        if dropout:
            seed.random_(2**31)
        settings = _settings(query, longest, dropout, scaling)
        with torch.cuda.device_of(query):  # Triton's own is the current one
            _forward[_grid(query)](query, key, value, spans, output, sums, seed, **settings)
        ctx.save_for_backward(query, key, value, spans, output, sums, seed)
        ctx.settings = settings
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, spans, output, sums, seed = ctx.saved_tensors
        gradient = gradient.contiguous()
        means = (gradient.float() * output.float()).sum(-1)
        found = [torch.empty_like(query) for _ in range(3)]
        _backward[_grid(query)](query, key, value, spans, gradient, sums, means, *found, seed, **ctx.settings)
        return *found, None, None, None, None


def _grid(query: torch.Tensor) -> tuple[int, int]:
    return triton.cdiv(query.shape[0], _BLOCK), query.shape[1]


def _settings(query: torch.Tensor, longest: int, dropout: float, scaling: float) -> dict[str, Any]:
    tokens, heads, dim = query.shape
    return {
        "tokens": tokens, "longest": longest, "dropout": dropout, "scaling": scaling,
        "HEADS": heads, "DIM": dim, "WIDTH": max(16, triton.next_power_of_2(dim)), "BLOCK": _BLOCK,
        "DROPS": dropout > 0, "LOG2_E": _LOG2_E,
    }  # fmt: skip


@triton.jit
def _block(spans, tokens, BLOCK: tl.constexpr):
    """Rows of this program, where their texts start and end, and where the first of these starts and the last ends."""
    first = tl.program_id(0) * BLOCK
    rows = first + tl.arange(0, BLOCK)
    starts = tl.load(spans + rows, mask=rows < tokens, other=tokens)
    ends = tl.load(spans + tokens + rows, mask=rows < tokens, other=0)
    return rows, starts, ends, tl.load(spans + first), tl.load(spans + tokens + tl.minimum(first + BLOCK, tokens) - 1)


@triton.jit
def _tile(base, rows, head, tokens, HEADS: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr):
    """Rows of one head of a (tokens, heads, dim) tensor, zero beyond its end."""
    columns = tl.arange(0, WIDTH)
    places = (rows[:, None] * HEADS + head) * DIM + columns[None, :]
    return tl.load(base + places, mask=(rows[:, None] < tokens) & (columns[None, :] < DIM), other=0.0)


@triton.jit
def _put(base, values, rows, head, tokens, HEADS: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    places = (rows[:, None] * HEADS + head) * DIM + columns[None, :]
    inside = (rows[:, None] < tokens) & (columns[None, :] < DIM)
    tl.store(base + places, values.to(base.dtype.element_ty), mask=inside)


@triton.jit
def _kept(seed, queries, keys, starts, head, HEADS: tl.constexpr, longest, dropout):
    """Which weights stay; a number for each pair of tokens of a text and each head, the same in both passes."""
    return tl.rand(tl.load(seed), (queries * HEADS + head) * longest + keys - starts) >= dropout


@triton.jit
def _forward(
    query, key, value, spans, output, sums, seed,
    tokens, longest, dropout, scaling,
    HEADS: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
    DROPS: tl.constexpr, LOG2_E: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1)
    rows, starts, ends, lowest, beyond = _block(spans, tokens, BLOCK)
    q = _tile(query, rows, head, tokens, HEADS, DIM, WIDTH)
    highest = tl.full([BLOCK], -1e30, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    attended = tl.zeros([BLOCK, WIDTH], tl.float32)
    for first in range(lowest, beyond, BLOCK):
        others = first + tl.arange(0, BLOCK)
        k = _tile(key, others, head, tokens, HEADS, DIM, WIDTH)
        v = _tile(value, others, head, tokens, HEADS, DIM, WIDTH)
        own = (others[None, :] >= starts[:, None]) & (others[None, :] < ends[:, None])
        scores = tl.where(own, tl.dot(q, tl.trans(k)) * (scaling * LOG2_E), -1e30)
        higher = tl.maximum(highest, tl.max(scores, 1))
        weights = tl.where(own, tl.exp2(scores - higher[:, None]), 0.0)
        shrink = tl.exp2(highest - higher)
        total = total * shrink + tl.sum(weights, 1)
        if DROPS:
            kept = _kept(seed, rows[:, None], others[None, :], starts[:, None], head, HEADS, longest, dropout)
            weights = tl.where(kept, weights / (1 - dropout), 0.0)
        attended = attended * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        highest = higher
    total = tl.where(rows < tokens, total, 1.0)
    _put(output, attended / total[:, None], rows, head, tokens, HEADS, DIM, WIDTH)
    tl.store(sums + rows * HEADS + head, highest + tl.log2(total), mask=rows < tokens)


@triton.jit
def _backward(
    query, key, value, spans, gradient, sums, means, query_gradient, key_gradient, value_gradient, seed,
    tokens, longest, dropout, scaling,
    HEADS: tl.constexpr, DIM: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
    DROPS: tl.constexpr, LOG2_E: tl.constexpr,
):  # fmt: skip
    """Gradients of a block's queries, keys and values: who looks at it is whom it looks at, the tokens of its texts."""
    head = tl.program_id(1)
    rows, starts, ends, lowest, beyond = _block(spans, tokens, BLOCK)
    q = _tile(query, rows, head, tokens, HEADS, DIM, WIDTH)
    k = _tile(key, rows, head, tokens, HEADS, DIM, WIDTH)
    v = _tile(value, rows, head, tokens, HEADS, DIM, WIDTH)
    g = _tile(gradient, rows, head, tokens, HEADS, DIM, WIDTH)
    own_sum = tl.load(sums + rows * HEADS + head, mask=rows < tokens, other=0.0)
    own_mean = tl.load(means + rows * HEADS + head, mask=rows < tokens, other=0.0)
    of_query = tl.zeros([BLOCK, WIDTH], tl.float32)
    of_key = tl.zeros([BLOCK, WIDTH], tl.float32)
    of_value = tl.zeros([BLOCK, WIDTH], tl.float32)
    for first in range(lowest, beyond, BLOCK):
        others = first + tl.arange(0, BLOCK)
        own = (others[None, :] >= starts[:, None]) & (others[None, :] < ends[:, None])
        other_k = _tile(key, others, head, tokens, HEADS, DIM, WIDTH)
        other_v = _tile(value, others, head, tokens, HEADS, DIM, WIDTH)
        # The block's rows as queries.
        scores = tl.dot(q, tl.trans(other_k)) * (scaling * LOG2_E)
        weights = tl.where(own, tl.exp2(scores - own_sum[:, None]), 0.0)
        change = tl.dot(g, tl.trans(other_v))
        if DROPS:
            kept = _kept(seed, rows[:, None], others[None, :], starts[:, None], head, HEADS, longest, dropout)
            change = tl.where(kept, change / (1 - dropout), 0.0)
        change = weights * (change - own_mean[:, None]) * scaling
        of_query += tl.dot(change.to(other_k.dtype), other_k)
        # The block's rows as keys and values.
        other_q = _tile(query, others, head, tokens, HEADS, DIM, WIDTH)
        other_g = _tile(gradient, others, head, tokens, HEADS, DIM, WIDTH)
        other_sum = tl.load(sums + others * HEADS + head, mask=others < tokens, other=0.0)
        other_mean = tl.load(means + others * HEADS + head, mask=others < tokens, other=0.0)
        scores = tl.dot(k, tl.trans(other_q)) * (scaling * LOG2_E)
        weights = tl.where(own, tl.exp2(scores - other_sum[None, :]), 0.0)
        change = tl.dot(v, tl.trans(other_g))
        given = weights
        if DROPS:
            kept = _kept(seed, others[None, :], rows[:, None], starts[:, None], head, HEADS, longest, dropout)
            change = tl.where(kept, change / (1 - dropout), 0.0)
            given = tl.where(kept, weights / (1 - dropout), 0.0)
        of_value += tl.dot(given.to(other_g.dtype), other_g)
        change = weights * (change - other_mean[None, :]) * scaling
        of_key += tl.dot(change.to(other_q.dtype), other_q)
    _put(query_gradient, of_query, rows, head, tokens, HEADS, DIM, WIDTH)
    _put(key_gradient, of_key, rows, head, tokens, HEADS, DIM, WIDTH)
    _put(value_gradient, of_value, rows, head, tokens, HEADS, DIM, WIDTH)
