"""What a trainer is given: RecBole's loaders, or impressions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset
from recbole.data.utils import get_dataloader
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.sampler import KGSampler, RepeatableSampler, Sampler
from recbole.utils import FeatureSource, FeatureType, ModelType

from recbole_tinynews.data.dataset import load_impressions
from recbole_tinynews.data.ids import IdDataset, id_dataset
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.impression_negatives import ImpressionNegatives
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.evaluator.metrics import evaluated
from recbole_tinynews.model.news_model import NewsModel
from recbole_tinynews.model.plm_model import PLMModel

__all__ = ["RunData", "bound_to", "check_dataset", "ids_of", "load_data", "load_dataset", "uses_impressions"]


@dataclass(frozen=True)
class RunData:
    """A dataset and its splits.

    Parameters
    ----------
    dataset : Dataset or IdDataset
        What a model is built with.
    clicks : ndarray of int64, shape (items,)
        How often each news was clicked in ``D.inter``.
    train, valid, test
        RecBole's loaders, or impressions.
    """

    dataset: Dataset | IdDataset
    clicks: np.ndarray
    train: Any
    valid: Any
    test: Any


def load_data(config: Config) -> RunData:
    """Read a dataset and its splits.

    With impressions, validation and test are these, and our models learn from those of the training split, with no
    click of ``D.inter`` in memory. Of RecBole's models, context-aware ones train on all candidates of
    the training impressions, with their labels; the others on all clicks of ``D.inter``.

    Raises
    ------
    InputError
        If files and settings do not fit.
    """
    if config.impressions and uses_impressions(config):
        ids = ids_of(config)
        return RunData(ids, _clicks(ids), _training_impressions(config, ids), *_splits_to_rate(config, ids))
    with _recbole_told(config):
        dataset = create_dataset(config)
        clicks = _clicks(dataset)
        if not config.impressions:
            loaders = data_preparation(config, dataset)
            return RunData(loaders[0]._dataset, clicks, *loaders)
        train = _training_rows(config, dataset)
    return RunData(train._dataset, clicks, train, *_splits_to_rate(config, dataset))


def load_dataset(config: Config) -> Dataset | IdDataset:
    """Read what a model is built with, and no impression.

    Raises
    ------
    InputError
        If files and settings do not fit.
    """
    if config.impressions and uses_impressions(config):
        return ids_of(config)
    with _recbole_told(config):
        return create_dataset(config).build()[0]


def ids_of(config: Config) -> Dataset | IdDataset:
    """Read the ids of users and news, where it can be without the clicks.

    Raises
    ------
    InputError
        If files and settings do not fit.
    """
    with _recbole_told(config):
        ids = id_dataset(config) if config.impressions else None
        return create_dataset(config) if ids is None else ids


def check_dataset(config: Config) -> None:
    """Refuse a dataset that is not there; RecBole would look for it on the internet."""
    name, folder = config["dataset"], Path(config["data_path"])
    if not folder.is_dir():
        known = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        hint = "".join(f"; did you mean {close}?" for close in get_close_matches(name, known, n=1))
        raise InputError(f"there is no dataset {name!r}: expected the folder {folder}{hint}")
    if not config["benchmark_filename"] and not (path := atomic_file(folder, "inter")).exists():
        raise InputError("expected this file in the dataset's folder", path=path)


@contextmanager
def _recbole_told(config: Config) -> Iterator[None]:
    """Let RecBole read a dataset that is there, and tell its ValueErrors as mistakes of the user."""
    check_dataset(config)
    try:
        yield
    except InputError:
        raise
    except ValueError as error:  # how RecBole tells of files and settings that do not fit
        raise InputError(str(error), path=config["data_path"]) from error


def bound_to(dataset: Dataset | IdDataset, model: AbstractRecommender) -> str | None:
    """Fingerprint of what of a dataset a trained model cannot do without: ids, and texts that its words come from.

    None for a model with a language model, which reads any news.
    """
    if isinstance(model, PLMModel):
        return None
    digest = hashlib.sha256()
    for field in (dataset.uid_field, dataset.iid_field):
        digest.update("\0".join(map(str, dataset.field2id_token[field])).encode())
    if isinstance(model, NewsModel):
        digest.update(model.texts.key.encode())
    return digest.hexdigest()[:12]


def _clicks(dataset: Dataset | IdDataset) -> np.ndarray:
    if isinstance(dataset, IdDataset):
        return dataset.clicks
    return np.bincount(dataset.inter_feat[dataset.iid_field], minlength=dataset.item_num)


def _splits_to_rate(config: Config, dataset: Dataset | IdDataset) -> tuple[ImpressionLog | None, ImpressionLog | None]:
    valid, test = (_impressions_to_rate(dataset, split) for split in ("valid", "test"))
    name = config["dataset"]
    if test is None and valid is None:
        raise InputError(
            f"nothing to evaluate on: neither {name}.valid.imp nor {name}.test.imp holds an impression of which some "
            "candidates are known to be clicked and some not",
            path=config["data_path"],
        )
    if test is None:
        getLogger().warning("%s.test.imp cannot be evaluated on: tested on the validation split", name)
    if valid is None:
        getLogger().warning("%s.valid.imp cannot be evaluated on: the last epoch is kept", name)
    return valid, valid if test is None else test


def uses_impressions(config: Config) -> bool:
    """Tell whether the run's model trains on impressions by itself, as ours do."""
    return getattr(config.model_class, "uses_impressions", False)


def _impressions_to_rate(dataset: Dataset | IdDataset, split: str) -> ImpressionLog | None:
    """Impressions of a split, without those whose clicks are unknown; None if nothing is left to be rated."""
    log = load_impressions(dataset, split)
    if log is None:
        return None
    known = log.labelled()
    rated = int(evaluated(known.labels, known.candidates.offsets).sum())
    getLogger().info(
        "%s: %d impressions, %d without labels, %d skipped (all or none clicked)",
        split, len(log), len(log) - len(known), len(known) - rated,
    )  # fmt: skip
    return known if rated else None


def _training_rows(config: Config, dataset: Dataset) -> Any:
    """RecBole's training loader."""
    if config["MODEL_TYPE"] == ModelType.CONTEXT and (log := load_impressions(dataset, "train")) is not None:
        _learn_from_shown(dataset, log.labelled())
        config["train_neg_sample_args"] = {**config["train_neg_sample_args"], "distribution": "none"}
    rows = dataset.build()[0]
    samplers = [_negative_sampler(config, rows)]
    if config["negatives"] == "impression" and samplers[0] is None:
        getLogger().warning("negatives has no effect: %s samples none", config["model"])
    elif config["negatives"] == "impression":
        log = _training_impressions(config, dataset).labelled()
        samplers = [ImpressionNegatives(log, dataset.item_num, samplers[0])]
    if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
        negatives = config["train_neg_sample_args"]
        samplers.append(KGSampler(dataset, negatives["distribution"], negatives["alpha"]))
    return get_dataloader(config, "train")(config, rows, *samplers, shuffle=config["shuffle"])


def _learn_from_shown(dataset: Dataset, log: ImpressionLog) -> None:
    """Put one row for each candidate of each impression, with its label, in the place of the clicks."""
    config = dataset.config
    columns = {
        dataset.uid_field: log.users[log.candidates.row_of],
        dataset.iid_field: log.candidates.values.astype(np.int64),
        config["TIME_FIELD"]: log.times[log.candidates.row_of],
    }
    if lacking := sorted(set(dataset.inter_feat) - set(columns)):
        raise InputError(
            f"{config['model']} learns from impressions, which do not have {lacking[0]!r}: leave it out of load_col"
        )
    rows = pd.DataFrame({name: columns[name] for name in dataset.inter_feat})
    dataset.inter_feat = rows.assign(**{config["LABEL_FIELD"]: log.labels.astype(np.float32)})
    dataset.set_field_property(config["LABEL_FIELD"], FeatureType.FLOAT, FeatureSource.INTERACTION, 1)


def _negative_sampler(config: Config, clicks: Dataset) -> Any:
    negatives = config["train_neg_sample_args"]
    if negatives["distribution"] == "none":
        return None
    kind, datasets = (RepeatableSampler, clicks) if config["repeatable"] else (Sampler, [clicks])
    return kind(["train"], datasets, negatives["distribution"], negatives["alpha"]).set_phase("train")


def _training_impressions(config: Config, dataset: Dataset | IdDataset) -> ImpressionLog:
    log = load_impressions(dataset, "train")
    if log is None:
        path = atomic_file(config["data_path"], "train.imp")
        raise InputError(f"{config['model']} learns from impressions, which are missing", path=path)
    return log
