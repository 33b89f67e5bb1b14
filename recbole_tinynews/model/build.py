"""From a config to untrained networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import AttentiveUser, ClickModel, NewsEncoder, load_plm

__all__ = ["build_click_model", "build_encoder", "choose_precision"]


def build_encoder(
    config: Mapping[str, Any], num_layers: int | None, trained_layers: int, compiled: bool = True
) -> NewsEncoder:
    """Build a news encoder from the pre-trained encoder that a config names.

    Parameters
    ----------
    config : mapping
        Keys ``plm``, ``dropout``, ``news_dim``, ``query_dim``, ``precision``, ``max_tokens``, ``memory_gb``,
        ``compile`` and ``device``.
    num_layers : int, optional
        Layers kept; all if not given.
    trained_layers : int
        Last layers that are trained.
    compiled : bool
        Whether layers may be compiled, if the config says so; they do not show what is inside then.
    """
    if not config["plm"]:
        raise InputError(
            "no pre-trained encoder: give --plm=FOLDER or the name of one on the hub, or make one of the dataset's "
            "texts: python -m recbole_tinynews.pretrain"
        )
    plm = load_plm(config["plm"], num_layers, config["dropout"])
    plm.freeze(trained_layers)
    if config["compile"] and compiled:
        plm.compile_layers()
    precision = choose_precision(config["precision"], config["device"])
    limits = config["max_tokens"], config["memory_gb"]
    encoder = NewsEncoder(plm, config["news_dim"], config["query_dim"], precision, *limits)
    return encoder.to(config["device"])


def build_click_model(
    config: Mapping[str, Any], num_layers: int | None, trained_layers: int, compiled: bool = True
) -> ClickModel:
    """Build a whole PLM-NR; parameters as for :func:`build_encoder`."""
    encoder = build_encoder(config, num_layers, trained_layers, compiled)
    return ClickModel(encoder, AttentiveUser(config["news_dim"], config["query_dim"])).to(config["device"])


def choose_precision(wanted: str, device: torch.device) -> str:
    """Resolve ``auto``: bfloat16 where the hardware multiplies it faster than float32.

    Decided by what the hardware says it has, not by a timing, so that a run repeats to the last digit.
    """
    if wanted in ("float32", "bfloat16"):
        return wanted
    if wanted != "auto":
        raise InputError(f"precision must be auto, float32 or bfloat16, not {wanted!r}")
    if device.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if has else "float32"
