import gzip
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

CONTENT = "first\nzweite Zeile ü\nlast without end".encode()
LINES = [(1, "first"), (2, "zweite Zeile ü"), (3, "last without end")]


PACK: dict[str, Any] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def packed(folder: Path, suffix: str) -> Path:
    path = folder / f"log.tsv{suffix}"
    path.write_bytes(PACK[suffix](CONTENT))
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_lines_are_the_same_however_the_file_is_packed(tmp_path, suffix):
    assert list(TextFile(packed(tmp_path, suffix)).lines()) == LINES


def test_windows_line_ends_and_byte_order_mark_are_left_out(tmp_path):
    path = tmp_path / "windows.tsv"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\r\n\r\n")
    assert list(TextFile(path).lines()) == [(1, "a"), (2, "b\rc"), (3, "")]


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_a_file_is_found_in_a_folder_by_its_plain_name(tmp_path, suffix):
    assert (
        TextFile.find(tmp_path, packed(tmp_path, suffix).name.removesuffix(suffix)).path
        == tmp_path / f"log.tsv{suffix}"
    )


@pytest.mark.parametrize("member", ["log.tsv", "MINDsmall_train/log.tsv"])
def test_a_file_is_found_in_a_zip_with_or_without_a_folder(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "mind.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, CONTENT)
        archive.writestr("__MACOSX/log.tsv", b"rubbish")
    file = TextFile.find(tmp_path / "mind.zip", "log.tsv")
    assert str(file) == str(tmp_path / "mind.zip" / member)
    assert list(file.lines()) == LINES


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_truncated_archive_is_refused(tmp_path, suffix):
    path = packed(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"log.tsv{suffix}:\d+: .*damaged or cut off"):
        list(TextFile(path).lines())


def test_a_file_that_is_no_gzip_is_refused(tmp_path):
    path = tmp_path / "log.tsv.gz"
    path.write_bytes(CONTENT)
    with pytest.raises(InputError, match=r"log\.tsv\.gz:1: .*damaged"):
        list(TextFile(path).lines())


def test_a_damaged_zip_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mind.zip", "w") as archive:
        archive.writestr("log.tsv", CONTENT)
    raw = (tmp_path / "mind.zip").read_bytes()
    (tmp_path / "mind.zip").write_bytes(raw.replace(b"first", b"fIrst", 1))
    with pytest.raises(InputError, match="damaged"):
        list(TextFile.find(tmp_path / "mind.zip", "log.tsv").lines())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bad.tsv: the file is empty"),
        (b"a\nb\0\n", "bad.tsv:2: holds a NUL byte"),
        (b"a\nb\nc\xff\n", "bad.tsv:3: not UTF-8: byte 0xff at column 2"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(TextFile(path).lines())


@pytest.mark.parametrize(("place", "message"), [("nowhere", "no such folder"), (".", "no news.tsv")])
def test_a_missing_file_is_named(tmp_path, place, message):
    with pytest.raises(InputError, match=message):
        TextFile.find(tmp_path / place, "news.tsv")


def test_a_truncated_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mind.zip", "w") as archive:
        archive.writestr("news.tsv", CONTENT)
    (tmp_path / "mind.zip").write_bytes((tmp_path / "mind.zip").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"mind\.zip: expected a folder or a whole zip file"):
        TextFile.find(tmp_path / "mind.zip", "news.tsv")
