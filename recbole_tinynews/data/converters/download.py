"""Fetching MIND's published archives."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from tqdm import tqdm

from recbole_tinynews.errors import InputError

__all__ = ["download_mind"]

HOSTS = (
    "https://recodatasets.z20.web.core.windows.net/newsrec/",
    "https://mind201910small.blob.core.windows.net/release/",
)
# Name and published size in bytes of each split's archive. The test split of MIND-large has no labels.
ARCHIVES = {
    "small": {"train": ("MINDsmall_train.zip", 52_952_752), "valid": ("MINDsmall_dev.zip", 30_945_572)},
    "large": {"train": ("MINDlarge_train.zip", 530_196_631), "valid": ("MINDlarge_dev.zip", 103_456_245)},
}
_BY_HAND = "https://msnews.github.io or https://huggingface.co/datasets/Recommenders/MIND"
_CHUNK = 1 << 20
_SECONDS = 30  # without an answer


def download_mind(size: str, folder: Path, hosts: Sequence[str] = HOSTS) -> dict[str, Path]:
    """Fetch the archives that are not there yet, and return where each split's lies.

    What an earlier try left is continued. Each archive must have its published size, and each file in it the checksum
    that the archive holds for it.

    Parameters
    ----------
    size : {"small", "large"}
        Which MIND.
    folder : Path
        Where the archives are kept.
    hosts : sequence of str
        Addresses to try, one after another, each with a slash at its end.

    Raises
    ------
    InputError
        If no host gives a whole archive; says how to get it by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for split, (name, length) in ARCHIVES[size].items():
        paths[split] = folder / name
        if not paths[split].exists():
            part = folder / f"{name}.part"
            _fetch_from_any(hosts, name, part, length)
            _check(part)
            part.replace(paths[split])
    return paths


def _fetch_from_any(hosts: Sequence[str], name: str, part: Path, length: int) -> None:
    tried = []
    for host in hosts:
        try:
            _fetch(host + name, part, length)
            return
        except (OSError, HTTPException) as error:  # noqa: PERF203
            tried.append(f"{host}: {error}")
    raise InputError(
        f"{name} could not be fetched ({'; '.join(tried)}). Start again to go on where it stopped, or get it by hand "
        f"from {_BY_HAND}, put it into {part.parent} and start again"
    )


def _fetch(url: str, part: Path, length: int) -> None:
    """Get the rest of a file, or all of it where the host cannot give the rest."""
    there = part.stat().st_size if part.exists() else 0
    if there == length:
        return
    if there > length:
        there = 0
    headers = {"User-Agent": "recbole_tinynews"} | ({"Range": f"bytes={there}-"} if there else {})
    with urlopen(Request(url, headers=headers), timeout=_SECONDS) as answer:
        if answer.status != 206:
            there = 0
        offered = there + int(answer.headers.get("Content-Length", length - there))
        if offered != length:
            raise OSError(f"offers {offered:,} bytes, published are {length:,}")
        with part.open("ab" if there else "wb") as stream, _bar(part.stem, there, length) as bar:
            while chunk := answer.read(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
    if part.stat().st_size != length:
        raise OSError(f"ended after {part.stat().st_size:,} of {length:,} bytes")


def _bar(name: str, there: int, length: int) -> tqdm:
    return tqdm(total=length, initial=there, unit="B", unit_scale=True, desc=name, leave=False, disable=None)


def _check(part: Path) -> None:
    try:
        with zipfile.ZipFile(part) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile:
        broken = "its list of files"
    if broken:
        part.unlink()
        raise InputError(f"arrived damaged ({broken} has a wrong checksum) and was removed: start again", part)
