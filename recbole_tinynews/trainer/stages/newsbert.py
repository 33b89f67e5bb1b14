"""The one stage of NewsBERT: teacher and student together."""

from __future__ import annotations

from pathlib import Path

import torch

from recbole_tinynews.trainer.context import PLMContext
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.store import Stage, Weights
from recbole_tinynews.trainer.tasks import JointTraining, matched_layers

__all__ = ["train_jointly"]

_WEIGHTS = ("temperature", "distill_weight", "layer_weight", "embedding_weight", "target_weight", "momentum")


def train_jointly(context: PLMContext) -> Stage:
    """Train a teacher on clicks, and beside it a student on clicks and on what the teacher makes of them."""
    config, settings = context.config, context.click_settings(context.config["joint"])
    layers, depth, seed = config["student_layers"], config["teacher_layers"] or context.depth, config["seed"]
    inputs = context.click_inputs(settings, layers=layers, teacher_layers=depth, seed=seed)

    def learn(folder: Path, _: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        teacher = context.click_model(depth, settings["trained_layers"], compiled=False)
        student = context.click_model(layers, settings["trained_layers"], compiled=False)
        context.start_alone(teacher.news_encoder)
        number = min(settings["matched_layers"], settings["trained_layers"])
        task = JointTraining(
            student,
            teacher,
            context.titles_for(student.news_encoder, folder),
            context.titles_for(teacher.news_encoder, folder),
            matched_layers(layers, depth, number, "last"),
            {key: settings[key] for key in _WEIGHTS},
            context.memory(settings, vectors=2),
        )
        return context.train_clicks(task, settings, seed, folder)

    return Stage("joint", "joint", "teacher and student learn clicks together", inputs, learn, (),
                 context.recommender(layers))  # fmt: skip
