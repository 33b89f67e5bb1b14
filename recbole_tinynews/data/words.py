"""Words, their vectors and categories: what the shallow models read."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from recbole_tinynews.data.schema import ITEM_HEADER, atomic_file
from recbole_tinynews.errors import InputError

__all__ = ["load_categories", "load_word_vectors", "word_tokenizer"]

_PAD, _UNKNOWN = "[PAD]", "[UNK]"


def word_tokenizer(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    """Make a tokenizer of whole words, in lower case, of the most frequent ones.

    Parameters
    ----------
    texts : sequence of str
        Where the words come from.
    size : int
        Most words, among them ``[PAD]`` (0) and ``[UNK]`` (1).
    """
    tokenizer = Tokenizer(models.WordLevel(unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=[_PAD, _UNKNOWN], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=_PAD, unk_token=_UNKNOWN)


def load_word_vectors(path: str | Path, words: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Read the vectors of some words from a text file in the form of GloVe's.

    Parameters
    ----------
    path : path
        UTF-8; a word and its numbers a line, with a blank between them.
    words : mapping of str to int
        Row of each word.

    Returns
    -------
    float32 ndarray of shape (words, dim), bool ndarray of shape (words,)
        The vectors, zero where the file has none, and where it has one.

    Raises
    ------
    InputError
        If the file cannot be read, has a line of another form, or none of the words.
    """
    found: dict[int, list[str]] = {}
    dim = None
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                fields = line.rstrip().split(" ")
                dim = dim or len(fields) - 1
                if len(fields) - 1 != dim:
                    raise InputError(f"expected a word and {dim} numbers", path=path, line=number)
                if fields[0] in words:
                    found[words[fields[0]]] = fields[1:]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8", path=path) from None
    if not found or not dim:
        raise InputError("holds none of the dataset's words", path=path)
    try:
        values = np.array(list(found.values()), dtype=np.float32)
    except ValueError as error:
        raise InputError(f"not a file of word vectors: {error}", path=path) from None
    vectors = np.zeros((len(words), dim), dtype=np.float32)
    rows = np.fromiter(found, dtype=np.int64)
    vectors[rows] = values
    known = np.zeros(len(words), dtype=bool)
    known[rows] = True
    return vectors, known


def load_categories(folder: str | Path, item_ids: Mapping[str, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Read category and subcategory of each news from the ``.item`` file.

    Parameters
    ----------
    folder : path
        Dataset folder.
    item_ids : mapping of str to int
        Row of each news.

    Returns
    -------
    int64 ndarray of shape (news, 2)
        Numbers from 1 on, in the order of the names; 0 where unknown, as all are without such a file.
    tuple of int
        How many numbers there are in each column, 0 included.
    """
    path = atomic_file(folder, "item")
    names = [column.split(":")[0] for column in ITEM_HEADER]
    rows = pd.DataFrame(columns=names, dtype=str)
    if path.exists():
        rows = pd.read_csv(path, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False)
        rows = rows.rename(columns=lambda name: name.split(":")[0])
    rows = rows.set_index(names[0]).reindex(sorted(item_ids, key=item_ids.__getitem__), columns=names[1:])
    numbers = [pd.factorize(rows[name].where(rows[name] != ""), sort=True)[0] + 1 for name in names[1:]]
    return np.stack(numbers, axis=1), (int(numbers[0].max()) + 1, int(numbers[1].max()) + 1)
