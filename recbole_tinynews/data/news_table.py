"""News texts and their tokens, one row a news."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerBase

from recbole_tinynews.data.ragged import Ragged
from recbole_tinynews.data.schema import CORPUS_COLUMNS, Columns, atomic_file
from recbole_tinynews.errors import InputError
from recbole_tinynews.files import replacing

__all__ = ["NewsTable", "tokenize"]

_TEXTS_AT_ONCE = 20_000


@dataclass(frozen=True)
class NewsTable:
    """Texts of all news of a dataset.

    Parameters
    ----------
    titles, bodies : sequence of str
        Row ``i`` belongs to item id ``i``; row 0 is padding and empty. A news without a body has its
        abstract there; one without either, or without a title, has an empty text.

    See Also
    --------
    tokenize : from these texts to token ids.
    """

    titles: Sequence[str]
    bodies: Sequence[str]

    @classmethod
    def load(cls, folder: str | Path, item_ids: Mapping[str, int] | None = None) -> NewsTable:
        """Read the ``.news`` file of a dataset folder.

        Parameters
        ----------
        folder : path
            Dataset folder.
        item_ids : mapping of str to int, optional
            Row of each news; without it the rows follow the file, from 1 on.

        Raises
        ------
        InputError
            If there is no such file, or it lacks a column, or an id stands in it twice.
        """
        path = atomic_file(folder, "news")
        if not path.exists():
            raise InputError("the dataset has no news texts; python -m recbole_tinynews.convert makes them", path=path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with too many columns
                rows = pd.read_csv(
                    path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False, index_col=False
                )
        except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning, UnicodeDecodeError) as error:
            raise InputError(f"not a news file: {error}", path=path) from None
        if tuple(rows.columns) != CORPUS_COLUMNS:
            raise InputError(f"expected the columns {' '.join(CORPUS_COLUMNS)}", path=path, line=1)
        twice = np.flatnonzero(rows[Columns.Item].duplicated())
        if len(twice):
            raise InputError(f"news {rows[Columns.Item][twice[0]]!r} stands there twice", path=path, line=twice[0] + 2)

        if item_ids is None:
            item_ids = {token: row for row, token in enumerate(rows[Columns.Item], start=1)}
        rows = rows.set_index(Columns.Item).reindex(sorted(item_ids, key=item_ids.__getitem__), fill_value="")
        bodies = rows[Columns.Body].where(rows[Columns.Body] != "", rows[Columns.Abstract])
        start = [] if 0 in item_ids.values() else [""]
        return cls(start + rows[Columns.Title].tolist(), start + bodies.tolist())

    def __len__(self) -> int:
        return len(self.titles)

    @property
    def pairs(self) -> np.ndarray:
        """Rows that have a title and a body (or abstract)."""
        both = [bool(title and body) for title, body in zip(self.titles, self.bodies, strict=True)]
        return np.flatnonzero(both)

    @property
    def key(self) -> str:
        """Fingerprint of the texts."""
        return hashlib.sha256("\0".join([*self.titles, *self.bodies]).encode()).hexdigest()[:12]


def tokenize(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    cache: str | Path | None = None,
) -> Ragged:
    """Turn texts into token ids, special tokens included.

    Parameters
    ----------
    texts : sequence of str
        One a row.
    tokenizer : PreTrainedTokenizerBase
        Tokenizer of the pre-trained encoder.
    max_length : int
        Most tokens a row, special tokens included; what is over is cut at the end.
    cache : path, optional
        Folder that keeps the result, under a key of the texts, the tokenizer and the length.

    Returns
    -------
    Ragged
        int32 token ids; an empty text has the special tokens only.
    """
    file = None if cache is None else Path(cache) / f"tokens-{_key(texts, tokenizer, max_length)}.npz"
    if file is not None and file.exists():
        stored = np.load(file)
        return Ragged(stored["values"], stored["offsets"])
    rows: list[list[int]] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        rows += tokenizer(
            list(texts[start : start + _TEXTS_AT_ONCE]),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
    tokens = Ragged.from_rows(rows)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            np.savez(part, values=tokens.values, offsets=tokens.offsets)
    return tokens


def _key(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> str:
    digest = hashlib.sha256("\0".join(texts).encode())
    left_by_last_call = {"truncation": None, "padding": None}
    settings = json.loads(tokenizer.backend_tokenizer.to_str()) | left_by_last_call
    digest.update(f"{json.dumps(settings, sort_keys=True)}\0{max_length}".encode())
    return digest.hexdigest()[:24]
