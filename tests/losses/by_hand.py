"""The formulas of the losses in plain Python, on nested lists."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

Row = Sequence[float]


def random(*shape: int, seed: int | None = None) -> torch.Tensor:
    """Standard normal numbers in double precision, others for each shape."""
    generator = torch.Generator().manual_seed(sum(shape) * 31 + len(shape) if seed is None else seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def softmax(row: Row) -> list[float]:
    exponentials = [math.exp(value) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def ce(row: Row, label: int) -> float:
    """Cross-entropy of one sample."""
    return -math.log(softmax(row)[label])


def kd(student: Sequence[Row], teacher: Sequence[Row], temperature: float) -> float:
    """Mean over the samples of - sum_k softmax(t / T)_k log softmax(s / T)_k."""
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        p, q = softmax([v / temperature for v in t]), softmax([v / temperature for v in s])
        total -= sum(a * math.log(b) for a, b in zip(p, q, strict=True))
    return total / len(student)


def squared_error(a: Row, b: Row) -> float:
    """Mean over the dimensions of the squared difference."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)


def mapped(linear: torch.nn.Linear | None, vector: Row) -> list[float]:
    """A v + b; without a map, v."""
    if linear is None:
        return list(vector)
    weight, bias = linear.weight.tolist(), linear.bias.tolist()
    return [sum(w * v for w, v in zip(row, vector, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def learn_something(module: torch.nn.Module) -> None:
    """Move all weights away from where they start."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim:  # not omega
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
