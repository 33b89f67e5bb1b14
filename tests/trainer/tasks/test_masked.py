"""Masked language modelling without padding, against Hugging Face's own model with padding."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForMaskedLM

from recbole_tinynews.data.masked import MaskedTexts
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.layers import MaskedHead
from recbole_tinynews.trainer.tasks import MaskedLanguage
from tests.plm_fixtures import CONFIGS, make_encoder, make_tokenizer

TEXTS = Ragged.from_rows([[2, *range(5, 5 + length), 3] for length in (4, 9, 4, 12, 30)])


@pytest.fixture
def batch():
    (batch,) = MaskedTexts(TEXTS, make_tokenizer(), 5, seed=2).epoch(0)
    assert (batch["labels"] >= 0).sum() > 3
    return batch


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_loss_is_that_of_hugging_faces_model_whatever_the_packs(plm_folders, tmp_path, batch, kind):
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(CONFIGS[kind]).save_pretrained(tmp_path)  # an encoder with its head
    make_tokenizer().save_pretrained(tmp_path)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    batch["input_ids"][batch["attention_mask"] == 0] = CONFIGS[kind].pad_token_id
    expected = model(**batch).loss
    for max_tokens in (1000, 20):
        encoder = make_encoder(tmp_path, max_tokens=max_tokens)
        loss = MaskedLanguage(encoder, MaskedHead(str(tmp_path))).eval()(batch)["loss"]
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_without_a_head_gets_one_and_its_layers_learn(plm_folder, batch):
    encoder = make_encoder(plm_folder, trained_layers=2)
    task = MaskedLanguage(encoder, MaskedHead(str(plm_folder))).train()
    task(batch)["loss"].backward()
    learning = {name for name, parameter in task.named_parameters() if parameter.grad is not None}
    assert any(name.startswith("head.") for name in learning)
    assert any("layer.3" in name for name in learning)
    assert not any("layer.1." in name or "embeddings" in name for name in learning)


def test_a_batch_in_which_nothing_is_to_be_guessed_costs_nothing(plm_folder, batch):
    batch["labels"].fill_(-100)
    task = MaskedLanguage(make_encoder(plm_folder), MaskedHead(str(plm_folder)))
    assert task(batch)["loss"].item() == 0
