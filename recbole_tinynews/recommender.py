"""A trained model that answers questions."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pandas.api.typing import SeriesGroupBy
from recbole.model.abstract_recommender import AbstractRecommender, SequentialRecommender
from recbole.utils import init_seed

from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.evaluator import score_impressions
from recbole_tinynews.layers import load_tokenizer
from recbole_tinynews.model.news_model import NewsModel
from recbole_tinynews.model.plm_model import PLMModel
from recbole_tinynews.nesting import merged
from recbole_tinynews.serving import NewsRanker
from recbole_tinynews.trainer.run_data import bound_to, load_dataset

__all__ = ["Ranked", "Recommender"]


class Ranked(NamedTuple):
    """A news in a ranking.

    Parameters
    ----------
    news : str
        Its id.
    score : float
        What the model gave it; only differences within a ranking mean anything.
    title : str
        Its title; empty where the dataset has no texts.
    """

    news: str
    score: float
    title: str


class Recommender:
    """A trained model with its dataset.

    Parameters
    ----------
    config : NewsConfig
        Settings of the run.
    model : AbstractRecommender
        The trained model, in evaluation mode.
    dataset : Dataset
        The dataset it was built with.

    Examples
    --------
    >>> recommender = Recommender.load("saved/TinyNewsRec.pth")  # doctest: +SKIP
    >>> recommender.rank(history=["N1219", "N1441"], top=3)  # doctest: +SKIP
    """

    def __init__(self, config: NewsConfig, model: AbstractRecommender, dataset: Any) -> None:
        self.config = config
        self.model = model
        self.dataset = dataset
        self.item_ids: dict[str, int] = dataset.field2token_id[dataset.iid_field]
        self.user_ids: dict[str, int] = dataset.field2token_id[dataset.uid_field]
        self.names = np.asarray(dataset.field2id_token[dataset.iid_field])
        has_texts = atomic_file(config["data_path"], "news").exists()
        self.titles = NewsTable.load(config["data_path"], self.item_ids).titles if has_texts else [""] * len(self.names)
        if isinstance(model, NewsModel):
            model.news_vectors()  # once, for all rankings

    @classmethod
    def load(cls, checkpoint: str | Path, command_line: Sequence[str] = (), **settings: Any) -> Recommender:
        """Load a run's checkpoint.

        Parameters
        ----------
        checkpoint : path
            A ``.pth`` file that a run left. One of RecBole's own models is unpickled, which can run any code: load only
            files that you trust.
        command_line, **settings
            Settings that are different here, such as ``data_path``, ``plm`` or ``use_gpu``; in the first as
            ``--key=value``.

        Raises
        ------
        InputError
            If it is not such a checkpoint, or its dataset has changed.
        """
        saved, recipe = _read(Path(checkpoint))
        known = merged({"show_progress": False, "state": "ERROR"}, recipe["settings"])
        config = NewsConfig(recipe["model"], recipe["dataset"], None, merged(known, settings), command_line)
        init_seed(config["seed"], config["reproducibility"])  # a split is drawn: some models hold a graph of its clicks
        dataset = load_dataset(config)
        model = config.model_class(config, dataset).to(config["device"])
        if bound_to(dataset, model) != recipe["bound_to"]:
            raise InputError("its dataset has changed: ids or texts are others than in training", path=checkpoint)
        try:
            model.load_state_dict(saved["state_dict"])
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise InputError(f"does not fit its encoder: {reason}", path=checkpoint) from None
        model.load_other_parameter(saved.get("other_parameter"))
        return cls(config, model.eval(), dataset)

    def rank(
        self,
        history: Sequence[str] | None = None,
        user: str | None = None,
        candidates: Sequence[str] | None = None,
        top: int | None = None,
    ) -> list[Ranked]:
        """Rank news for a user.

        Parameters
        ----------
        history : sequence of str, optional
            Ids of clicked news, oldest first; those of ``user`` in ``D.inter`` if not given. Without a click all news
            have the same score in most models.
        user : str, optional
            Id of the user; models that know users by their id only need it.
        candidates : sequence of str, optional
            Ids to rank; all news but those of the history if not given.
        top : int, optional
            How many of the best to return; all if not given.

        Returns
        -------
        list of Ranked
            Best first.

        Raises
        ------
        InputError
            If an id is unknown, there is nothing to rank, nobody to rank it for, or a history alone is given to a model
            that does not read it.
        """
        if user is None and history is None:
            raise InputError("whose news? give a user or a history")
        if top is not None and top < 1:
            raise InputError(f"top must be 1 or more, not {top}")
        if user is None and not isinstance(self.model, NewsModel | SequentialRecommender):
            raise InputError(f"{self.config['model']} does not read histories: give a user")
        if user is not None and user not in self.user_ids:
            raise InputError(f"the dataset has no clicks of user {user!r}")
        clicked = self.clicks_of(user) if history is None and user is not None else self._numbers(history or ())
        if candidates is None:
            shown = np.setdiff1d(np.arange(1, len(self.names)), clicked)
        else:
            shown = self._numbers(candidates)
        if not len(shown):
            raise InputError("there are no candidates to rank")
        log = ImpressionLog(
            np.array(["0"]),
            np.array([self.user_ids.get(user, 0) if user is not None else 0]),
            np.zeros(1),
            Ragged(clicked, np.array([0, len(clicked)])),
            Ragged(shown, np.array([0, len(shown)])),
            np.full(len(shown), -1, dtype=np.int8),
        )
        scores = self.score(log)
        best = np.argsort(-scores, kind="stable")[:top]
        return [Ranked(str(self.names[shown[i]]), float(scores[i]), self.titles[shown[i]]) for i in best]

    def score(self, log: ImpressionLog) -> np.ndarray:
        """Score all candidates of impressions, float64, aligned with ``log.candidates.values``."""
        return score_impressions(self.model, self.dataset, log, self.config)

    def impressions(self, split: str) -> ImpressionLog:
        """Impressions of a split of the dataset, in file order, with or without labels."""
        log = load_impressions(self.dataset, split)
        if log is None:
            path = atomic_file(self.config["data_path"], f"{split}.imp")
            raise InputError("expected the impressions to score", path=path)
        return log

    def clicks_of(self, user: str) -> np.ndarray:
        """Numbers of the news that a user has clicked in ``D.inter``, oldest first."""
        rows = self._clicks.indices.get(user, np.empty(0, dtype=np.int64))
        return self._numbers(self._clicks.obj.iloc[rows])

    @cached_property
    def _clicks(self) -> SeriesGroupBy:
        """News in ``D.inter`` by user, each user's oldest first."""
        path = atomic_file(self.config["data_path"], "inter")
        rows = pd.read_csv(path, sep="\t", dtype=str).rename(columns=lambda name: name.split(":")[0])
        if self.dataset.time_field in rows:
            rows = rows.sort_values(self.dataset.time_field, key=pd.to_numeric, kind="stable")
        return rows.groupby(self.dataset.uid_field, sort=False)[self.dataset.iid_field]

    def ranker(self) -> NewsRanker:
        """Return the model for use without its dataset, on news that come later; it can be saved."""
        if not isinstance(self.model, PLMModel):
            raise InputError(f"{self.config['model']} has no pre-trained encoder, which alone reads any news")
        tokenizer = load_tokenizer(self.config["plm"])
        return NewsRanker(
            self.model.click_model, tokenizer, self.config["title_length"], self.config["history_length"]
        )

    def _numbers(self, news: Sequence[str]) -> np.ndarray:
        unknown = [token for token in news if token not in self.item_ids]
        if unknown:
            raise InputError(f"the dataset has no news {unknown[0]!r}")
        return np.array([self.item_ids[token] for token in news], dtype=np.int64)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a checkpoint and what its run was told."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    try:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a pickle that is not torch's own
                saved = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:  # RecBole's checkpoints hold a Config
            saved = torch.load(path, map_location="cpu", weights_only=False)
        recipe = saved.get("recipe") or saved["config"].recipe
    except Exception:  # what is no checkpoint fails in as many ways as there are bytes
        raise InputError("not a checkpoint of a run", path=path) from None
    return saved, recipe
