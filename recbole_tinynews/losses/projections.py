"""Linear maps between the vectors of a teacher and a student."""

from __future__ import annotations

from torch import nn

__all__ = ["identities"]


def identities(dim: int, number: int) -> nn.ModuleList:
    """Square linear maps that start as the identity, since a student starts close to its teachers' vectors."""
    maps = [nn.Linear(dim, dim) for _ in range(number)]
    for linear in maps:
        nn.init.eye_(linear.weight)
        nn.init.zeros_(linear.bias)
    return nn.ModuleList(maps)
