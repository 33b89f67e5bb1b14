"""Pre-trained encoders with random weights, small enough to run in a millisecond, and their tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RoFormerConfig,
)

from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.data.schema import CORPUS_COLUMNS
from recbole_tinynews.layers import NewsEncoder, NewsInput, load_plm

VOCABULARY, HIDDEN, LAYERS = 60, 16, 4
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = tuple(f"w{i}" for i in range(VOCABULARY - len(SPECIAL)))

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 80,
    "initializer_range": 0.3,  # large enough for contexts to matter
}
CONFIGS = {
    "bert": BertConfig(**_SIZES),
    "roberta": RobertaConfig(**_SIZES, pad_token_id=1),
    "distilbert": DistilBertConfig(
        vocab_size=VOCABULARY, dim=HIDDEN, n_layers=LAYERS, n_heads=2, hidden_dim=24,
        max_position_embeddings=80, initializer_range=0.3,
    ),
    "electra": ElectraConfig(**_SIZES, embedding_size=HIDDEN),
    "electra-projected": ElectraConfig(**_SIZES, embedding_size=8),
    "mpnet": MPNetConfig(**_SIZES),
    "roformer": RoFormerConfig(**_SIZES, embedding_size=HIDDEN),
}  # fmt: skip


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One word, one token: ``w0`` is 5; ``[CLS]`` (2) and ``[SEP]`` (3) stand around."""
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, SPECIAL, strict=True)))


def save_plm(folder: Path, kind: str = "bert", seed: int = 3) -> Path:
    """Save an encoder of a kind, with random weights, and the tokenizer."""
    torch.manual_seed(seed)
    AutoModel.from_config(CONFIGS[kind]).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def plm_folders(tmp_path_factory) -> dict[str, Path]:
    """A folder for each kind of encoder."""
    root = tmp_path_factory.mktemp("plm")
    return {kind: save_plm(root / kind, kind) for kind in CONFIGS}


@pytest.fixture(scope="session")
def plm_folder(plm_folders) -> Path:
    """A BERT."""
    return plm_folders["bert"]


def make_encoder(
    folder: Path, trained_layers: int = 2, news_dim: int = 6, seed: int = 5, num_layers: int | None = None, **more
) -> NewsEncoder:
    """A news encoder whose attention is not the mean, in evaluation mode."""
    plm = load_plm(str(folder), num_layers)
    plm.freeze(trained_layers)
    torch.manual_seed(seed)
    encoder = NewsEncoder(plm, news_dim, query_dim=5, **more)
    torch.nn.init.normal_(encoder.pooling.query.weight)
    return encoder.eval()


def make_news(lengths: tuple[int, ...], seed: int = 0) -> NewsInput:
    """Random tokens (no special ones); row 0 has length 2 and stands for padding."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(len(SPECIAL), VOCABULARY, size=length).tolist() for length in (2, *lengths)]
    return NewsInput.from_tokens(Ragged.from_rows(rows))


def write_news(folder: Path) -> Path:
    """Write the texts of the made-up dataset: n0 .. n29, but n28 has no title and n29 neither body nor abstract."""
    rng = np.random.default_rng(11)

    def text(most: int) -> str:
        return " ".join(rng.choice(WORDS, size=rng.integers(1, most)))

    rows = [(f"n{i}", text(7), text(9), text(20) if i % 3 else "") for i in range(30)]
    rows[28], rows[29] = ("n28", "", *rows[28][2:]), (*rows[29][:2], "", "")
    lines = ["\t".join(row) for row in (CORPUS_COLUMNS, *rows)]
    (folder / f"{folder.name}.news").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


PLMNR_SETTINGS: dict[str, Any] = {
    "news_dim": 8,
    "query_dim": 5,
    "title_length": 6,
    "history_length": 4,
    "num_negatives": 2,
    "epochs": 2,
    "train_batch_size": 8,
    "learning_rate": 1e-2,
    "plm_learning_rate": 1e-3,
    "precision": "float32",
    "show_progress": False,
    "gpu_id": "",
}
_MATCHING = {"train_batch_size": 8, "title_length": 6, "body_length": 12, "num_negatives": 3, "learning_rate": 1e-2}
TINYNEWSREC_SETTINGS: dict[str, Any] = PLMNR_SETTINGS | {
    "student_layers": 2,
    "num_teachers": 2,
    "post_train": _MATCHING,
    "stage1": _MATCHING,
}


@pytest.fixture
def news(tiny, plm_folder) -> dict[str, Any]:
    """The made-up dataset with texts, in the working folder; the settings that name the encoder."""
    write_news(tiny)
    return {"plm": str(plm_folder)}
