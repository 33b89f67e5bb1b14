"""RecBole's trainers, with validation and test on impressions."""

from __future__ import annotations

import torch
from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.trainer import Trainer

import recbole_tinynews.compat  # noqa: F401
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.evaluator import mean_of, rate, score_impressions

__all__ = ["ImpressionEvaluation", "impression_trainer"]


class ImpressionEvaluation:
    """Mixin in front of a RecBole trainer: evaluation data are an `ImpressionLog`, not one of RecBole's loaders.

    Parameters
    ----------
    config : Config
        Configuration of the run; ``valid_metric`` is one of auc, mrr, ndcg@5 and ndcg@10.
    model : AbstractRecommender
        Model to train.
    dataset : Dataset
        RecBole dataset that the model was built with.

    Attributes
    ----------
    impression_scores : ndarray
        Score of each candidate in the last evaluation.
    impression_values : dict of str to ndarray
        Metrics of each impression of the last evaluation.
    """

    config: Config
    model: AbstractRecommender
    saved_model_file: str
    device: torch.device

    def __init__(self, config: Config, model: AbstractRecommender, dataset: Dataset) -> None:
        super().__init__(config, model)  # type: ignore[call-arg]
        self.dataset = dataset

    def evaluate(
        self,
        eval_data: ImpressionLog | None,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> dict[str, float] | None:
        """Compute the metrics of a model on impressions.

        Parameters
        ----------
        eval_data : ImpressionLog or None
            Impressions with known labels.
        load_best_model : bool
            Load the checkpoint of the best epoch (of the last, where there was no validation) first.
        model_file : str, optional
            Another checkpoint to load.
        show_progress : bool
            Taken for RecBole's sake; scoring is over before a bar is of use.

        Returns
        -------
        dict of float, or None
            auc, mrr, ndcg@5 and ndcg@10 as fractions; None without data.

        Raises
        ------
        InputError
            If no impression has both a clicked and a not-clicked candidate.
        """
        if not eval_data:
            return None
        if load_best_model:
            self._load(model_file or self.saved_model_file)
        self.impression_scores = score_impressions(self.model, self.dataset, eval_data, self.config)
        self.impression_values = rate(self.impression_scores, eval_data)
        return mean_of(self.impression_values)

    def _load(self, path: str) -> None:
        # RecBole's checkpoint holds its pickled Config; it is this program's own file
        checkpoint = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(checkpoint["state_dict"])
        self.model.load_other_parameter(checkpoint.get("other_parameter"))


def impression_trainer(base: type[Trainer]) -> type:
    """Make a trainer that evaluates on impressions out of any of RecBole's.

    Examples
    --------
    >>> impression_trainer(Trainer).__name__
    'ImpressionTrainer'
    """
    return type(f"Impression{base.__name__}", (ImpressionEvaluation, base), {})
