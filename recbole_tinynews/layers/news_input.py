"""What an encoder reads: tokens of all news, or what its frozen layers make of them."""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import torch

from recbole_tinynews.data.ragged import Ragged, places
from recbole_tinynews.layers.texts import sent

__all__ = ["FrozenStates", "NewsInput", "TextSource"]


@dataclass(frozen=True)
class NewsInput:
    """Token ids of all news of a table.

    Parameters
    ----------
    values : int Tensor of shape (total,)
        One news after another.
    offsets : ndarray of shape (news + 1,)
        Where each news starts.
    """

    values: torch.Tensor
    offsets: np.ndarray

    @classmethod
    def from_tokens(cls, tokens: Ragged, device: torch.device | str = "cpu") -> NewsInput:
        """Put token ids on a device."""
        return cls(torch.from_numpy(np.ascontiguousarray(tokens.values)).to(device), tokens.offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each news."""
        return np.diff(self.offsets)

    @property
    def num_news(self) -> int:
        """Rows, padding included."""
        return len(self.offsets) - 1

    def packed(self, rows: np.ndarray) -> torch.Tensor:
        """Return the tokens of some news, one after another, shape (tokens,)."""
        return self.values[sent(torch.from_numpy(places(self.offsets, rows)), self.values.device)]


class FrozenStates:
    """States that enter an encoder's first trained layer, computed by and by and kept.

    Parameters
    ----------
    tokens : NewsInput
        All news.
    rows : int ndarray
        Those that will be read; the others take no room.
    hidden : int
        Size of a token's state.
    dtype : torch.dtype
        Type of the states.
    folder : Path, optional
        Where to keep them in a file, which has no name and is gone with the process; else they are on the device of
        the tokens.

    Raises
    ------
    OSError
        If the disk has no room for the file, or the system is not Linux.
    """

    def __init__(
        self, tokens: NewsInput, rows: np.ndarray, hidden: int, dtype: torch.dtype, folder: Path | None = None
    ) -> None:
        self.tokens = tokens
        self.lengths = np.zeros_like(tokens.lengths)
        self.lengths[rows] = tokens.lengths[rows]
        self._to_come = rows[np.argsort(self.lengths[rows], kind="stable")]
        self._offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self._known = np.zeros(tokens.num_news, dtype=bool)
        shape = int(self._offsets[-1]), hidden
        self._file = None if folder is None else _room(folder, shape[0] * shape[1] * dtype.itemsize)
        if self._file is None:
            self._values = torch.empty(shape, dtype=dtype, device=tokens.values.device)
        else:
            self._values = torch.frombuffer(self._file, dtype=dtype).view(shape)

    @property
    def num_news(self) -> int:
        """Rows, padding included."""
        return self.tokens.num_news

    def to_compute(self, rows: np.ndarray, max_tokens: int) -> np.ndarray:
        """Return those of some news that have no states yet and, if there are any, others that fill a pack with them.

        Parameters
        ----------
        rows : int ndarray
            The news that are wanted.
        max_tokens : int
            Up to so many tokens others are added, so that a few unknown news do not need a pass of their own each time.

        Returns
        -------
        int ndarray
            Each news once, ordered by length.

        Raises
        ------
        ValueError
            If one of them is not among the news that there is room for.
        """
        wanted = np.unique(rows[~self._known[rows]])
        if not len(wanted):
            return wanted
        if not self.lengths[wanted].all():
            raise ValueError("these states have no room for some of the news that are read")
        self._to_come = self._to_come[~self._known[self._to_come]]
        room = max(0, max_tokens - int(self.lengths[wanted].sum()))
        others = self._to_come[:room][~np.isin(self._to_come[:room], wanted)]
        both = np.concatenate([wanted, others[np.cumsum(self.lengths[others]) <= room]])
        return both[np.argsort(self.lengths[both], kind="stable")]

    def put(self, rows: np.ndarray, states: torch.Tensor) -> None:
        """Set the states of some news, given as :meth:`packed` returns them."""
        self._values[self._places(rows)] = states.to(self._values.device)
        self._known[rows] = True
        self._leave_file()

    def packed(self, rows: np.ndarray) -> torch.Tensor:
        """Return the states of some news, one news after another, shape (tokens, hidden)."""
        states = self._values[self._places(rows)]
        self._leave_file()
        return states

    def _places(self, rows: np.ndarray) -> torch.Tensor:
        return sent(torch.from_numpy(places(self._offsets, rows)), self._values.device)

    def _leave_file(self) -> None:
        """Keep the file in the system's cache, which gives way, instead of in this process's memory, which does not."""
        if self._file is not None:
            self._file.madvise(mmap.MADV_DONTNEED)


TextSource = NewsInput | FrozenStates  # what a news encoder reads


def _room(folder: Path, size: int) -> mmap.mmap:
    if not hasattr(os, "posix_fallocate"):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    with TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error now, not a crash later
        return mmap.mmap(file.fileno(), size)
