"""A RecBole trainer that runs stages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from recbole.trainer import Trainer

from recbole_tinynews import distributed
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.evaluator import mean_of, rate
from recbole_tinynews.layers import ClickModel
from recbole_tinynews.model.news_model import NewsModel
from recbole_tinynews.trainer.click_data import ImpressionClicks, SampledClicks
from recbole_tinynews.trainer.context import ClickData
from recbole_tinynews.trainer.loop import Metrics, save_atomically
from recbole_tinynews.trainer.store import Stage, StageStore

__all__ = ["StagedTrainer"]


class StagedTrainer(Trainer):
    """Run the stages that subclasses plan; the last one's weights are the model's.

    Parameters
    ----------
    config : Config
        Configuration of the run.
    model : NewsModel
        Gets the weights.

    Attributes
    ----------
    stages_report : list of dict
        ``name``, ``seconds``, ``result`` of each stage, and ``test_result`` of those that made a click model,
        after :meth:`evaluate`.
    impression_scores : ndarray
        Score of each candidate in the last evaluation on impressions.
    impression_values : dict of str to ndarray
        Metrics of each impression of the last evaluation on impressions.
    """

    model: NewsModel

    def __init__(self, config: Any, model: NewsModel) -> None:
        super().__init__(config, model)
        self.store = StageStore(Path(config["checkpoint_dir"]) / "stages" / config["dataset"])
        self.stages_report: list[dict[str, Any]] = []
        self._recommenders: list[tuple[dict[str, Any], ClickModel]] = []

    @abstractmethod
    def plan(self, data: ClickData, on_step: Callable[[str, int, Metrics], None] | None) -> list[Stage]:
        """Return the stages in the order in which they run.

        Parameters
        ----------
        data : ClickData
            Clicks to train and validate on.
        on_step : callable, optional
            Gets the name of a stage's folder, the step and the values, for logging.
        """

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Callable[[int, float], None] | None = None,
    ) -> tuple[float, Metrics | None]:
        """Run all stages that are not finished.

        Parameters
        ----------
        train_data, valid_data : ImpressionLog or RecBole loader
            Of a dataset with impressions, or of any other.
        verbose, saved, show_progress, callback_fn
            As in RecBole; ``callback_fn`` is called once, after the last stage.

        Returns
        -------
        tuple of float, and dict or None
            Best validation score and metrics of the last stage; -1 and None where it was not validated.
        """
        if isinstance(train_data, ImpressionLog):
            data: Any = ImpressionClicks(self.model.titles, train_data, valid_data)
        else:
            self.eval_collector.data_collect(train_data)
            data = SampledClicks(
                self.model, train_data, valid_data, lambda model: self._measure(model, valid_data)
            )
        on_step = self._to_tensorboard if distributed.is_first() else None
        plan = self.plan(data, on_step)
        self._show(plan)
        self.stages_report, self._recommenders = [], []
        for stage in plan:
            done = self.store.run(stage)
            report = {"name": stage.name, "seconds": done.seconds, "result": done.result}
            self.stages_report.append(report)
            if stage.recommender is not None:
                model = stage.recommender(done.weights)
                report["parameters"] = sum(parameter.numel() for parameter in model.parameters())
                self._recommenders.append((report, model))
        self.model.click_model.load_state_dict(done.weights)
        self.model.train(False)
        if saved and distributed.is_first():
            state = {
                "state_dict": self.model.state_dict(),
                "other_parameter": None,
                "recipe": getattr(self.config, "recipe", None),
            }
            save_atomically(state, Path(self.saved_model_file))
        validated = done.result if self.valid_metric in done.result else None  # else it is the loss
        score = validated[self.valid_metric] if validated else -1.0
        if callback_fn is not None:
            callback_fn(0, score)
        return score, validated

    def evaluate(
        self, eval_data: Any, load_best_model: bool = True, model_file: str | None = None, show_progress: bool = False
    ) -> Metrics:
        """Measure the model, and the teachers of the run beside it.

        Parameters are RecBole's; ``eval_data`` may be an ImpressionLog.
        """
        if load_best_model:
            path = Path(model_file or self.saved_model_file)
            saved = distributed.from_first(lambda: torch.load(path, map_location="cpu", weights_only=True))
            self.model.load_state_dict(saved["state_dict"])
        for report, model in self._recommenders[:-1]:
            report["test_result"] = self._measure(model, eval_data, show_progress)
        result = self._measure(self.model.click_model, eval_data, show_progress)
        if self._recommenders:
            self._recommenders[-1][0]["test_result"] = result
        return result

    def _measure(self, click_model: ClickModel, eval_data: Any, show_progress: bool = False) -> Metrics:
        """Evaluate with another network in the model's place."""
        own = self.model.click_model
        self.model.click_model = click_model
        self.model.train(False)  # and forget the vectors that another network made
        try:
            if not isinstance(eval_data, ImpressionLog):
                return super().evaluate(eval_data, load_best_model=False, show_progress=show_progress)
            self.impression_scores = self.model.score_impressions(eval_data)
            self.impression_values = rate(self.impression_scores, eval_data)
            return mean_of(self.impression_values)
        finally:
            self.model.click_model = own
            self.model.train(False)

    def _show(self, plan: list[Stage]) -> None:
        lines = [f"  {stage.name:<14}{self._state(stage):<17}{stage.purpose}" for stage in plan]
        getLogger().info("stages of this run\n%s", "\n".join(lines))

    def _state(self, stage: Stage) -> str:
        if self.store.is_done(stage):
            return "finished before"
        return "to go on" if self.store.is_begun(stage) else "to do"

    def _to_tensorboard(self, stage: str, step: int, values: Metrics) -> None:
        for name, value in values.items():
            self.tensorboard.add_scalar(f"{stage}/{name}", value, step)
