import gzip
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recbole_tinynews.data.converters import textfile
from recbole_tinynews.data.converters.bad_rows import BadRows
from recbole_tinynews.data.converters.textfile import TextFile
from recbole_tinynews.errors import InputError

CONTENT = "first\nzweite Zeile ü\nlast without end".encode()
LINES = [(1, "first"), (2, "zweite Zeile ü"), (3, "last without end")]


PACK: dict[str, Any] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


def read(file, quoted=False, skip=False):
    """Line numbers and lines of all blocks."""
    lines = []
    for number, block in file.blocks(BadRows(skip), quoted):
        assert block.endswith(b"\n")
        lines += enumerate(block.decode().split("\n")[:-1], number)
    return lines


def packed(folder: Path, suffix: str) -> Path:
    path = folder / f"log.tsv{suffix}"
    path.write_bytes(PACK[suffix](CONTENT))
    return path


@pytest.mark.parametrize("suffix", [*PACK])
def test_lines_are_the_same_however_the_file_is_packed(tmp_path, suffix):
    assert read(TextFile(packed(tmp_path, suffix))) == LINES


@pytest.mark.parametrize("quoted", [False, True])
def test_a_file_in_small_blocks_is_the_same(tmp_path, monkeypatch, quoted):
    monkeypatch.setattr(textfile, "_BLOCK", 3)
    assert read(TextFile(packed(tmp_path, "")), quoted) == LINES


def test_a_quoted_row_stays_in_one_block(tmp_path, monkeypatch):
    monkeypatch.setattr(textfile, "_BLOCK", 4)
    path = tmp_path / "log.csv"
    path.write_bytes(b'a,"b\nc\n""d"\ne,f\ng,"\n"\n')
    blocks = [(number, block) for number, block in TextFile(path).blocks(BadRows(), quoted=True)]
    assert blocks == [(1, b'a,"b\nc\n""d"\n'), (4, b"e,f\n"), (5, b'g,"\n"\n')]


def test_a_row_that_never_ends_is_refused_before_memory_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(textfile, "_BLOCK", 4)
    monkeypatch.setattr(textfile, "_LONGEST_ROW", 20)
    path = tmp_path / "log.csv"
    path.write_bytes(b'a,"b\n' + b"c\n" * 1000)
    with pytest.raises(InputError, match=r"log\.csv:1: a row of more than 64 MB; is a quote not closed"):
        read(TextFile(path), quoted=True)


def test_lines_that_are_no_text_can_be_skipped_and_are_counted(tmp_path):
    path = tmp_path / "bad.tsv"
    path.write_bytes(b"a\nb\xff\nc\0\nd\n\xff\n")
    bad = BadRows(skip=True)
    blocks = list(TextFile(path).blocks(bad))
    assert blocks == [(1, b"a\n\n\nd\n\n")]
    assert bad.counts == {"not UTF-8": 2, "NUL byte": 1}
    assert any("bad.tsv:2: not UTF-8: byte 0xff at column 2" in note for note in bad.notes())


def test_windows_line_ends_and_byte_order_mark_are_left_out(tmp_path):
    path = tmp_path / "windows.tsv"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\r\n\r\n")
    assert read(TextFile(path)) == [(1, "a"), (2, "b c"), (3, "")]


@pytest.mark.parametrize("suffix", [*PACK])
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
    assert read(file) == LINES


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_truncated_archive_is_refused(tmp_path, suffix):
    path = packed(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"log.tsv{suffix}:.*damaged or cut off"):
        read(TextFile(path))


def test_a_file_that_is_no_gzip_is_refused(tmp_path):
    path = tmp_path / "log.tsv.gz"
    path.write_bytes(CONTENT)
    with pytest.raises(InputError, match=r"log\.tsv\.gz:1: .*damaged"):
        read(TextFile(path))


def test_a_damaged_zip_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "mind.zip", "w") as archive:
        archive.writestr("log.tsv", CONTENT)
    raw = (tmp_path / "mind.zip").read_bytes()
    (tmp_path / "mind.zip").write_bytes(raw.replace(b"first", b"fIrst", 1))
    with pytest.raises(InputError, match="damaged"):
        read(TextFile.find(tmp_path / "mind.zip", "log.tsv"))


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
        read(TextFile(path))


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
