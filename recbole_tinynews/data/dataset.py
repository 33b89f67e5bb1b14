"""From a RecBole dataset to its impressions and news texts."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.files import check_writable

__all__ = ["cache_folder", "has_impressions", "load_impressions"]


def cache_folder(data_path: str | Path) -> Path:
    """Folder for what is read from a dataset once: ``.cache`` beside its files, or the user's own if that is read-only.

    Raises
    ------
    InputError
        If neither can be written.
    """
    beside = Path(data_path) / ".cache"
    with suppress(OSError):
        beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    name = hashlib.sha256(str(beside.absolute()).encode()).hexdigest()[:16]
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "recbole_tinynews" / name
    check_writable(own, "what is read from the dataset")
    return own


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
        cache=cache_folder(folder),
    )
