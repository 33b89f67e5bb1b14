"""Where the click-log stages get their clicks: impressions, or RecBole's own loader."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from logging import getLogger
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import AbstractDataLoader, TrainDataLoader

from recbole_tinynews.data.clicks import ClickBatch, ClickLoader
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.evaluator import mean_of, rate
from recbole_tinynews.layers import ClickModel, NewsSource
from recbole_tinynews.model.news_model import NewsModel
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.store import checksum

__all__ = ["ImpressionClicks", "SampledClicks"]


class ImpressionClicks:
    """Clicks and what was shown beside them; see :class:`recbole_tinynews.trainer.context.ClickData`.

    Parameters
    ----------
    titles : NewsSource
        Titles of all news.
    train : ImpressionLog
        Training impressions.
    valid : ImpressionLog, optional
        Validation impressions.
    """

    def __init__(self, titles: NewsSource, train: ImpressionLog, valid: ImpressionLog | None) -> None:
        self.titles = titles
        self.train = train
        self.valid = valid
        logs = [log for log in (train, valid) if log is not None]
        self.key = {"titles": _titles_key(titles), "impressions": [log.key for log in logs]}
        met = np.zeros(titles.num_news, dtype=bool)  # far faster than to sort what may be millions of candidates
        for log in logs:
            met[log.history.values] = met[log.candidates.values] = True
        self.news = np.flatnonzero(met)

    def loader(self, settings: Mapping[str, Any], seed: int) -> ClickLoader:
        """Batches of training clicks."""
        loader = ClickLoader(
            self.train,
            settings["num_negatives"],
            settings["history_length"],
            settings["train_batch_size"],
            seed,
            settings["group_by_user"],
        )
        if loader.skipped:
            getLogger().info("%d clicks left out: nothing was shown beside them", loader.skipped)
        return loader

    def validate(self, model: ClickModel, titles: NewsSource, history_length: int) -> Metrics | None:
        """Metrics on the validation impressions."""
        if self.valid is None:
            return None
        return mean_of(rate(model.score_impressions(titles, self.valid, history_length), self.valid))


class SampledClicks:
    """Clicks with negatives that RecBole samples; see :class:`recbole_tinynews.trainer.context.ClickData`.

    Parameters
    ----------
    model : NewsModel
        Knows how to read RecBole's batches.
    train : TrainDataLoader
        RecBole's loader.
    valid : AbstractDataLoader, optional
        RecBole's loader of the validation split; what it holds decides which epoch is kept.
    validate : callable
        Measures the model that RecBole's trainer holds after it got these weights.
    """

    def __init__(
        self,
        model: NewsModel,
        train: TrainDataLoader,
        valid: AbstractDataLoader | None,
        validate: Callable[[ClickModel], Metrics | None],
    ) -> None:
        self.titles = model.titles
        self.model = model
        self.batches = train
        self._validate = validate
        self.news = np.arange(1, model.n_items)
        self.key = {
            "titles": _titles_key(self.titles),
            "clicks": [_clicks_key(loader) for loader in (train, valid) if loader is not None],
            **{name: model.config[name] for name in ("train_neg_sample_args", "eval_args", "metrics", "topk")},
        }

    def loader(self, settings: Mapping[str, Any], seed: int) -> _SampledLoader:
        """Batches of training clicks."""
        return _SampledLoader(self.model, self.batches, seed)

    def validate(self, model: ClickModel, titles: NewsSource, history_length: int) -> Metrics | None:
        """RecBole's metrics on RecBole's validation split."""
        return self._validate(model)


class _SampledLoader:
    def __init__(self, model: NewsModel, batches: TrainDataLoader, seed: int) -> None:
        self.model = model
        self.batches = batches
        self.seed = seed

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[ClickBatch]:
        """Yield an epoch; RecBole's samplers draw from Python's and numpy's global generators, set for it here."""
        random.seed(self.seed + number)
        np.random.seed(self.seed + number)  # noqa: NPY002
        self.batches.generator.manual_seed(self.seed + number)
        for interaction in self.batches:
            yield self.model.click_batch(interaction)


def _clicks_key(loader: AbstractDataLoader) -> str:
    feat = loader._dataset.inter_feat
    return checksum({name: feat[name].contiguous() for name in feat.columns})


def _titles_key(titles: NewsSource) -> str:
    return checksum({name: torch.as_tensor(values) for name, values in vars(titles).items()})
