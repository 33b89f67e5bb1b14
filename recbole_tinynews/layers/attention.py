"""Attention: additive, and of a sequence to itself."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from recbole_tinynews.layers.texts import Groups, text_offsets

__all__ = ["AdditiveAttention", "SelfAttention"]


class AdditiveAttention(nn.Module):
    """Pool a sequence of vectors into one: ``sum_p softmax_p(q^T tanh(W h_p + b)) h_p``.

    Used over the tokens of a news and over the clicks of a user (paper, section 3.1).

    The query starts at zero, so that an untrained pooling is the mean.

    Parameters
    ----------
    dim : int
        Size of the vectors.
    query_dim : int
        Size of the query.
    """

    def __init__(self, dim: int, query_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, query_dim)
        self.query = nn.Linear(query_dim, 1)
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Pool.

        Parameters
        ----------
        vectors : Tensor of shape (..., n, dim)
            The sequences.
        mask : bool Tensor of shape (..., n), optional
            True where there is something to attend to. The pool of nothing is the zero vector.

        Returns
        -------
        Tensor of shape (..., dim)
        """
        logits = self.logits(vectors)
        if mask is not None:
            # A finite value instead of -inf: a row without anything then has weights, which the mask clears.
            logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
        weights = torch.softmax(logits, dim=-1)
        return weighted_sum(weights if mask is None else weights * mask, vectors)

    def packed(self, vectors: torch.Tensor, groups: Groups) -> torch.Tensor:
        """Pool sequences that lie one after another, without padding.

        On a GPU in a few calls for all of them, on a CPU length by length, which is faster there.

        Parameters
        ----------
        vectors : Tensor of shape (total, dim)
            The sequences.
        groups : sequence of (number, length)
            How many sequences of which length follow each other.

        Returns
        -------
        Tensor of shape (sequences, dim)
        """
        logits = self.logits(vectors)
        if vectors.device.type == "cuda":
            return _pool_segments(logits.float(), vectors, text_offsets(groups, vectors.device))
        sizes = [number * length for number, length in groups]
        parts = zip(logits.split(sizes), vectors.split(sizes), groups, strict=True)
        return torch.cat(
            [
                weighted_sum(torch.softmax(logits.view(group), dim=-1), rows.unflatten(0, group))
                for logits, rows, group in parts
            ]
        )

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Attention before the softmax, shape (...,) for vectors of shape (..., dim)."""
        return self.query(torch.tanh(self.projection(vectors))).squeeze(-1)


class SelfAttention(nn.Module):
    """Let each vector of a sequence look at all of them, with several heads and no linear map behind them.

    NRMS (Wu et al., EMNLP 2019, section 2.1).

    Parameters
    ----------
    dim : int
        Size of the vectors.
    heads, head_dim : int
        Number of heads, and what each of them gives.
    """

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.projections = nn.Linear(dim, 3 * heads * head_dim, bias=False)  # queries, keys and values

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attend.

        Parameters
        ----------
        vectors : Tensor of shape (..., n, dim)
            The sequences.
        mask : bool Tensor of shape (..., n), optional
            True where there is something to attend to.

        Returns
        -------
        Tensor of shape (..., n, heads * head_dim)
            Without meaning where ``mask`` is False.
        """
        query, key, value = self.projections(vectors).unflatten(-1, (3, self.heads, -1)).transpose(-2, -4).unbind(-3)
        if mask is not None:
            mask = (mask | ~mask.any(dim=-1, keepdim=True))[..., None, None, :]  # a softmax of nothing is NaN
        states = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return states.transpose(-2, -3).flatten(-2)


def _pool_segments(logits: torch.Tensor, vectors: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Sum (total, dim) vectors over each segment, weighted by the softmax of its (total,) logits."""

    def reduced(values: torch.Tensor, how: str) -> torch.Tensor:
        return torch.segment_reduce(values, how, offsets=offsets, unsafe=True)  # unsafe: without waiting for a check

    highest = reduced(logits.detach(), "max").repeat_interleave(offsets.diff(), output_size=len(logits))
    weights = (logits - highest).exp()
    total = reduced(weights, "sum").clamp(min=0.5)  # 1 at least, but for a segment of nothing
    return reduced(weights.unsqueeze(1) * vectors, "sum") / total.unsqueeze(1)


def weighted_sum(weights: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Sum (..., n, dim) vectors over n with (..., n) weights."""
    return (weights.unsqueeze(-2) @ vectors).squeeze(-2)
