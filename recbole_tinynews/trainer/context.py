"""The stages of Tiny-NewsRec. None of them knows which comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from recbole_tinynews import __version__, distributed
from recbole_tinynews.data.news_table import NewsTable, tokenize
from recbole_tinynews.data.pairs import PairLoader
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers import ClickModel, NewsEncoder, NewsInput, NewsMemory, load_plm, load_tokenizer
from recbole_tinynews.layers.initial import start_from_teacher, start_from_variance
from recbole_tinynews.losses import MatchingDistillationLoss, MultiTeacherLoss
from recbole_tinynews.model.build import build_click_model, build_encoder, choose_precision
from recbole_tinynews.settings import CLICK_KEYS
from recbole_tinynews.trainer.loop import RUNNING, Loader, LoopSettings, Metrics, Task, train
from recbole_tinynews.trainer.store import Stage, Weights, checksum
from recbole_tinynews.trainer.tasks import ClickDistillation, ClickTask, Matching, MatchingDistillation

__all__ = ["ClickData", "Stages"]

_LOOK_AT = 20_000  # news from which a start is computed
_MODEL_KEYS = ("news_dim", "query_dim", "dropout", "title_length")
_LOSS_KEYS = ("temperature", "distill_weight", "embedding_weight", "target_weight")
_NOT_THE_MODEL = ("_name_or_path", "transformers_version")
_LOOP_KEYS = ("save_seconds", "show_progress")  # change nothing in the result


class ClickData(Protocol):
    """Clicks of one dataset, and how a model fares on them."""

    titles: NewsInput
    key: Mapping[str, str]  # fingerprint of all it holds
    news: np.ndarray  # what training and validation meet

    def loader(self, settings: Mapping[str, Any], seed: int) -> Loader:
        """Batches of training clicks."""

    def validate(self, model: ClickModel, titles: NewsInput, history_length: int) -> Metrics | None:
        """Metrics on the validation split, if there is one."""


class Stages:
    """Make the stages for one config.

    Parameters
    ----------
    config : mapping
        The keys of ``properties/model/TinyNewsRec.yaml``, ``seed`` and ``device``.
    data : ClickData
        Clicks and titles.
    corpus : NewsTable
        What post-training reads.
    cache : Path
        Folder for tokens.
    on_step : callable, optional
        Gets the stage's name, the step and the values, for logging.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        data: ClickData,
        corpus: NewsTable,
        cache: Path,
        on_step: Callable[[str, int, Metrics], None] | None = None,
    ) -> None:
        self.config = config
        self.data = data
        self.corpus = corpus
        self.cache = cache
        self.on_step = on_step
        self._kept: tuple[object, NewsInput] | None = None
        plm = load_plm(config["plm"])
        self._longest_text = plm.longest_text
        self._shared_inputs = {
            "plm": checksum(plm.state_dict()),
            "plm_config": {k: v for k, v in plm.model.config.to_dict().items() if k not in _NOT_THE_MODEL},
            "precision": choose_precision(config["precision"], config["device"]),
            "version": __version__,
            **{key: config[key] for key in _MODEL_KEYS},
        }

    def post_train(self, number: int = 1) -> Stage:
        """Post-train a teacher's news encoder on titles and bodies; ``number`` tells apart several."""
        settings = self.config["post_train"]
        layers, seed = self.config["teacher_layers"], self.config["seed"] + number
        inputs = {**self._matching_inputs(settings), "layers": layers, "seed": seed}

        def learn(folder: Path, _: list[Weights]) -> tuple[Weights, Metrics]:
            torch.manual_seed(seed)
            encoder = build_encoder(self.config, layers, settings["trained_layers"])
            self._start(folder, "principal directions", start_from_variance, encoder)
            task = Matching(encoder, *self._texts(settings))
            return self._train(task, self._pairs(settings, seed), settings, folder)

        name = "post_train" if number == 1 else f"post_train_{number}"
        return Stage(name, "teacher learns to match titles with bodies", inputs, learn)

    def stage1(self, teachers: Sequence[Stage]) -> Stage:
        """Teach a student's news encoder to match as post-trained teachers do."""
        settings = self.config["stage1"]
        layers, seed = self.config["student_layers"], self.config["seed"]
        inputs = {**self._matching_inputs(settings), "layers": layers, "seed": seed}

        def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
            torch.manual_seed(seed)
            student = build_encoder(self.config, layers, settings["trained_layers"])
            masters = [self._restore(build_encoder(self.config, self.config["teacher_layers"], 0), w) for w in starts]
            self._start(folder, "regression onto the teacher", start_from_teacher, student, masters[0])
            loss = MatchingDistillationLoss(
                self.config["news_dim"], len(masters), **{key: settings[key] for key in _LOSS_KEYS}
            ).to(self.config["device"])
            titles, bodies = self._texts(settings)
            task = MatchingDistillation(student, masters, titles, bodies, loss)
            return self._train(task, self._pairs(settings, seed), settings, folder)

        return Stage("stage1", "student learns matching from the teacher", inputs, learn, teachers)

    def fine_tune(
        self,
        name: str,
        layers: int | None,
        seed: int,
        overrides: Mapping[str, Any] | None = None,
        start: Stage | None = None,
    ) -> Stage:
        """Fine-tune a click model; from a stage that left a news encoder, or else from the plain PLM."""
        settings = self._click_settings(overrides)
        inputs = {**self._click_inputs(settings), "layers": layers, "seed": seed}

        def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
            torch.manual_seed(seed)
            model = build_click_model(self.config, layers, settings["trained_layers"])
            if starts:
                self._restore(model.news_encoder, starts[0])
            else:
                self._start(folder, "principal directions", start_from_variance, model.news_encoder)
            task = ClickTask(model, self._titles_for(model.news_encoder, folder), self._memory(settings))
            return self._train_clicks(task, settings, seed, folder)

        starts = () if start is None else (start,)
        return Stage(name, "fine-tuning on clicks", inputs, learn, starts, recommends=True)

    def stage2(self, start: Stage, teachers: Sequence[Stage]) -> Stage:
        """Teach a student clicks, from several fine-tuned teachers."""
        settings = self._click_settings(self.config["stage2"])
        layers, seed = self.config["student_layers"], self.config["seed"]
        inputs = {**self._click_inputs(settings), "layers": layers, "seed": seed}

        def learn(folder: Path, starts: list[Weights]) -> tuple[Weights, Metrics]:
            torch.manual_seed(seed)
            student = build_click_model(self.config, layers, settings["trained_layers"])
            self._restore(student.news_encoder, starts[0])
            masters = [self.click_model(self.config["teacher_layers"], weights) for weights in starts[1:]]
            loss = MultiTeacherLoss(
                self.config["news_dim"],
                len(masters),
                learn_omega=settings["learn_omega"],
                shared_projection=settings["shared_projection"],
                **{key: settings[key] for key in _LOSS_KEYS},
            ).to(self.config["device"])
            tables = torch.stack([master.news_table(self.data.titles, self.data.news) for master in masters])
            titles = self._titles_for(student.news_encoder, folder)
            task = ClickDistillation(student, masters, tables, titles, loss, self._memory(settings))
            return self._train_clicks(task, settings, seed, folder)

        return Stage(
            "stage2", "student learns clicks from all teachers", inputs, learn, (start, *teachers), recommends=True
        )

    def click_model(self, layers: int | None, weights: Weights) -> ClickModel:
        """Rebuild a trained click model."""
        return self._restore(build_click_model(self.config, layers, 0), weights)

    def _click_settings(self, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
        settings = {key: self.config[key] for key in CLICK_KEYS} | dict(overrides or {})
        return {**settings, "valid_metric": settings["valid_metric"].lower()}

    def _click_inputs(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._shared_inputs, "settings": settings, "data": self.data.key}

    def _matching_inputs(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        corpus, titles = self.corpus.key, self.data.key["titles"]
        return {**self._shared_inputs, "settings": settings, "corpus": corpus, "titles": titles}

    def _texts(self, settings: Mapping[str, Any]) -> tuple[NewsInput, NewsInput]:
        """Titles and bodies of the corpus."""
        tokenizer = load_tokenizer(self.config["plm"])

        def texts(of: Sequence[str], length: int) -> NewsInput:
            with distributed.local_first():
                tokens = tokenize(of, tokenizer, min(length, self._longest_text), self.cache)
            return NewsInput.from_tokens(tokens, self.config["device"])

        return texts(self.corpus.titles, settings["title_length"]), texts(self.corpus.bodies, settings["body_length"])

    def _pairs(self, settings: Mapping[str, Any], seed: int) -> PairLoader:
        pairs = self.corpus.pairs
        if len(pairs) < 2:
            raise InputError("the matching corpus has no two news with a title and a body; name one as matching_corpus")
        left_out = len(self.corpus) - 1 - len(pairs)
        getLogger().info("matching: %d news, %d left out for want of a title or a body", len(pairs), left_out)
        return PairLoader(pairs, settings["num_negatives"], settings["train_batch_size"], seed)

    def _start(self, folder: Path, purpose: str, compute: Callable[..., None], *encoders: NewsEncoder) -> None:
        """Compute where an encoder starts, unless it goes on from a saved state."""
        if distributed.from_first((folder / RUNNING).exists):
            return
        news = np.arange(1, len(self.data.titles.lengths))
        if len(news) > _LOOK_AT:
            news = np.random.default_rng(0).choice(news, _LOOK_AT, replace=False)
        getLogger().info("start: %s, from %d titles", purpose, len(news))
        compute(*encoders, self.data.titles, news)

    def _titles_for(self, encoder: NewsEncoder, folder: Path) -> NewsInput:
        """Titles as the trained layers of an encoder get them: their frozen states, where memory or disk allows."""
        gigabytes = encoder.frozen_bytes(self.data.titles, self.data.news) / 2**30
        in_memory = gigabytes <= self.config["frozen_cache_gb"]
        if encoder.plm.num_frozen == 0 or not (in_memory or gigabytes <= self.config["frozen_disk_gb"]):
            if encoder.plm.num_frozen:
                getLogger().info("frozen layers run in every step: their states would take %.2f GB", gigabytes)
            self._kept = None
            return self.data.titles
        key = checksum(encoder.plm.frozen_weights()), encoder.state_dtype
        if self._kept is None or self._kept[0] != key:  # teachers that start alike share them
            self._kept = None
            place = "memory" if in_memory else "a file"
            getLogger().info("keeping the states below the trained layers in %s: %.2f GB", place, gigabytes)
            states = encoder.eval().frozen_input(self.data.titles, self.data.news, None if in_memory else folder)
            self._kept = key, states
        return self._kept[1]

    def _memory(self, settings: Mapping[str, Any]) -> NewsMemory | None:
        if not settings["reuse_steps"]:
            return None
        size = len(self.data.titles.lengths), self.config["news_dim"]
        return NewsMemory(*size, settings["reuse_steps"]).to(self.config["device"])

    def _train_clicks(
        self, task: ClickTask | ClickDistillation, settings: Mapping[str, Any], seed: int, folder: Path
    ) -> tuple[Weights, Metrics]:
        loader = self.data.loader(settings, seed)
        validate = partial(self.data.validate, task.student, task.titles, settings["history_length"])
        return self._train(task, loader, settings, folder, validate)

    def _train(
        self,
        task: Task,
        loader: Loader,
        settings: Mapping[str, Any],
        folder: Path,
        validate: Callable[[], Metrics | None] | None = None,
    ) -> tuple[Weights, Metrics]:
        loop = LoopSettings.of({**settings, **{key: self.config[key] for key in _LOOP_KEYS}})
        report = None if self.on_step is None else partial(self.on_step, folder.name)
        result = train(task, loader, loop, folder, validate, report)
        return {name: tensor.cpu() for name, tensor in task.student.state_dict().items()}, result

    def _restore(self, module: Any, weights: Weights) -> Any:
        """Load strictly: a weight that does not fit is an error that names it."""
        module.load_state_dict(weights)
        return module
