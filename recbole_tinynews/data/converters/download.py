"""Fetching of published archives."""

from __future__ import annotations

import urllib.error
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path

from tqdm.auto import tqdm

from recbole_tinynews.errors import InputError

__all__ = ["MIND_HOME", "MIND_HOST", "fetch_mind"]

MIND_HOME = "https://msnews.github.io"
MIND_HOST = "https://mind201910small.blob.core.windows.net/release"
_FILES = {
    "small": {"train": "MINDsmall_train.zip", "valid": "MINDsmall_dev.zip"},
    "large": {"train": "MINDlarge_train.zip", "valid": "MINDlarge_dev.zip", "test": "MINDlarge_test.zip"},
}
_BYTES_AT_ONCE = 1 << 20
_PATIENCE = 30  # seconds without an answer


def fetch_mind(size: str, folder: str | Path, host: str = MIND_HOST) -> dict[str, Path]:
    """Fetch the archives of MIND; those that are there and whole are kept, a part of one is completed.

    Parameters
    ----------
    size : {"small", "large"}
        Which of the two published sets.
    folder : path
        Where they go.
    host : str
        Address of a folder that holds them, for a mirror.

    Returns
    -------
    dict of str to Path
        The archive of each split.

    Raises
    ------
    InputError
        If the host does not answer or sends something else; it says how to get them by hand.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    archives = {split: folder / name for split, name in _FILES[size].items()}
    for path in archives.values():
        if not path.exists():
            _fetch(f"{host.rstrip('/')}/{path.name}", path)
    return archives


def _fetch(url: str, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    try:
        _complete(url, part)
    except (OSError, HTTPException) as error:  # URLError is an OSError
        raise InputError(_by_hand(url, path, error)) from None
    broken = "it is no zip file" if not zipfile.is_zipfile(part) else zipfile.ZipFile(part).testzip()
    if broken is not None:
        part.unlink()
        raise InputError(_by_hand(url, path, f"what came is damaged ({broken})"))
    part.replace(path)


def _complete(url: str, part: Path) -> None:
    """Fetch what is missing of a file, and check its size."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            return
        raise
    with answer:
        if answer.status != 206:
            done = 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        bar = tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=part.stem)
        with bar, part.open("ab" if done else "wb") as file:
            while block := answer.read(_BYTES_AT_ONCE):
                file.write(block)
                bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise OSError(f"{part.stat().st_size:,} of {total:,} bytes came; give the command again to go on")


def _by_hand(url: str, path: Path, error: object) -> str:
    return (
        f"{url} could not be fetched: {error}. By hand: get {path.name} from {MIND_HOME} and put it into "
        f"{path.parent}, or name your files by --train and --valid"
    )
