"""The one stage of TinyBERT's student, and of DistilBERT's and BERT-PKD's."""

from __future__ import annotations

from pathlib import Path

import torch

from recbole_tinynews.trainer.context import PLMContext
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.store import Stage, Weights
from recbole_tinynews.trainer.tasks import LayerwiseDistillation, matched_layers

__all__ = ["distil_layers"]

_WEIGHTS = ("temperature", "distill_weight", "layer_weight", "target_weight")


def distil_layers(context: PLMContext, teacher: Stage) -> Stage:
    """Teach a student clicks and layers, from one fine-tuned teacher."""
    config, settings = context.config, context.click_settings(context.config["distillation"])
    layers, seed = config["student_layers"], config["seed"]
    inputs = context.click_inputs(settings, layers=layers, seed=seed)

    def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        student = context.click_model(layers, settings["trained_layers"], compiled=False)
        depth = config["teacher_layers"] or context.depth
        number = min(settings["matched_layers"], settings["trained_layers"])
        matched = matched_layers(layers, depth, number, settings["match"])
        # Trained in name only, so that the layers below those that are compared run once.
        master = context.click_model(depth, depth - min(matched.values(), default=depth), starts[0], compiled=False)
        context.start_near(student.news_encoder, master.news_encoder, folder)
        task = LayerwiseDistillation(
            student,
            master,
            master.news_table(context.data.titles, context.data.news),
            context.titles_for(student.news_encoder, folder),
            context.titles_for(master.news_encoder, folder),
            matched,
            settings["layer_loss"],
            {key: settings[key] for key in _WEIGHTS},
            context.memory(settings),
        )
        return context.train_clicks(task, settings, seed, folder)

    purpose = "student learns clicks and layers from the teacher"
    return Stage("distillation", "distillation", purpose, inputs, learn, [teacher], context.recommender(layers))
