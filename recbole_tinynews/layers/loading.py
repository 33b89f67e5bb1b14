"""Pre-trained language models and tokenizers from a folder or a hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HUB_DISABLE_PROGRESS_BARS
from huggingface_hub.utils import enable_progress_bars
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging as transformers_logging

from recbole_tinynews.errors import InputError
from recbole_tinynews.layers.plm import PLM

__all__ = ["MaskedHead", "load_plm", "load_tokenizer", "quiet_transformers"]


def load_plm(name: str, num_layers: int | None = None, dropout: float | None = None) -> PLM:
    """Load an encoder strictly.

    Parameters
    ----------
    name : str
        Local folder or name on the Hugging Face hub.
    num_layers : int, optional
        Layers kept; all if not given.
    dropout : float, optional
        Dropout inside the encoder; its own if not given.

    Raises
    ------
    InputError
        If it cannot be found, or weights are missing in it (an encoder with random weights is never what
        was meant).
    """
    _check_folder(name)
    try:
        with quiet_transformers():
            model, report = AutoModel.from_pretrained(name, output_loading_info=True)
    except (OSError, ValueError, SafetensorError) as error:
        what = "a folder without an encoder" if Path(name).is_dir() else "neither a folder nor a hub name of an encoder"
        raise InputError(f"plm={name}: {what} ({_first_line(error)})") from None
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise InputError(f"plm={name}: {len(missing)} weights are missing, the first is {missing[0]}")
    logging.getLogger().info("%s: %s with %d layers", name, type(model).__name__, model.config.num_hidden_layers)
    plm = PLM(model.float(), num_layers)
    if dropout is not None:
        for module in plm.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
    return plm


class MaskedHead(nn.Module):
    """The head with which an encoder was pre-trained to guess masked tokens; a new one where it comes without.

    The map to the vocabulary stays as it is where it is tied to the embeddings, which are frozen; the rest is trained.

    Parameters
    ----------
    name : str
        Local folder or name on the Hugging Face hub.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        with quiet_transformers():
            self.model = AutoModelForMaskedLM.from_pretrained(name).float()
        setattr(self.model, self.model.base_model_prefix, _Handed())
        decoder = self.model.get_output_embeddings()
        if self.model.config.tie_word_embeddings and decoder is not None:
            decoder.weight.requires_grad_(False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Score all words of the vocabulary for tokens' states, shape (tokens, vocabulary) for (tokens, hidden)."""
        return self.model(inputs_embeds=states.unsqueeze(0)).logits.squeeze(0)


class _Handed(nn.Module):
    """Stands in for the encoder under a head: what it is given are the last states already."""

    def forward(self, *_: object, inputs_embeds: torch.Tensor, **__: object) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=inputs_embeds)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep `transformers` from drawing a bar for weights on disk, and from listing those of heads that nobody uses.

    Downloads keep their bars.
    """
    transformers_logging.disable_progress_bar()
    if not HF_HUB_DISABLE_PROGRESS_BARS:
        enable_progress_bars()
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the encoder's fast tokenizer.

    Raises
    ------
    InputError
        If there is none. For a folder without one, `transformers` makes up a tokenizer that knows no word.
    """
    _check_folder(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True)
    except (OSError, ValueError) as error:
        raise InputError(f"plm={name}: it has no fast tokenizer ({_first_line(error)})") from None
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise InputError(f"plm={name}: it has no vocabulary; save the tokenizer beside the encoder")
    return tokenizer


def _check_folder(name: str) -> None:
    """Refuse what can be a folder only, and is none; names on the hub have one slash at most."""
    if (name.startswith((".", "/", "~")) or name.count("/") > 1) and not Path(name).is_dir():
        raise InputError(f"plm={name}: no such folder")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
