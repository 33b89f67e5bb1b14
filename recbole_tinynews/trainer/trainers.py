"""A trainer for each model: its stages and their order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.trainer import stages
from recbole_tinynews.trainer.context import ClickData, PLMContext, StageContext
from recbole_tinynews.trainer.loop import Metrics
from recbole_tinynews.trainer.staged_trainer import StagedTrainer
from recbole_tinynews.trainer.store import Stage

__all__ = ["NewsBERTTrainer", "PLMNRTrainer", "PLMTrainer", "TinyBERTTrainer", "TinyNewsRecTrainer", "WordModelTrainer"]


class WordModelTrainer(StagedTrainer):
    """Learn from clicks alone."""

    def plan(self, data: ClickData, on_step: Callable[[str, int, Metrics], None] | None) -> list[Stage]:
        """Return the only stage."""
        return [stages.learn_clicks(StageContext(self.config, data, on_step), self.model)]


class PLMTrainer(StagedTrainer):
    """Trainer of a model that reads with a pre-trained encoder."""

    def plan(self, data: ClickData, on_step: Callable[[str, int, Metrics], None] | None) -> list[Stage]:
        """Return the stages in the order in which they run."""
        corpus = self.model.texts
        if name := self.config["matching_corpus"]:
            corpus = NewsTable.load(Path(self.config["data_path"]).parent / name)
        return self.stages(PLMContext(self.config, data, corpus, self.model.cache, on_step))

    @abstractmethod
    def stages(self, context: PLMContext) -> list[Stage]:
        """Return the stages in the order in which they run."""


class PLMNRTrainer(PLMTrainer):
    """Fine-tune on clicks, after one of the paper's ways to get ready for it, or none."""

    def stages(self, context: PLMContext) -> list[Stage]:
        """Return one stage (FT), or two (FP, DP)."""
        layers = self.config["layers"]
        if self.config["pretraining"] == "none":
            return [stages.fine_tune(context, layers)]
        first = (stages.read_masked if self.config["pretraining"] == "mlm" else stages.post_train)(context, layers)
        return [first, stages.fine_tune(context, layers, first)]


class TinyNewsRecTrainer(PLMTrainer):
    """Post-train, teach matching, fine-tune the teachers, teach clicks; the student is the result."""

    def stages(self, context: PLMContext) -> list[Stage]:
        """Return all stages, or those of a run without stage 1 or stage 2."""
        config, layers = self.config, self.config["teacher_layers"]
        post_trained = [stages.post_train(context, layers, i) for i in range(1, config["num_post_trained"] + 1)]
        student = stages.stage1(context, post_trained) if config["use_stage1"] else None
        before = [*post_trained, student] if student else post_trained
        if not config["use_stage2"]:
            return [*(before if student else []), stages.fine_tune(context, config["student_layers"], student)]
        teachers = [
            stages.fine_tune(context, layers, post_trained[(i - 1) % len(post_trained)], i, f"teacher_{i}")
            for i in range(1, config["num_teachers"] + 1)
        ]
        return [*before, *teachers, stages.stage2(context, teachers, student)]


class TinyBERTTrainer(PLMTrainer):
    """Post-train and fine-tune one teacher, then let the student learn clicks and layers from it."""

    def stages(self, context: PLMContext) -> list[Stage]:
        """Return post-training, the teacher and the student."""
        layers = self.config["teacher_layers"]
        post_trained = stages.post_train(context, layers)
        teacher = stages.fine_tune(context, layers, post_trained, name="teacher_1")
        return [post_trained, teacher, stages.distil_layers(context, teacher)]


class NewsBERTTrainer(PLMTrainer):
    """Train teacher and student together."""

    def stages(self, context: PLMContext) -> list[Stage]:
        """Return the only stage."""
        return [stages.train_jointly(context)]
