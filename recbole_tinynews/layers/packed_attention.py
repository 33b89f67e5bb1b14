"""Attention inside texts that lie one after another, without padding between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import nn
from torch.nested import nested_tensor_from_jagged
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from recbole_tinynews.layers.dropout import drop

Groups = Sequence[tuple[int, int]]
_LONGEST_PADDED = 256

__all__ = ["Groups", "packed_attention", "text_offsets"]


def text_offsets(groups: Groups, device: torch.device) -> torch.Tensor:
    """Where each text starts, and where the last one ends: int64 Tensor of shape (texts + 1,).

    Parameters
    ----------
    groups : sequence of (number, length)
        How many texts of which length follow each other.
    device : torch.device
        Where it is wanted; a GPU is not waited for.
    """
    numbers, lengths = torch.tensor(groups).unbind(1)
    offsets = pad(lengths.repeat_interleave(numbers).cumsum(0), (1, 0))
    return offsets.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else offsets


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
    offsets: torch.Tensor | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attend inside each text of a packed batch, in the form that `transformers` asks for.

    Everything else in a layer works on single tokens and sees all texts as one long sequence, without
    padding. On a GPU all texts attend in one call that knows where each starts; on a CPU, which has no such call,
    texts of one length attend together. Torch's attention on a CPU knows no dropout, and in bfloat16 its backward pass
    is slow for short texts: there texts of similar length attend together, padded inside the attention only.

    Parameters
    ----------
    query, key, value : Tensor of shape (1, heads, tokens, head_dim)
        Projections of all tokens.
    groups : int64 Tensor of shape (groups, 2)
        How many texts of which length follow each other.
    offsets : int64 Tensor of shape (texts + 1,), optional
        On a GPU: the same as :func:`text_offsets` gives it.

    Returns
    -------
    Tensor of shape (1, tokens, heads, head_dim), and None
    """
    projections = [tensor[0].transpose(0, 1) for tensor in (query, key, value)]
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if offsets is not None:
        return _attend_jagged(projections, groups[:, 1], offsets, dropout, scaling).unsqueeze(0), None
    slow = query.requires_grad and query.dtype == torch.bfloat16 and bool((groups[:, 1] <= _LONGEST_PADDED).all())
    if query.device.type == "cpu" and (dropout or slow):
        alike, attend = (lambda group: _padded(group[1])), _attend_padded
    else:
        alike, attend = (lambda group: group[1]), _attend
    parts = [list(same) for _, same in groupby(groups.tolist(), alike)]
    sizes = [sum(number * length for number, length in part) for part in parts]
    cut = zip(*(tokens.split(sizes) for tokens in projections), strict=True)
    attended = [attend(q, k, v, part, dropout, scaling) for (q, k, v), part in zip(cut, parts, strict=True)]
    return torch.cat(attended).unsqueeze(0), None


def _attend_jagged(
    projections: Sequence[torch.Tensor], lengths: torch.Tensor, offsets: torch.Tensor, dropout: float, scaling: float
) -> torch.Tensor:
    """Attend inside texts of any lengths; projections of shape (tokens, heads, head_dim)."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    texts = [
        nested_tensor_from_jagged(tokens, offsets, min_seqlen=shortest, max_seqlen=longest) for tokens in projections
    ]
    q, k, v = (tokens.transpose(1, 2) for tokens in texts)
    return scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling).transpose(1, 2).values()


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


AttentionInterface.register("packed", packed_attention)
