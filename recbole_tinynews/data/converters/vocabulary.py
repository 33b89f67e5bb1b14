"""Numbers for words, in the order in which they come."""

from __future__ import annotations

from collections import defaultdict
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Vocabulary"]


class Vocabulary:
    """Gives each word a number, from 0 on.

    Examples
    --------
    >>> words = Vocabulary()
    >>> words.codes(pa.array(["b", "a", "b"])).tolist(), words.codes(pa.array(["c", "a"])).tolist()
    ([0, 1, 0], [2, 1])
    """

    def __init__(self) -> None:
        self._codes: defaultdict[str, int] = defaultdict(count().__next__)

    def __len__(self) -> int:
        return len(self._codes)

    def codes(self, words: pa.Array) -> np.ndarray:
        """Number of each word; int32."""
        encoded = pc.dictionary_encode(words)
        unique = map(self._codes.__getitem__, encoded.dictionary.to_pylist())
        codes = np.fromiter(unique, dtype=np.int32, count=len(encoded.dictionary))
        return codes[encoded.indices.to_numpy()]

    def words(self) -> pa.Array:
        """All words, by their number."""
        return pa.array(self._codes, pa.string())
