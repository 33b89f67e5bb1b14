"""What stages have in common: settings, texts, clicks, and how a task is trained on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from recbole_tinynews import __version__, distributed
from recbole_tinynews.data.news_table import NewsTable, tokenize
from recbole_tinynews.layers import (
    ClickModel,
    NewsEncoder,
    NewsInput,
    NewsMemory,
    NewsSource,
    TextSource,
    load_plm,
    load_tokenizer,
)
from recbole_tinynews.layers.initial import principal_directions, regression, start_from
from recbole_tinynews.model.build import build_click_model, build_encoder, choose_precision
from recbole_tinynews.settings import CLICK_KEYS
from recbole_tinynews.trainer.loop import (
    Loader,
    LoopSettings,
    Metrics,
    Task,
    is_begun,
    load_saved,
    save_atomically,
    train,
)
from recbole_tinynews.trainer.store import Weights, checksum, fingerprint
from recbole_tinynews.trainer.tasks import ClickTask

__all__ = ["ClickData", "PLMContext", "StageContext", "frozen_limits"]

_LOOK_AT = 20_000  # news from which a start is computed
_MODEL_KEYS = ("news_dim", "query_dim", "dropout", "title_length")
_NOT_THE_MODEL = ("_name_or_path", "transformers_version")
_LOOP_KEYS = ("save_seconds", "show_progress")  # change nothing in the result


class ClickData(Protocol):
    """Clicks of one dataset, and how a model fares on them."""

    titles: Any  # a NewsSource, as the network reads it
    key: Mapping[str, Any]  # fingerprint of all it holds
    news: np.ndarray  # what training and validation meet

    def loader(self, settings: Mapping[str, Any], seed: int) -> Loader:
        """Batches of training clicks."""

    def validate(self, model: ClickModel, titles: NewsSource, history_length: int) -> Metrics | None:
        """Metrics on the validation split, if there is one."""


class StageContext:
    """What a stage on clicks needs.

    Parameters
    ----------
    config : mapping
        The keys of ``properties/model/NewsModel.yaml``, ``seed`` and ``device``.
    data : ClickData
        Clicks and titles.
    on_step : callable, optional
        Gets the name of the stage's folder, the step and the values, for logging.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        data: ClickData,
        on_step: Callable[[str, int, Metrics], None] | None = None,
    ) -> None:
        self.config = config
        self.data = data
        self.on_step = on_step

    def click_settings(self, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings of a stage on clicks: those of the run, and its own over them."""
        settings = {key: self.config[key] for key in CLICK_KEYS if key in self.config} | dict(overrides or {})
        return {**settings, "valid_metric": settings["valid_metric"].lower()}

    def train_clicks(
        self, task: ClickTask, settings: Mapping[str, Any], seed: int, folder: Path
    ) -> tuple[Weights, Metrics]:
        """Train a task on clicks, and keep the epoch that is best on the validation split."""
        loader = self.data.loader(settings, seed)
        validate = partial(self.data.validate, task.student, task.titles, settings["history_length"])
        return self.train(task, loader, settings, folder, validate)

    def train(
        self,
        task: Task,
        loader: Loader,
        settings: Mapping[str, Any],
        folder: Path,
        validate: Callable[[], Metrics | None] | None = None,
    ) -> tuple[Weights, Metrics]:
        """Train a task; return the student's weights and what was measured."""
        loop = LoopSettings.of({**settings, **{key: self.config[key] for key in _LOOP_KEYS}})
        report = None if self.on_step is None else partial(self.on_step, folder.name)
        result = train(task, loader, loop, folder, validate, report)
        return weights_of(task.student), result


class PLMContext(StageContext):
    """What a stage of a model with a pre-trained encoder needs.

    Parameters
    ----------
    config : mapping
        The keys of ``properties/model/PLMModel.yaml``, ``seed`` and ``device``.
    data, on_step
        As for :class:`StageContext`.
    corpus : NewsTable
        What is read before the clicks.
    cache : Path
        Folder for tokens, and where encoders start.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        data: ClickData,
        corpus: NewsTable,
        cache: Path,
        on_step: Callable[[str, int, Metrics], None] | None = None,
    ) -> None:
        super().__init__(config, data, on_step)
        self.corpus = corpus
        self.cache = cache
        self._kept: tuple[object, TextSource] | None = None
        plm = load_plm(config["plm"])
        self.depth = len(plm.layers)
        self._longest_text = plm.longest_text
        self._shared_inputs = {
            "plm": checksum(plm.state_dict()),
            "plm_config": {k: v for k, v in plm.model.config.to_dict().items() if k not in _NOT_THE_MODEL},
            "precision": choose_precision(config["precision"], config["device"]),
            "version": __version__,
            **{key: config[key] for key in _MODEL_KEYS},
        }

    def click_inputs(self, settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return all that the result of a stage on clicks depends on."""
        return {**self._shared_inputs, "settings": settings, "data": self.data.key, **more}

    def corpus_inputs(self, settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return all that the result of a stage on the corpus depends on; titles decide where an encoder starts."""
        corpus, titles = self.corpus.key, self.data.key["titles"]
        return {**self._shared_inputs, "settings": settings, "corpus": corpus, "titles": titles, **more}

    def encoder(self, layers: int | None, trained_layers: int, weights: Weights | None = None) -> NewsEncoder:
        """Build a news encoder; with weights it is a finished one."""
        return restored(build_encoder(self.config, layers, trained_layers), weights)

    def click_model(
        self, layers: int | None, trained_layers: int, weights: Weights | None = None, compiled: bool = True
    ) -> ClickModel:
        """Build a click model; with weights it is a finished one."""
        return restored(build_click_model(self.config, layers, trained_layers, compiled), weights)

    def recommender(self, layers: int | None) -> Callable[[Weights], ClickModel]:
        """Return what rebuilds a trained click model from its weights."""
        return partial(self.click_model, layers, 0)

    def texts(self, of: Sequence[str], length: int) -> NewsInput:
        """Tokenize texts, cut to a length that the encoder can read."""
        with distributed.local_first():
            tokens = tokenize(of, load_tokenizer(self.config["plm"]), min(length, self._longest_text), self.cache)
        return NewsInput.from_tokens(tokens, self.config["device"])

    def start_alone(self, encoder: NewsEncoder) -> None:
        """Start from what an encoder knows, by principal directions; computed once for its PLM and these titles."""
        of = {key: self._shared_inputs[key] for key in ("plm_config", "precision", "version", "news_dim")}
        of |= {"plm": checksum(encoder.plm.state_dict()), "titles": self.data.key["titles"], "number": _LOOK_AT}
        file = self.cache / f"start-{fingerprint(of)}.pt"
        start = distributed.from_first(lambda: load_saved(file) if file.exists() else None)
        if start is None:
            start = principal_directions(encoder, self.data.titles, self._some_news("principal directions"))
            if distributed.is_first():
                save_atomically(start, file)
        start_from(encoder, start)

    def start_near(self, student: NewsEncoder, teacher: NewsEncoder, folder: Path) -> None:
        """Start as close to a teacher as a linear map allows, but for a stage that goes on from a saved state."""
        if not distributed.from_first(lambda: is_begun(folder)):
            news = self._some_news("regression onto the teacher")
            start_from(student, regression(student, teacher, self.data.titles, news))

    def _some_news(self, purpose: str) -> np.ndarray:
        news = np.arange(1, self.data.titles.num_news)
        if len(news) > _LOOK_AT:
            news = np.random.default_rng(0).choice(news, _LOOK_AT, replace=False)
        getLogger().info("start: %s, from %d titles", purpose, len(news))
        return news

    def titles_for(self, encoder: NewsEncoder, folder: Path) -> TextSource:
        """Titles as the trained layers of an encoder get them: their frozen states, where memory or disk allows."""
        if encoder.plm.num_frozen == 0:
            self._kept = None
            return self.data.titles
        key = checksum(encoder.plm.frozen_weights()), encoder.state_dtype
        if self._kept is None or self._kept[0] != key:  # teachers that start alike share them
            self._kept = None  # lets go of memory before more is taken
            self._kept = key, self._frozen_titles(encoder, folder)
        return self._kept[1]

    def _frozen_titles(self, encoder: NewsEncoder, folder: Path) -> TextSource:
        gigabytes = encoder.frozen_bytes(self.data.titles, self.data.news) / 2**30
        in_memory, in_file = frozen_limits(self.config)
        if gigabytes <= in_memory:
            getLogger().info("keeping the states below the trained layers in memory: %.2f GB", gigabytes)
            return encoder.frozen_input(self.data.titles, self.data.news)
        if gigabytes <= in_file:
            getLogger().info("keeping the states below the trained layers in a file: %.2f GB", gigabytes)
            try:
                return encoder.frozen_input(self.data.titles, self.data.news, folder)
            except OSError as error:
                getLogger().warning("no file for them: %s", error.strerror)
        getLogger().info("frozen layers run in every step: their states would take %.2f GB", gigabytes)
        return self.data.titles

    def memory(self, settings: Mapping[str, Any], vectors: int = 1) -> NewsMemory | None:
        """Return room for so many vectors of each clicked news, if the settings want them to be kept."""
        if not settings["reuse_steps"]:
            return None
        size = self.data.titles.num_news, vectors * self.config["news_dim"]
        return NewsMemory(*size, settings["reuse_steps"]).to(self.config["device"])


def frozen_limits(config: Mapping[str, Any]) -> tuple[float, float]:
    """Gigabytes of memory and of disk that states of frozen layers may take; keys as in PLMModel.yaml, and device."""
    defaults = (4.0, 0.0) if config["device"].type == "cuda" else (2.0, 16.0)
    in_memory, in_file = config["frozen_cache_gb"], config["frozen_disk_gb"]
    return defaults[0] if in_memory is None else in_memory, defaults[1] if in_file is None else in_file


def restored(module: Any, weights: Weights | None) -> Any:
    """Load weights, if there are any, strictly: one that does not fit is an error that names it."""
    if weights is not None:
        module.load_state_dict(weights)
    return module


def weights_of(module: Any) -> Weights:
    """Return a module's weights as they are saved."""
    return {name: tensor.cpu() for name, tensor in module.state_dict().items()}
