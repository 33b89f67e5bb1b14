"""Ids of users and news without the clicks, for models that learn from impressions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from recbole_tinynews.data.converters.records import RESERVED
from recbole_tinynews.data.dataset import cache_folder
from recbole_tinynews.data.schema import atomic_file
from recbole_tinynews.files import replacing

__all__ = ["IdDataset", "id_dataset"]

# Settings with which RecBole keeps all rows of its files.
_KEEP_ALL = {
    "rm_dup_inter": (None,),
    "val_interval": (None,),
    "user_inter_num_interval": (None, "[0,inf)"),
    "item_inter_num_interval": (None, "[0,inf)"),
    "benchmark_filename": (None,),
}


class IdDataset:
    """What our models ask of a RecBole dataset, with the numbers that RecBole would give, and no clicks in memory.

    Parameters
    ----------
    config : Config
        Configuration of the run.
    users, items : ndarray of str
        Ids in the order of their numbers, from ``[PAD]``, 0, on.
    clicks : ndarray of int64, shape (items,)
        Rows of ``.inter`` of each news.
    """

    def __init__(self, config: Any, users: np.ndarray, items: np.ndarray, clicks: np.ndarray) -> None:
        self.config = config
        self.uid_field, self.iid_field = config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]
        self.time_field = config["TIME_FIELD"]
        self.field2id_token = {self.uid_field: users, self.iid_field: items}
        self.field2token_id = {
            field: {token: number for number, token in enumerate(tokens.tolist())}
            for field, tokens in self.field2id_token.items()
        }
        self.clicks = clicks

    def num(self, field: str) -> int:
        """Ids of users or news, ``[PAD]`` included."""
        return len(self.field2id_token[field])

    @property
    def item_num(self) -> int:
        """Ids of news, ``[PAD]`` included."""
        return self.num(self.iid_field)

    @property
    def user_num(self) -> int:
        """Ids of users, ``[PAD]`` included."""
        return self.num(self.uid_field)

    def __str__(self) -> str:
        users, news, clicks = self.user_num - 1, self.item_num - 1, self.clicks.sum()
        return f"{users:,} users, {news:,} news, {clicks:,} clicks that are left aside"


def id_dataset(config: Any) -> IdDataset | None:
    """Read the ids of a dataset; they are kept beside it until its files change.

    Returns
    -------
    IdDataset or None
        None where RecBole would leave rows out, so that only it knows the numbers.
    """
    folder = Path(config["data_path"])
    files = [atomic_file(folder, suffix) for suffix in ("inter", "item")]
    if any(config[key] not in values for key, values in _KEEP_ALL.items()) or not all(file.exists() for file in files):
        return None
    stats = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps([stats, config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]).encode()).hexdigest()
    cache = cache_folder(folder) / f"ids-{key[:16]}.npz"
    if not cache.exists():
        found = _read(config, *files)
        if found is None:
            return None
        for old in cache.parent.glob("ids-*.npz"):
            old.unlink(missing_ok=True)
        with replacing(cache) as part:
            np.savez(part, users=found[0], items=found[1], clicks=found[2])
    with np.load(cache) as stored:
        return IdDataset(config, stored["users"], stored["items"], stored["clicks"])


def _read(config: Any, inter: Path, item: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    user_field, item_field = (f"{config[name]}:token" for name in ("USER_ID_FIELD", "ITEM_ID_FIELD"))
    try:
        users, clicked = _columns(inter, user_field, item_field)
        (known,) = _columns(item, item_field)
    except (KeyError, pa.ArrowException):
        return None
    items = pc.unique(pa.concat_arrays([clicked.dictionary, known.dictionary]))
    tokens = {*users.dictionary.to_pylist(), *items.to_pylist()}
    if tokens & (RESERVED | {""}) or any(token.startswith('"') for token in tokens):
        return None
    if pc.index_in(clicked.dictionary, value_set=known.dictionary).null_count:
        return None  # RecBole leaves out clicks on news that .item lacks
    clicks = np.zeros(1 + len(items), dtype=np.int64)
    clicks[1 : 1 + len(clicked.dictionary)] = np.bincount(clicked.indices, minlength=len(clicked.dictionary))
    return _padded(users.dictionary), _padded(items), clicks


def _padded(ids: pa.Array) -> np.ndarray:
    return np.array(["[PAD]", *ids.to_pylist()])


def _columns(path: Path, *fields: str) -> list[pa.DictionaryArray]:
    """Read columns, the values of each numbered in the order in which they come."""
    types = dict.fromkeys(fields, pa.string())
    table = csv.read_csv(
        path,
        csv.ReadOptions(use_threads=False),
        csv.ParseOptions(delimiter="\t", quote_char=False),
        csv.ConvertOptions(include_columns=fields, column_types=types, strings_can_be_null=False),
    )
    return [column.combine_chunks().dictionary_encode() for column in table.columns]
