"""From a RecBole dataset to its impressions and news texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.schema import atomic_file

__all__ = ["CACHE_FOLDER", "has_impressions", "load_impressions"]

CACHE_FOLDER = ".cache"


def has_impressions(data_path: str | Path) -> bool:
    """Tell whether a dataset folder holds impressions to evaluate on."""
    return any(atomic_file(data_path, f"{split}.imp").exists() for split in ("valid", "test"))


def load_impressions(dataset: Any, split: str) -> ImpressionLog | None:
    """Load the impressions of a split in the ids of a RecBole dataset.

    Parameters
    ----------
    dataset : Dataset or IdDataset
        Any dataset that RecBole has read from the folder, or its ids alone.
    split : {"train", "valid", "test"}
        The split.

    Returns
    -------
    ImpressionLog or None
        None where the dataset has no file for this split.
    """
    folder = Path(dataset.config["data_path"])
    path = atomic_file(folder, f"{split}.imp")
    if not path.exists():
        return None
    return ImpressionLog.load(
        path,
        dataset.field2token_id[dataset.uid_field],
        dataset.field2token_id[dataset.iid_field],
        cache=folder / CACHE_FOLDER,
    )
