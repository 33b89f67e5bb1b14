"""The two stages in which Tiny-NewsRec's student learns from its teachers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from recbole_tinynews.losses import MatchingDistillationLoss, MultiTeacherLoss
from recbole_tinynews.trainer.context import PLMContext, restored
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.stages.pretraining import title_body_pairs
from recbole_tinynews.trainer.store import Stage, Weights
from recbole_tinynews.trainer.tasks import ClickDistillation, MatchingDistillation

__all__ = ["stage1", "stage2"]

_LOSS_KEYS = ("temperature", "distill_weight", "embedding_weight", "target_weight")


def stage1(context: PLMContext, teachers: Sequence[Stage]) -> Stage:
    """Teach a student's news encoder to match as post-trained teachers do (paper, section 3.2)."""
    config, settings = context.config, context.config["stage1"]
    layers, seed = config["student_layers"], config["seed"]
    inputs = context.corpus_inputs(settings, layers=layers, seed=seed)

    def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        student = context.encoder(layers, settings["trained_layers"])
        masters = [context.encoder(config["teacher_layers"], 0, weights) for weights in starts]
        context.start_near(student, masters[0], folder)
        loss = MatchingDistillationLoss(
            config["news_dim"], len(masters), **{key: settings[key] for key in _LOSS_KEYS}
        ).to(config["device"])
        titles = context.texts(context.corpus.titles, settings["title_length"])
        bodies = context.texts(context.corpus.bodies, settings["body_length"])
        pairs = title_body_pairs(context, settings["num_negatives"], settings["train_batch_size"], seed)
        return context.train(MatchingDistillation(student, masters, titles, bodies, loss), pairs, settings, folder)

    return Stage("stage1", "stage1", "student learns matching from the teacher", inputs, learn, teachers)


def stage2(context: PLMContext, teachers: Sequence[Stage], start: Stage | None) -> Stage:
    """Teach a student clicks, from several fine-tuned teachers (paper, section 3.3).

    Without a stage to start from, the student starts by regression onto the first teacher.
    """
    config, settings = context.config, context.click_settings(context.config["stage2"])
    layers, seed = config["student_layers"], config["seed"]
    inputs = context.click_inputs(settings, layers=layers, seed=seed, teachers=len(teachers))

    def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        student = context.click_model(layers, settings["trained_layers"])
        masters = [context.click_model(config["teacher_layers"], 0, weights) for weights in starts[: len(teachers)]]
        if start is not None:
            restored(student.news_encoder, starts[-1])
        else:
            context.start_near(student.news_encoder, masters[0].news_encoder, folder)
        loss = MultiTeacherLoss(
            config["news_dim"],
            len(masters),
            learn_omega=settings["learn_omega"],
            shared_projection=settings["shared_projection"],
            **{key: settings[key] for key in _LOSS_KEYS},
        ).to(config["device"])
        tables = torch.stack([master.news_table(context.data.titles, context.data.news) for master in masters])
        titles = context.titles_for(student.news_encoder, folder)
        task = ClickDistillation(student, masters, tables, titles, loss, context.memory(settings))
        return context.train_clicks(task, settings, seed, folder)

    starts = [*teachers, *([] if start is None else [start])]
    purpose = "student learns clicks from all teachers"
    return Stage("stage2", "stage2", purpose, inputs, learn, starts, context.recommender(layers))
