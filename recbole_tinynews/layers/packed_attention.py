"""Attention inside texts that lie one after another, without padding between them."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from logging import getLogger

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from recbole_tinynews.layers.dropout import drop
from recbole_tinynews.layers.texts import Groups

_LONGEST_PADDED = 256

__all__ = ["packed_attention"]


@torch.compiler.disable
def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    groups: torch.Tensor,
    dropout: float = 0.0,
    scaling: float | None = None,
    spans: torch.Tensor | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attend inside each text of a packed batch, in the form that `transformers` asks for.

    Everything else in a layer works on single tokens and sees all texts as one long sequence, without padding. In
    bfloat16 on a GPU all texts attend in one call, :func:`~recbole_tinynews.layers.gpu_attention.attend`; else those of
    one length do. Torch's attention on a CPU knows no dropout, and in bfloat16 its backward pass is slow for short
    texts: there texts of similar length attend together, padded inside the attention only.

    Parameters
    ----------
    query, key, value : Tensor of shape (1, heads, tokens, head_dim)
        Projections of all tokens.
    groups : int64 Tensor of shape (groups, 2)
        How many texts of which length follow each other.
    spans : int32 Tensor of shape (2, tokens), optional
        In bfloat16 on a GPU: where the text of each token starts and ends.

    Returns
    -------
    Tensor of shape (1, tokens, heads, head_dim), and None
    """
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if spans is not None and query.dtype == torch.bfloat16 and _kernel_runs(query.device, query.dtype, query.shape[-1]):
        from recbole_tinynews.layers.gpu_attention import attend

        return attend(q, k, v, spans, int(groups[:, 1].max()), dropout, scaling).unsqueeze(0), None
    slow = query.requires_grad and query.dtype == torch.bfloat16 and bool((groups[:, 1] <= _LONGEST_PADDED).all())
    if query.device.type == "cpu" and (dropout or slow):
        alike, attend_alike = (lambda group: _padded(group[1])), _attend_padded
    else:
        alike, attend_alike = (lambda group: group[1]), _attend
    parts = [list(same) for _, same in groupby(groups.tolist(), alike)]
    sizes = [sum(number * length for number, length in part) for part in parts]
    cut = zip(q.split(sizes), k.split(sizes), v.split(sizes), parts, strict=True)
    attended = [attend_alike(*texts, dropout, scaling) for texts in cut]
    return torch.cat(attended).unsqueeze(0), None


@cache
def _kernel_runs(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Try whether the kernel runs here and gives what torch's attention gives, gradients too.

    It needs Triton, which comes with torch for GPUs on Linux, a C compiler, and a GPU with bfloat16.
    """
    try:
        from recbole_tinynews.layers.gpu_attention import attend

        # Not by chance: a run that goes on must draw the dropout that it would have drawn.
        numbers = torch.linspace(0, 500, 40 * 2 * head_dim, device=device).sin()
        text = numbers.view(40, 2, head_dim).to(dtype).requires_grad_()
        spans = torch.tensor([[0], [40]], device=device).expand(2, 40).int()
        with torch.enable_grad():
            ways = attend(text, text, text, spans, 40, 0.0, 0.125), _attend(text, text, text, [(1, 40)], 0.0, 0.125)
        gradients = [torch.autograd.grad(way, text, text.detach())[0] for way in ways]
        for found, expected in (ways, gradients):
            furthest = (found - expected).abs().max() / expected.abs().max()
            if not furthest < 0.05:
                raise ArithmeticError(f"{furthest:.2f} from torch's attention")
    except Exception as error:  # whatever is missing, attention has another way
        getLogger().info("attention length by length, since the GPU's kernel does not run: %s", error)
        return False
    return True


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, groups: Groups, dropout: float, scaling: float
) -> torch.Tensor:
    """Attend inside texts of one length; tensors of shape (tokens, heads, head_dim)."""
    texts = sum(number for number, _ in groups), groups[0][1]
    q, k, v = (tokens.unflatten(0, texts).transpose(1, 2) for tokens in (query, key, value))
    return scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling).transpose(1, 2).flatten(0, 1)


def _attend_padded(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, groups: Groups, dropout: float, scaling: float
) -> torch.Tensor:
    """Attend inside texts of several lengths, by products of matrices; shapes as in :func:`_attend`."""
    lengths = torch.tensor([length for number, length in groups for _ in range(number)])
    own = torch.arange(_padded(int(lengths.max()))) < lengths[:, None]  # (texts, width)
    slots = (own.flatten().cumsum(0) - 1).clamp(min=0)  # padding repeats the token before it
    q, k, v = (tokens.index_select(0, slots).unflatten(0, own.shape).transpose(1, 2) for tokens in (query, key, value))
    scores = ((q * scaling) @ k.transpose(-1, -2)).masked_fill(~own[:, None, None], -torch.inf)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(v.dtype)
    attended = drop(weights, dropout) @ v
    return attended.transpose(1, 2).flatten(0, 1).index_select(0, own.flatten().nonzero().squeeze(1))


def _padded(length: int) -> int:
    """Length to which a text is padded in attention: multiples of 8 (4 and 16 were slower)."""
    return -(-length // 8) * 8
