"""Names of columns and files of a dataset folder. Nothing else spells them out."""

from __future__ import annotations

from pathlib import Path

__all__ = ["CORPUS_COLUMNS", "IMPRESSION_HEADER", "INTER_HEADER", "ITEM_HEADER", "SPLITS", "Columns", "atomic_file"]

SPLITS = ("train", "valid", "test")


class Columns:
    """Column names, without RecBole's types."""

    User = "user_id"
    Item = "item_id"
    Time = "timestamp"
    Category = "category"
    Subcategory = "subcategory"
    Title = "title"
    Abstract = "abstract"
    Body = "body"
    Impression = "impression_id"
    History = "history"
    Candidates = "candidates"
    Labels = "labels"


INTER_HEADER = ("user_id:token", "item_id:token", "timestamp:float")
ITEM_HEADER = ("item_id:token", "category:token", "subcategory:token")
IMPRESSION_HEADER = (
    "impression_id:token",
    "user_id:token",
    "timestamp:float",
    "history:token_seq",
    "candidates:token_seq",
    "labels:token_seq",
)
CORPUS_COLUMNS = (Columns.Item, Columns.Title, Columns.Abstract, Columns.Body)


def atomic_file(folder: str | Path, suffix: str) -> Path:
    """Path of a dataset's file, e.g. ``atomic_file("dataset/demo", "train.imp")``."""
    folder = Path(folder)
    return folder / f"{folder.name}.{suffix}"
