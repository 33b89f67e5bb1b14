"""What an encoder learns before it sees clicks."""

from __future__ import annotations

from logging import getLogger
from pathlib import Path

import numpy as np
import torch

from recbole_tinynews.data.masked import MaskedTexts
from recbole_tinynews.data.pairs import PairLoader
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import MaskedHead, load_tokenizer
from recbole_tinynews.trainer.context import PLMContext, weights_of
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.store import Stage, Weights
from recbole_tinynews.trainer.tasks import MaskedLanguage, Matching

__all__ = ["post_train", "read_masked", "title_body_pairs"]


def post_train(context: PLMContext, layers: int | None, number: int = 1) -> Stage:
    """Match titles with bodies (the paper's DP); ``number`` tells apart several teachers."""
    settings, seed = context.config["post_train"], context.config["seed"]
    if number > 1:  # unlike the next seeds, this one is not that of another repeat
        seed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    layers = layers or context.depth
    inputs = context.corpus_inputs(settings, layers=layers, seed=seed)

    def learn(folder: Path, _: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        encoder = context.encoder(layers, settings["trained_layers"])
        context.start_alone(encoder)
        titles = context.texts(context.corpus.titles, settings["title_length"])
        bodies = context.texts(context.corpus.bodies, settings["body_length"])
        pairs = title_body_pairs(context, settings["num_negatives"], settings["train_batch_size"], seed)
        return context.train(Matching(encoder, titles, bodies), pairs, settings, folder)

    name = "post_train" if number == 1 else f"post_train_{number}"
    return Stage("post_train", name, "teacher learns to match titles with bodies", inputs, learn)


def read_masked(context: PLMContext, layers: int | None) -> Stage:
    """Read bodies with masked words (the paper's FP); the linear map is computed afterwards."""
    settings, seed = context.config["mlm"], context.config["seed"]
    layers = layers or context.depth
    inputs = context.corpus_inputs(settings, layers=layers, seed=seed)

    def learn(folder: Path, _: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        encoder = context.encoder(layers, settings["trained_layers"])
        bodies = context.texts([body for body in context.corpus.bodies if body], settings["body_length"])
        if not len(bodies.lengths):
            raise InputError("the corpus has no bodies to read; name another as matching_corpus")
        tokens = Ragged(bodies.values.cpu().numpy(), bodies.offsets)
        tokenizer = load_tokenizer(context.config["plm"])
        batches = MaskedTexts(tokens, tokenizer, settings["train_batch_size"], seed)
        head = MaskedHead(context.config["plm"]).to(context.config["device"])
        result = context.train(MaskedLanguage(encoder, head), batches, settings, folder)[1]
        context.start_alone(encoder)
        return weights_of(encoder), result

    return Stage("mlm", "mlm", "encoder reads bodies with masked words", inputs, learn)


def title_body_pairs(context: PLMContext, num_negatives: int, batch_size: int, seed: int) -> PairLoader:
    """Batches of the corpus's news that have a title and a body."""
    pairs = context.corpus.pairs
    if len(pairs) < 2:
        raise InputError("the matching corpus has no two news with a title and a body; name one as matching_corpus")
    left_out = len(context.corpus) - 1 - len(pairs)
    getLogger().info("matching: %d news, %d left out for want of a title or a body", len(pairs), left_out)
    return PairLoader(pairs, num_negatives, batch_size, seed)
