"""Learning from clicks alone."""

from __future__ import annotations

from pathlib import Path

import torch

from recbole_tinynews import __version__
from recbole_tinynews.layers import ClickModel
from recbole_tinynews.model.word_model import WordModel
from recbole_tinynews.trainer.context import PLMContext, StageContext, restored
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.store import Stage, Weights
from recbole_tinynews.trainer.tasks import ClickTask

__all__ = ["fine_tune", "learn_clicks"]


def fine_tune(
    context: PLMContext, layers: int | None, start: Stage | None = None, number: int = 1, name: str = "fine_tune"
) -> Stage:
    """Fine-tune a click model with the settings of ``teacher``.

    Parameters
    ----------
    context : PLMContext
        Settings and data.
    layers : int, optional
        Depth of the encoder; all if not given.
    start : Stage, optional
        Left a news encoder to start from; else it is the plain PLM.
    number : int
        Tells apart several that are else alike.
    name : str
        Name of the stage in the run.
    """
    settings, seed = context.click_settings(context.config["teacher"]), context.config["seed"] + number - 1
    layers = layers or context.depth
    inputs = context.click_inputs(settings, layers=layers, seed=seed)

    def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        model = context.click_model(layers, settings["trained_layers"])
        if starts:
            restored(model.news_encoder, starts[0])
        else:
            context.start_alone(model.news_encoder)
        titles = context.titles_for(model.news_encoder, folder)
        return context.train_clicks(ClickTask(model, titles, context.memory(settings)), settings, seed, folder)

    starts = () if start is None else (start,)
    return Stage("fine_tune", name, "fine-tuning on clicks", inputs, learn, starts, context.recommender(layers))


def learn_clicks(context: StageContext, recommender: WordModel) -> Stage:
    """Train a shallow model from its start.

    Parameters
    ----------
    context : StageContext
        Settings and data.
    recommender : WordModel
        Builds the network; its own is left alone.
    """
    settings, seed = context.click_settings(), context.config["seed"]
    inputs = {
        "settings": settings,
        "data": context.data.key,
        "seed": seed,
        "version": __version__,
        "network": recommender.key,
    }

    def learn(folder: Path, _: list[Weights]) -> tuple[Weights, Metrics]:
        torch.manual_seed(seed)
        return context.train_clicks(ClickTask(recommender.build(), context.data.titles), settings, seed, folder)

    def rebuild(weights: Weights) -> ClickModel:
        return restored(recommender.build(), weights)

    return Stage("learn_clicks", "learn_clicks", "learning from clicks", inputs, learn, recommender=rebuild)
