"""Rankings in the form in which MIND's competition takes them."""

from __future__ import annotations

import json
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.errors import InputError
from recbole_tinynews.files import replacing

__all__ = ["read_prediction", "write_prediction"]

_FILE = "prediction.txt"


def write_prediction(path: str | Path, log: ImpressionLog, scores: np.ndarray) -> None:
    """Write the rank of each candidate of each impression, in the order of the log.

    A line is ``impression_id [rank,rank,...]``; 1 is the best. Candidates with the same score share the best of their
    ranks, so that the file says no more than the model: any other order would be an accident.

    Parameters
    ----------
    path : path
        A zip file, with ``prediction.txt`` in it.
    log : ImpressionLog
        Impressions; their labels are not looked at.
    scores : ndarray of shape (candidates,)
        Aligned with ``log.candidates.values``.
    """
    row_of, offsets = log.candidates.row_of, log.candidates.offsets
    order = np.lexsort((-scores, row_of))  # rows stay where they are
    place = np.arange(len(order))
    tied = np.append(False, (np.diff(scores[order]) == 0) & (np.diff(row_of) == 0))
    first = np.maximum.accumulate(np.where(tied, 0, place))  # of those with the same score
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = first - offsets[row_of] + 1
    with ExitStack() as stack:
        part = stack.enter_context(replacing(Path(path)))
        archive = stack.enter_context(zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED))
        file = stack.enter_context(archive.open(_FILE, "w", force_zip64=True))
        for row, name in enumerate(tqdm(log.impression_ids, desc="writing", leave=False)):
            of_row = ranks[offsets[row] : offsets[row + 1]].tolist()
            file.write(f"{name} {json.dumps(of_row, separators=(',', ':'))}\n".encode())


def read_prediction(path: str | Path, log: ImpressionLog) -> np.ndarray:
    """Read such a file back.

    Parameters
    ----------
    path : path
        The zip file, or ``prediction.txt`` itself.
    log : ImpressionLog
        The impressions it belongs to, in the same order.

    Returns
    -------
    float64 ndarray of shape (candidates,)
        Scores that order candidates as the file does: ranks with the sign changed.

    Raises
    ------
    InputError
        If it is not such a file, or belongs to other impressions.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                text = archive.read(_FILE).decode()
        else:
            text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (KeyError, UnicodeDecodeError):
        raise InputError(f"expected {_FILE} in it, in UTF-8", path=path) from None
    lines = text.splitlines()
    if len(lines) != len(log):
        raise InputError(f"expected a line for each of {len(log):,} impressions, found {len(lines):,}", path=path)
    lengths, ranks = log.candidates.lengths, []
    for row, line in enumerate(lines):
        name, _, rest = line.partition(" ")
        try:
            of_row = json.loads(rest)
        except json.JSONDecodeError:
            of_row = None
        if name != log.impression_ids[row] or not isinstance(of_row, list) or len(of_row) != lengths[row]:
            raise InputError(
                f"expected impression {log.impression_ids[row]} and [rank,...] of its {lengths[row]} candidates",
                path=path,
                line=row + 1,
            )
        ranks += of_row
    return -np.array(ranks, dtype=np.float64)
