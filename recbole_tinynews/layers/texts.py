"""Where texts start and end that lie one after another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import pad

__all__ = ["Groups", "sent", "text_offsets", "text_spans"]

Groups = Sequence[tuple[int, int]]  # how many texts of which length follow each other


def text_offsets(groups: Groups, device: torch.device) -> torch.Tensor:
    """Where each text starts, and where the last one ends: int64 Tensor of shape (texts + 1,)."""
    numbers, lengths = torch.tensor(groups).unbind(1)
    return sent(pad(lengths.repeat_interleave(numbers).cumsum(0), (1, 0)), device)


def text_spans(groups: Groups, device: torch.device) -> torch.Tensor:
    """Where the text of each token starts and ends: int64 Tensor of shape (2, tokens)."""
    offsets = text_offsets(groups, device)
    tokens = sum(number * length for number, length in groups)
    return torch.stack([offsets[:-1], offsets[1:]]).repeat_interleave(offsets.diff(), dim=1, output_size=tokens)


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy values in memory to a device; a GPU is not waited for."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
