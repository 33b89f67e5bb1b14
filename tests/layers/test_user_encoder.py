"""User encoders: one user at a time, without padding, against batches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recbole_tinynews.layers import AttentiveUser, RecurrentUser, SelfAttentiveUser

DIM, USERS = 6, 5
LENGTHS = [3, 0, 1, 5]
IDS = torch.tensor([2, 4, 0, 1])
MASK = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def make(kind):
    torch.manual_seed(1)
    encoder = {
        "attentive": lambda: AttentiveUser(DIM, 4),
        "self-attentive": lambda: SelfAttentiveUser(3, 2, 4, 0.2),
        "recurrent": lambda: RecurrentUser(USERS, DIM, 0.5),
    }[kind]()
    for name, parameter in encoder.named_parameters():
        if "query" in name or name == "users.weight":
            nn.init.normal_(parameter)
    if kind == "recurrent":
        nn.init.zeros_(encoder.users.weight[0])
    return encoder.double().eval()


@pytest.fixture
def vectors() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(len(LENGTHS), max(LENGTHS), DIM, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["attentive", "self-attentive", "recurrent"])
def test_a_user_s_vector_depends_neither_on_batch_mates_nor_on_what_stands_in_the_padding(kind, vectors):
    encoder = make(kind)
    together = encoder(vectors, MASK, IDS)
    for row, length in enumerate(LENGTHS):
        alone = encoder(vectors[row : row + 1, :length], MASK[row : row + 1, :length], IDS[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["attentive", "self-attentive"])
def test_a_user_without_clicks_has_the_zero_vector(kind, vectors):
    assert make(kind)(vectors, MASK, IDS)[1].abs().max() == 0


def test_the_recurrent_encoder_is_a_gru_cell_in_a_loop_that_starts_from_the_user(vectors):
    encoder = make("recurrent")
    cell = nn.GRUCell(DIM, DIM).double()
    cell.load_state_dict({name.removesuffix("_l0"): values for name, values in encoder.gru.state_dict().items()})
    encoded = encoder(vectors, MASK, IDS)
    for row, (user, length) in enumerate(zip(IDS.tolist(), LENGTHS, strict=True)):
        state = encoder.users.weight[user] if user else torch.zeros(DIM, dtype=torch.float64)
        for click in vectors[row, :length]:
            state = cell(click, state)
        torch.testing.assert_close(encoded[row], state, rtol=0, atol=1e-12)


def test_only_the_recurrent_encoder_tells_users_with_the_same_clicks_apart(vectors):
    same = vectors[3:].expand(2, -1, -1)
    mask, ids = MASK[3:].expand(2, -1), torch.tensor([1, 2])
    for kind in ("attentive", "self-attentive", "recurrent"):
        encoder = make(kind)
        first, second = encoder(same, mask, ids)
        assert torch.allclose(first, second, rtol=0, atol=1e-12) is not encoder.needs_id


def test_in_training_about_the_given_share_of_users_starts_from_zero():
    encoder = RecurrentUser(2, 3, 0.25).train()
    nn.init.ones_(encoder.users.weight)
    torch.manual_seed(0)
    users = torch.ones(4000, dtype=torch.int64)
    own = encoder(torch.zeros(4000, 1, 3), torch.zeros(4000, 1, dtype=torch.bool), users)
    assert set(own.flatten().tolist()) == {0.0, own.max().item()}
    assert (own.std(dim=1) == 0).all()  # a user's vector goes as a whole
    assert 0.22 < (own[:, 0] == 0).float().mean() < 0.28
