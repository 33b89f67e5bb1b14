"""News vectors: what they must and must not depend on."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel

from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.layers import NewsEncoder, NewsInput, TextSource, load_plm
from tests.plm_fixtures import HIDDEN, make_encoder, make_news

NEWS = make_news((4, 9, 4, 1, 9, 6, 30, 4))
ROWS = np.arange(1, 9)


@torch.no_grad()
def padded_by_transformers(encoder: NewsEncoder, folder) -> torch.Tensor:
    """One padded batch through transformers' own model, a masked softmax in plain torch, the linear map."""
    model = AutoModel.from_pretrained(folder).eval().to(encoder.dense.weight.dtype)
    rows = [NEWS.values[NEWS.offsets[row] : NEWS.offsets[row + 1]].long() for row in ROWS]
    ids = pad_sequence(rows, batch_first=True, padding_value=model.config.pad_token_id)
    mask = torch.arange(ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
    states = model(ids, attention_mask=mask.long()).last_hidden_state
    pooling = encoder.pooling
    logits = (torch.tanh(states @ pooling.projection.weight.T + pooling.projection.bias) @ pooling.query.weight[0]) + (
        pooling.query.bias
    )
    weights = torch.where(mask, logits, float("-inf")).softmax(dim=1)
    pooled = torch.stack([(w[:, None] * h).sum(dim=0) for w, h in zip(weights, states, strict=True)])
    return pooled @ encoder.dense.weight.T + encoder.dense.bias


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "electra-projected", "mpnet"])
def test_vectors_equal_transformers_own_model_on_a_padded_and_masked_batch(plm_folders, kind):
    encoder = make_encoder(plm_folders[kind])
    expected = padded_by_transformers(encoder, plm_folders[kind])
    torch.testing.assert_close(encoder(NEWS, ROWS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("max_tokens", [1, 10, 16384])
@torch.no_grad()
def test_a_news_vector_does_not_change_with_its_batch_mates_order_or_groups(plm_folder, dtype, tolerance, max_tokens):
    encoder = make_encoder(plm_folder).to(dtype)
    alone = torch.cat([encoder(NEWS, np.array([row])) for row in ROWS])
    encoder.max_tokens = max_tokens
    random = np.random.default_rng(0)
    for size in (2, 5, 8):
        rows = random.choice(ROWS, size, replace=False)
        torch.testing.assert_close(encoder(NEWS, rows), alone[rows - 1], rtol=0, atol=tolerance)


@torch.no_grad()
def test_a_news_asked_for_twice_is_given_twice(plm_folder):
    encoder = make_encoder(plm_folder)
    vectors = encoder(NEWS, np.array([3, 1, 3]))
    torch.testing.assert_close(vectors[0], vectors[2])
    torch.testing.assert_close(vectors[1:2], encoder(NEWS, np.array([1])))


def test_no_news_give_no_vectors(plm_folder):
    assert make_encoder(plm_folder)(NEWS, np.array([], dtype=np.int64)).shape == (0, 6)


def vectors_and_gradients(encoder: NewsEncoder, source: TextSource, rows: np.ndarray) -> dict[str, torch.Tensor]:
    """Vectors of some news, and the gradients of a sum of squares, by name."""
    encoder.zero_grad()
    torch.manual_seed(0)
    vectors = encoder(source, rows)
    aims = torch.arange(vectors.numel(), dtype=vectors.dtype, device=vectors.device).view_as(vectors)
    (vectors - aims).square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
    assert set(gradients) == {name for name, p in encoder.named_parameters() if p.requires_grad}
    return {"vectors": vectors.detach()} | gradients


@pytest.mark.parametrize("place", ["memory", "file"])
@pytest.mark.parametrize("kind", ["bert", "electra-projected", "mpnet"])
@pytest.mark.parametrize("trained_layers", [1, 2])
def test_frozen_states_computed_once_give_the_same_vectors_and_gradients(
    plm_folders, tmp_path, kind, trained_layers, place
):
    encoder = make_encoder(plm_folders[kind], trained_layers).double()
    rows = np.array([7, 2, 5, 3])
    frozen = encoder.frozen_input(NEWS, np.array([2, 3, 5, 7]), tmp_path if place == "file" else None)
    expected = vectors_and_gradients(encoder, NEWS, rows)
    for _ in range(2):  # computed, and read again
        torch.testing.assert_close(vectors_and_gradients(encoder, frozen, rows), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("max_tokens", "calls"),
    [
        (1, [9, 30, 4, 4, 9, 1, 4, 6]),  # one news at a time, when it is first read
        (44, [9 + 30 + 1 + 4, 4 + 4 + 6 + 9]),  # the shortest of the others fill the pack
        (8192, [67]),
    ],
)
def test_frozen_layers_run_once_for_each_news_in_packs_that_others_fill(plm_folder, monkeypatch, max_tokens, calls):
    encoder, tokens = make_encoder(plm_folder), []
    compute = encoder.plm.frozen_states

    def watched(token_ids, *more):
        tokens.append(len(token_ids))
        return compute(token_ids, *more)

    monkeypatch.setattr(encoder.plm, "frozen_states", watched)
    encoder.max_tokens = max_tokens
    frozen = encoder.frozen_input(NEWS, ROWS)
    for batch in ([2, 7], [7, 1, 2, 3], [3, 1], [5, 5], [8, 4, 6, 2], list(ROWS)):
        encoder(frozen, np.array(batch))
    assert tokens == calls


def test_states_in_a_file_are_those_in_memory_in_bfloat16_too(plm_folder, tmp_path):
    encoder = make_encoder(plm_folder, precision="bfloat16")
    memory, file = (encoder.frozen_input(NEWS, ROWS, folder) for folder in (None, tmp_path))
    assert torch.equal(encoder(file, ROWS), encoder(memory, ROWS))
    assert file.packed(ROWS).dtype == memory.packed(ROWS).dtype == torch.bfloat16
    assert torch.equal(file.packed(ROWS), memory.packed(ROWS))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05)])
@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_a_gpu_gives_the_vectors_and_gradients_of_the_cpu(plm_folders, kind, precision, tolerance):
    encoder = make_encoder(plm_folders[kind])
    expected = vectors_and_gradients(encoder, NEWS, ROWS)
    on_gpu = NewsInput(NEWS.values.cuda(), NEWS.offsets)
    encoder.zero_grad()
    encoder.cuda().precision = precision
    found = vectors_and_gradients(encoder, on_gpu, ROWS)
    for name, values in expected.items():
        if not name.endswith(("key.bias", "k.bias", "pooling.query.bias")):  # their gradients are rounding
            tolerated = tolerance * values.abs().max().item()
            torch.testing.assert_close(found[name].cpu(), values, rtol=0, atol=tolerated, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(encoder(on_gpu, ROWS), found["vectors"], rtol=0, atol=0.05)


@pytest.mark.parametrize("trained_layers", [0, 1, 2])
def test_every_layer_frozen_or_not_gets_bfloat16_states_in_bfloat16(plm_folder, trained_layers):
    encoder = make_encoder(plm_folder, trained_layers, precision="bfloat16")
    entered = []
    for layer in encoder.plm.layers:
        layer.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].dtype))
    encoder(NEWS, ROWS)
    assert entered == [torch.bfloat16] * len(encoder.plm.layers)


def test_trained_layers_get_bfloat16_where_frozen_ones_give_float32_as_autocast_may(plm_folder):
    encoder = make_encoder(plm_folder, 1, precision="bfloat16")
    entered = []
    encoder.plm.layers[-2].register_forward_hook(lambda _, __, output: output.float())
    encoder.plm.layers[-1].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].dtype))
    encoder(NEWS, ROWS)
    assert entered == [torch.bfloat16]


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_a_limit_of_memory_changes_neither_vectors_nor_gradients(plm_folders, monkeypatch, kind):
    encoder = make_encoder(plm_folders[kind]).double()
    expected = vectors_and_gradients(encoder, NEWS, ROWS)
    runs = []
    run = encoder.plm.forward
    monkeypatch.setattr(encoder.plm, "forward", lambda values, groups: runs.append(len(values)) or run(values, groups))
    encoder.memory_gb = 40 * 2 * HIDDEN * 8 * 24 / 2**30  # of 67 tokens 40 may be kept
    for source in (NEWS, encoder.frozen_input(NEWS, ROWS)):
        torch.testing.assert_close(vectors_and_gradients(encoder, source, ROWS), expected, rtol=0, atol=1e-10)
        assert sorted(runs) == [30, 30, 37, 37]  # once forward, once more for the backward pass
        runs.clear()
    encoder.memory_gb = 1.0
    vectors_and_gradients(encoder, NEWS, ROWS)
    assert runs == [67]


def test_with_dropout_a_pack_is_computed_again_as_it_was(plm_folder):
    encoder = make_encoder(plm_folder, max_tokens=40).double().train()
    expected = vectors_and_gradients(encoder, NEWS, ROWS)
    encoder.memory_gb = 40 * 2 * HIDDEN * 8 * 24 / 2**30
    torch.testing.assert_close(vectors_and_gradients(encoder, NEWS, ROWS), expected, rtol=0, atol=1e-10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_too_a_pack_with_dropout_is_computed_again_as_it_was(plm_folder):
    encoder = make_encoder(plm_folder, precision="bfloat16", max_tokens=40).cuda().train()
    source = NewsInput(NEWS.values.cuda(), NEWS.offsets)
    expected = vectors_and_gradients(encoder, source, ROWS)
    encoder.memory_gb = 40 * 2 * HIDDEN * 2 * 24 / 2**30
    torch.testing.assert_close(vectors_and_gradients(encoder, source, ROWS), expected, rtol=0.02, atol=0.02)


@torch.no_grad()
def test_frozen_states_are_free_of_dropout_while_training(plm_folder):
    encoder = make_encoder(plm_folder)
    in_evaluation, in_training = encoder.frozen_input(NEWS, ROWS), encoder.frozen_input(NEWS, ROWS)
    encoder.eval()(in_evaluation, ROWS)
    encoder.train()(in_training, ROWS)
    assert torch.equal(in_training.packed(ROWS), in_evaluation.packed(ROWS))


@torch.no_grad()
def test_bfloat16_is_close_to_float32_and_rounds_neither_weights_nor_vectors(plm_folder):
    encoder = make_encoder(plm_folder)
    exact = encoder(NEWS, ROWS)
    encoder.precision = "bfloat16"
    for source in (NEWS, encoder.frozen_input(NEWS, ROWS)):
        rounded = encoder(source, ROWS)
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, exact)
        assert (rounded - exact).abs().max() < 0.05 * exact.abs().max()
        assert not torch.equal(rounded, rounded.bfloat16().float())
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_training_in_bfloat16_gives_finite_gradients_in_float32(plm_folder):
    encoder = make_encoder(plm_folder, precision="bfloat16").train()
    encoder(NEWS, ROWS).square().sum().backward()
    gradients = [p.grad for p in encoder.parameters() if p.requires_grad]
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


@torch.no_grad()
def test_nothing_but_a_linear_map_follows_the_pooling(plm_folder):
    encoder = make_encoder(plm_folder).train()
    torch.manual_seed(0)
    pooled = encoder.pool(NEWS, ROWS)
    torch.manual_seed(0)
    expected = pooled @ encoder.dense.weight.T + encoder.dense.bias
    torch.testing.assert_close(encoder(NEWS, ROWS), expected, rtol=0, atol=1e-6)
    assert (expected < 0).any()


def test_an_encoder_has_the_documented_parts(plm_folder):
    encoder = NewsEncoder(load_plm(str(plm_folder)), 6, 5)
    sizes = {name: tuple(p.shape) for name, p in encoder.named_parameters() if not name.startswith("plm.")}
    assert sizes == {
        "pooling.projection.weight": (5, HIDDEN),
        "pooling.projection.bias": (5,),
        "pooling.query.weight": (1, 5),
        "pooling.query.bias": (1,),
        "dense.weight": (6, HIDDEN),
        "dense.bias": (6,),
    }


def test_news_input_packs_the_wanted_rows_one_after_another():
    source = NewsInput.from_tokens(Ragged.from_rows([[], [5, 6], [7], [8, 9]]))
    assert source.lengths.tolist() == [0, 2, 1, 2]
    assert source.packed(np.array([3, 0, 2])).tolist() == [8, 9, 7]


@torch.no_grad()
def test_a_news_without_any_token_gets_the_vector_of_nothing_and_disturbs_no_other(plm_folder):
    source = NewsInput.from_tokens(Ragged.from_rows([[], [5, 6], [], [7, 8, 9]]))
    encoder = make_encoder(plm_folder)
    vectors = encoder(source, np.array([1, 2, 3]))
    torch.testing.assert_close(vectors[1], encoder.dense.bias)
    torch.testing.assert_close(vectors[[0, 2]], encoder(source, np.array([1, 3])), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("max_tokens", "rows", "packs"),
    [(10, [4, 2, 5], [10, 9]), (10, [1, 3, 8, 6], [8, 10]), (8, [2, 1, 3], [8, 9]), (100, [1, 2, 3], [17])],
)
@torch.no_grad()
def test_as_many_news_as_max_tokens_allows_go_through_the_encoder_at_once(
    plm_folder, monkeypatch, max_tokens, rows, packs
):
    """Shortest first; a news that is longer goes alone. News 1 .. 8 have 4, 9, 4, 1, 9, 6, 30, 4 tokens."""
    encoder = make_encoder(plm_folder, max_tokens=max_tokens)
    sizes = []
    run = encoder.plm.forward
    monkeypatch.setattr(encoder.plm, "forward", lambda values, groups: sizes.append(len(values)) or run(values, groups))
    encoder(NEWS, np.array(rows))
    assert sizes == packs


def test_packing_some_news_takes_memory_for_these_only():
    source = NewsInput(torch.zeros(2_000_000, dtype=torch.int32), np.arange(0, 2_000_001, 20))
    tracemalloc.start()
    source.packed(np.array([5, 7]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e5
