"""Scores of the candidates of impressions, from any RecBole model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.data.transform import construct_transform
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import ModelType

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.ragged import Ragged, chunks, places
from recbole_tinynews.errors import InputError

__all__ = ["score_impressions"]

# Scores of all items that are held at once (64 MB).
_SCORES_AT_ONCE = 2**24


@torch.no_grad()
def score_impressions(
    model: AbstractRecommender, dataset: Dataset, log: ImpressionLog, config: Config
) -> np.ndarray:
    """Score each candidate of each impression.

    A model with a method ``score_impressions(log)`` does it itself. A sequential model gets the history of the
    impression, its last ``MAX_ITEM_LIST_LENGTH`` clicks; other models know the user by what they were trained on.
    Each distinct user (or user and history) is scored once where the model can score all items
    (``full_sort_predict``) and the setting ``full_sort_scores`` is on; otherwise each candidate is scored by itself.

    Parameters
    ----------
    model : AbstractRecommender
        Trained model; it is put into evaluation mode.
    dataset : Dataset
        RecBole dataset that the model was built with.
    log : ImpressionLog
        Impressions in the ids of ``dataset``.
    config : Config
        Configuration of the run.

    Returns
    -------
    ndarray of float64, shape (candidates,)
        Aligned with ``log.candidates.values``.

    Raises
    ------
    InputError
        If the model needs a feature that impressions do not have, or cannot score single candidates.
    """
    if model.training:  # else the model may keep what it has computed
        model.eval()
    if hasattr(model, "score_impressions"):
        return np.asarray(model.score_impressions(log), dtype=np.float64)
    if config["MODEL_TYPE"] == ModelType.DECISIONTREE:
        raise InputError(f"{config['model']} cannot be evaluated on impressions: it does not score user and news")
    inputs = _Inputs.of(dataset, log, config)
    scores_all = type(model).full_sort_predict is not AbstractRecommender.full_sort_predict
    score = _score_all_items if scores_all and config["full_sort_scores"] is not False else _score_candidates
    try:
        return score(model, inputs, log, config)
    except KeyError as error:
        raise InputError(
            f"{config['model']} needs the feature {error}, which impressions do not have: leave it out of load_col"
        ) from error


@dataclass(frozen=True)
class _Inputs:
    """What a model is told about each impression, in RecBole's terms."""

    dataset: Dataset
    config: Config
    users: np.ndarray
    times: np.ndarray
    histories: Ragged | None

    @classmethod
    def of(cls, dataset: Dataset, log: ImpressionLog, config: Config) -> _Inputs:
        sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        histories = log.history.last(config["MAX_ITEM_LIST_LENGTH"]) if sequential else None
        return cls(dataset, config, np.asarray(log.users), np.asarray(log.times), histories)

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """First impression of each distinct input, and the number of its input for each impression."""
        if self.histories is None:
            _, first, number = np.unique(self.users, return_index=True, return_inverse=True)
            return first, number
        keys = np.column_stack([self.users, self.histories.padded()]).astype(np.int32)
        as_bytes = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.strides[0]))).ravel()
        _, first, number = np.unique(as_bytes, return_index=True, return_inverse=True)
        return first, number

    def users_of(self, impressions: np.ndarray) -> Interaction:
        """Interaction without candidates, one row for each of the given impressions."""
        config = self.config
        fields = {config["USER_ID_FIELD"]: torch.as_tensor(self.users[impressions])}
        if self.histories is None:
            return Interaction(fields)
        width = config["MAX_ITEM_LIST_LENGTH"]
        history = self.histories.take(impressions)
        item_list = config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]
        fields[item_list] = torch.as_tensor(history.padded(width))
        # an empty history is one step of padding: models read the state at length - 1
        fields[config["ITEM_LIST_LENGTH_FIELD"]] = torch.as_tensor(np.maximum(history.lengths, 1))
        if config["NEG_PREFIX"] + item_list in self.dataset.inter_feat:  # DIEN reads it, but only its loss uses it
            fields[config["NEG_PREFIX"] + item_list] = fields[item_list]
        return construct_transform(config)(self.dataset, Interaction(fields))

    def candidates_of(self, impressions: np.ndarray, items: np.ndarray) -> Interaction:
        """Interaction with one row for each candidate, features of user and item joined."""
        rows = self.users_of(impressions)
        rows.update(Interaction({self.config["ITEM_ID_FIELD"]: torch.as_tensor(items.astype(np.int64))}))
        if self.config["MODEL_TYPE"] != ModelType.CONTEXT:
            return rows
        time_field = self.config["TIME_FIELD"]
        if time_field in self.dataset.inter_feat:
            rows.update(Interaction({time_field: torch.as_tensor(self.times[impressions], dtype=torch.float32)}))
        return self.dataset.join(rows)


def _score_all_items(
    model: AbstractRecommender, inputs: _Inputs, log: ImpressionLog, config: Config
) -> np.ndarray:
    """Score all items for each distinct input, and pick the candidates."""
    scores = np.empty(len(log.candidates.values))
    first, number = inputs.distinct()
    by_number = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[by_number], np.arange(len(first) + 1))
    at_once = max(1, min(config["eval_batch_size"], _SCORES_AT_ONCE // model.n_items))
    for start, stop in chunks(len(first), at_once):
        matrix = model.full_sort_predict(inputs.users_of(first[start:stop]).to(config["device"]))
        matrix = matrix.reshape(stop - start, -1).cpu().numpy()
        impressions = by_number[bounds[start] : bounds[stop]]
        shown = log.candidates.take(impressions)
        rows = np.repeat(number[impressions] - start, shown.lengths)
        scores[places(log.candidates.offsets, impressions)] = matrix[rows, shown.values]
    return scores


def _score_candidates(
    model: AbstractRecommender, inputs: _Inputs, log: ImpressionLog, config: Config
) -> np.ndarray:
    items = log.candidates.values
    scores = np.empty(len(items))
    for start, stop in chunks(len(items), config["eval_batch_size"]):
        impressions = log.candidates.rows_of(np.arange(start, stop))
        rows = inputs.candidates_of(impressions, np.asarray(items[start:stop]))
        scores[start:stop] = model.predict(rows.to(config["device"])).reshape(-1).cpu().numpy()
    return scores
