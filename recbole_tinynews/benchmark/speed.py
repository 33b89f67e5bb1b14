"""How fast news are encoded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from recbole_tinynews.data.news_table import tokenize
from recbole_tinynews.layers import NewsInput, load_tokenizer
from recbole_tinynews.model.build import build_click_model

__all__ = ["measure_speed"]

_PASSES, _MOST_NEWS = 5, 20_000


def measure_speed(
    config: Mapping[str, Any], titles: Sequence[str], layers: int | None, device: torch.device
) -> tuple[int, float]:
    """Parameters of a click model of some depth, and the titles that it encodes in a second.

    Parameters
    ----------
    config : mapping
        The keys of ``properties/model/PLMModel.yaml``.
    titles : sequence of str
        Row 0 is padding; at most 20,000 of the others are encoded.
    layers : int, optional
        Depth; all of the encoder's if not given.
    device : torch.device
        Where.

    Returns
    -------
    tuple of int and float
        The speed is the best of five passes, since other programs may disturb one.
    """
    model = build_click_model(config, layers, 0).to(device)
    longest = min(config["title_length"], model.news_encoder.plm.longest_text)
    tokens = tokenize(titles[: _MOST_NEWS + 1], load_tokenizer(config["plm"]), longest)
    source, news = NewsInput.from_tokens(tokens, device), np.arange(1, len(tokens))
    seconds = []
    for _ in range(_PASSES):
        started = time.perf_counter()
        model.encode_news(source, news).sum().item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return sum(parameter.numel() for parameter in model.parameters()), len(news) / min(seconds)
