"""Cutting, freezing and resuming an encoder, against transformers' own states."""

from __future__ import annotations

import copy
import json
import logging
import shutil
from functools import cache

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, GPT2Config, GPT2Model

from recbole_tinynews import InputError
from recbole_tinynews.layers import load_plm, load_tokenizer
from tests.plm_fixtures import CONFIGS, HIDDEN, LAYERS, VOCABULARY

KINDS = tuple(CONFIGS)
ATTENTION_DROPOUT = dict.fromkeys(KINDS, "attention.self.dropout") | {
    "distilbert": "attention.dropout",
    "mpnet": "attn.dropout",
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def token_ids() -> torch.Tensor:
    return torch.randint(5, VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(0))


def run(plm, inputs):
    """Texts of one length: (3, 7) ids, or (21, hidden) states, to (3, 7, hidden) states."""
    return plm(frozen_states(plm, inputs) if inputs.dtype == torch.int64 else inputs, [(3, 7)]).view(3, 7, -1)


def frozen_states(plm, token_ids):
    return plm.frozen_states(token_ids.flatten(), [(3, 7)])


def hidden_states(folder, token_ids):
    """All states of transformers' own model: after the embeddings, after layer 1, ..."""
    with torch.no_grad():
        return reference(folder)(token_ids, output_hidden_states=True).hidden_states


@cache
def reference(folder):
    return AutoModel.from_pretrained(folder).double().eval()


@every_kind
@pytest.mark.parametrize("depth", [1, 3, LAYERS])
@torch.no_grad()
def test_the_first_n_layers_give_the_nth_hidden_state_of_the_whole_model(plm_folders, token_ids, kind, depth):
    plm = load_plm(str(plm_folders[kind]), depth).double().eval()
    expected = hidden_states(plm_folders[kind], token_ids)[depth]
    torch.testing.assert_close(run(plm, token_ids), expected, rtol=0, atol=1e-10)
    assert len(plm.layers) == depth
    assert plm.hidden_size == HIDDEN


@every_kind
@pytest.mark.parametrize("trained_layers", [1, 2, LAYERS])
@torch.no_grad()
def test_starting_from_the_frozen_states_equals_running_the_whole(plm_folders, token_ids, kind, trained_layers):
    plm = load_plm(str(plm_folders[kind])).double().eval()
    plm.freeze(trained_layers)
    states = frozen_states(plm, token_ids)
    expected = hidden_states(plm_folders[kind], token_ids)
    torch.testing.assert_close(states, expected[LAYERS - trained_layers].flatten(0, 1), rtol=0, atol=1e-10)
    torch.testing.assert_close(run(plm, states), expected[-1], rtol=0, atol=1e-10)
    torch.testing.assert_close(run(plm, token_ids), expected[-1], rtol=0, atol=1e-10)


@every_kind
@torch.no_grad()
def test_packed_texts_of_different_lengths_do_not_see_each_other(plm_folders, token_ids, kind):
    plm = load_plm(str(plm_folders[kind])).double().eval()
    plm.freeze(2)
    groups = [(2, 1), (1, 4), (3, 5)]  # two texts of one token, one of four, three of five: 21 in all
    packed = token_ids.flatten()
    texts = packed.split([number * length for number, length in groups])
    expected = torch.cat([
        hidden_states(plm_folders[kind], ids.view(group))[-1].flatten(0, 1)
        for ids, group in zip(texts, groups, strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(plm(plm.frozen_states(packed, groups), groups), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_more_tokens_than_positions_may_be_packed(plm_folders):
    plm = load_plm(str(plm_folders["bert"])).double().eval()
    ids = torch.arange(5, 12).repeat(40)  # 280 tokens; the encoder has 80 positions
    states = plm(plm.frozen_states(ids, [(40, 7)]), [(40, 7)]).view(40, 7, -1)
    torch.testing.assert_close(states, states[:1].expand(40, -1, -1), rtol=0, atol=1e-10)


@every_kind
@torch.no_grad()
def test_the_longest_text_is_the_longest_that_the_encoder_reads(plm_folders, kind):
    plm = load_plm(str(plm_folders[kind])).eval()

    def read(length: int) -> None:
        groups = [(1, length)]
        plm(plm.frozen_states(torch.full((length,), 7), groups), groups)

    read(plm.longest_text)
    with pytest.raises((IndexError, RuntimeError)):
        read(plm.longest_text + 1)


@every_kind
@pytest.mark.parametrize("trained_layers", [1, 3, 9])
def test_exactly_the_last_layers_are_trained_and_never_the_embeddings(plm_folders, token_ids, kind, trained_layers):
    plm = load_plm(str(plm_folders[kind]))
    plm.freeze(trained_layers)
    run(plm, token_ids).square().sum().backward()
    prefix = next(name for name, module in plm.named_modules() if module is plm.layers) + "."
    last = tuple(f"{prefix}{n}." for n in range(max(0, LAYERS - trained_layers), LAYERS))
    for name, parameter in plm.named_parameters():
        assert parameter.requires_grad == name.startswith(last), name
        assert (parameter.grad is not None) == name.startswith(last), name


@every_kind
def test_freezing_again_with_more_layers_trains_more(plm_folders, kind):
    plm = load_plm(str(plm_folders[kind]))
    plm.freeze(1)
    plm.freeze(2)
    assert all(p.requires_grad for layer in plm.layers[2:] for p in layer.parameters())
    assert not any(p.requires_grad for layer in plm.layers[:2] for p in layer.parameters())


@every_kind
@torch.no_grad()
def test_dropout_is_in_the_trained_layers_only(plm_folders, token_ids, kind):
    plm = load_plm(str(plm_folders[kind]), dropout=0.5)
    plm.freeze(2)
    plm.eval()
    frozen, whole = frozen_states(plm, token_ids), run(plm, token_ids)
    plm.train()
    assert torch.equal(frozen_states(plm, token_ids), frozen)
    assert not torch.allclose(run(plm, token_ids), whole)
    assert not torch.allclose(run(plm, token_ids), run(plm, token_ids))
    plm.freeze(1)  # freezing while training keeps both halves as they should be
    assert not plm.layers[2].training
    assert plm.layers[3].training
    plm.eval()
    assert torch.equal(run(plm, token_ids), whole)


@every_kind
@torch.no_grad()
def test_dropout_zero_switches_all_dropout_off(plm_folders, token_ids, kind):
    """Also that of the attention weights, which some encoders keep elsewhere."""
    plm = load_plm(str(plm_folders[kind]), dropout=0.0).double()
    plm.freeze(LAYERS)
    expected = run(plm.eval(), token_ids)
    torch.testing.assert_close(run(plm.train(), token_ids), expected, rtol=0, atol=1e-10)


@every_kind
def test_attention_weights_are_dropped_too(plm_folders, token_ids, kind):
    """With all other dropout off the states of a training pass still vary."""
    plm = load_plm(str(plm_folders[kind]), dropout=0.0)
    plm.freeze(LAYERS)
    plm.train()
    for name, module in plm.named_modules():
        if isinstance(module, nn.Dropout) and name.endswith(ATTENTION_DROPOUT[kind]):
            module.p = 0.5
    first, second = run(plm, token_ids), run(plm, token_ids)
    assert not torch.allclose(first, second)


def test_the_pooler_is_left_out(plm_folders):
    assert not any("pooler" in name for name, _ in load_plm(str(plm_folders["bert"])).named_parameters())


def test_all_layers_are_kept_unless_told_otherwise(plm_folders):
    assert len(load_plm(str(plm_folders["mpnet"])).layers) == LAYERS


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_layers_give_the_states_and_gradients_of_plain_ones(plm_folder):
    plms = [load_plm(str(plm_folder)).double() for _ in range(2)]
    plms[1].compile_layers()
    random = torch.Generator().manual_seed(0)
    for groups in ([(2, 3), (1, 5)], [(3, 4)], [(1, 2), (2, 6), (1, 7)]):  # other numbers and lengths in each batch
        tokens = sum(number * length for number, length in groups)
        states = torch.randn(tokens, HIDDEN, generator=random, dtype=torch.float64)
        for plm in plms:
            plm.eval().freeze(2)
            plm.zero_grad()
            plm(states, groups).square().sum().backward()
        for plain, compiled in zip(plms[0].parameters(), plms[1].parameters(), strict=True):
            if plain.requires_grad:
                torch.testing.assert_close(compiled.grad, plain.grad, rtol=0, atol=1e-10)
        torch.testing.assert_close(plms[1](states, groups), plms[0](states, groups), rtol=0, atol=1e-10)


@every_kind
@torch.no_grad()
def test_without_gradient_all_layers_are_those_of_the_encoder_in_the_states_type(plm_folders, token_ids, kind):
    plm = load_plm(str(plm_folders[kind])).eval()
    states = frozen_states(plm, token_ids).bfloat16()
    rounded = copy.deepcopy(plm).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        got = run(plm, states)
    assert torch.equal(got, run(rounded, states))
    assert {p.dtype for p in plm.parameters()} == {torch.float32}


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@torch.no_grad()
def test_compiled_layers_follow_their_weights_without_gradient_too(plm_folder):
    plm = load_plm(str(plm_folder)).eval()
    plain, states = copy.deepcopy(plm), torch.randn(21, HIDDEN).bfloat16()
    plm.compile_layers()
    for compiled_before in (False, True):
        with torch._dynamo.config.patch(error_on_recompile=compiled_before):
            got, expected = run(plm, states).float(), run(plain, states).float()
        assert (got - expected).norm() < 0.1 * expected.norm()
        for parameter, other in zip(plm.parameters(), plain.parameters(), strict=True):
            parameter.mul_(1.5)
            other.mul_(1.5)


@pytest.mark.parametrize("asked", [0, LAYERS + 1])
def test_more_layers_than_there_are_and_none_are_refused(plm_folders, asked):
    with pytest.raises(InputError, match=f"has {LAYERS} layers, {asked} were asked for"):
        load_plm(str(plm_folders["bert"]), asked)


def damaged(folder, target, change) -> str:
    """A copy of a folder with other weights."""
    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors")
    change(weights)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return str(target)


@every_kind
def test_a_missing_weight_is_refused_by_name(plm_folders, tmp_path, kind):
    def drop(weights):
        name = next(name for name in weights if "layer.2" in name)
        del weights[name]
        dropped.append(name)

    dropped: list[str] = []
    folder = damaged(plm_folders[kind], tmp_path / "damaged", drop)
    with pytest.raises(InputError, match="1 weights are missing") as error:
        load_plm(folder)
    assert dropped[0].split(".", 1)[1] in str(error.value)
    assert folder in str(error.value)


def test_weights_of_a_pooler_and_a_head_are_neither_needed_nor_in_the_way(plm_folders, tmp_path):
    def swap(weights):
        for name in [name for name in weights if name.startswith("pooler.")]:
            del weights[name]
        weights["cls.predictions.bias"] = torch.zeros(VOCABULARY)

    assert len(load_plm(damaged(plm_folders["bert"], tmp_path / "headed", swap)).layers) == LAYERS


def test_weights_stored_in_half_precision_are_used_in_full(plm_folders, tmp_path):
    def halve(weights):
        weights.update({name: tensor.half() for name, tensor in weights.items()})

    folder = damaged(plm_folders["bert"], tmp_path / "half", halve)
    config = json.loads((tmp_path / "half" / "config.json").read_text()) | {"dtype": "float16"}
    (tmp_path / "half" / "config.json").write_text(json.dumps(config))
    assert {p.dtype for p in load_plm(folder).parameters()} == {torch.float32}


def test_an_unknown_folder_is_refused_in_one_line(tmp_path):
    for load in (load_plm, load_tokenizer):
        with pytest.raises(InputError, match="nowhere") as error:
            load(str(tmp_path / "nowhere"))
        assert "\n" not in str(error.value)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"plm=.*: a folder without an encoder \("):
        load_plm(str(tmp_path))


def test_an_encoder_built_otherwise_is_refused(tmp_path):
    GPT2Model(GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=20, n_positions=20)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot find the 2 layers of a GPT2Model"):
        load_plm(str(tmp_path))


def test_a_damaged_weights_file_is_refused(plm_folders, tmp_path):
    shutil.copytree(plm_folders["bert"], tmp_path / "cut")
    file = tmp_path / "cut" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match="cut"):
        load_plm(str(tmp_path / "cut"))


def test_what_is_loaded_is_logged(plm_folders, caplog):
    with caplog.at_level(logging.INFO):
        load_plm(str(plm_folders["mpnet"]))
    assert f"MPNetModel with {LAYERS} layers" in caplog.text


def test_the_tokenizer_is_the_folders_own(plm_folder):
    assert load_tokenizer(str(plm_folder))("w0 w1 nonsense")["input_ids"] == [2, 5, 6, 1, 3]


def test_a_folder_without_a_tokenizer_is_refused(plm_folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(plm_folder / name, tmp_path)
    with pytest.raises(InputError, match="it has no vocabulary"):
        load_tokenizer(str(tmp_path))
