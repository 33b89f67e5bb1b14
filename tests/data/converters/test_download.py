"""Archives from a host on this machine."""

from __future__ import annotations

import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recbole_tinynews.convert import main
from recbole_tinynews.data.converters.download import fetch_mind
from recbole_tinynews.errors import InputError

NEWS = "N1\tc\ts\tOne\tabout one\tu\t[]\t[]\nN2\tc\ts\tTwo\t\tu\t[]\t[]\n"
LOG = "1\tU1\t11/11/2019 9:05:58 AM\tN1\tN2-1 N1-0\n"


@pytest.fixture
def host(tmp_path):
    """A host that knows ranges; ``asked`` holds (name, first byte) of each request."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("MINDsmall_train.zip", "MINDsmall_dev.zip"):
        with zipfile.ZipFile(source / name, "w") as archive:
            archive.writestr("news.tsv", NEWS)
            archive.writestr("behaviors.tsv", LOG)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[1]
            path = source / name
            if not path.exists():
                self.send_error(404)
                return
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            server.asked.append((name, first))
            content = path.read_bytes()
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            self.wfile.write(content[first:][: server.most])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.most, server.source = [], None, source
    server.url = f"http://127.0.0.1:{server.server_port}/release"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_archives_are_fetched_once_and_converted(host, tmp_path, capsys):
    arguments = ["mind", "--download=small", f"--mirror={host.url}", "--name=mind-small", f"--output={tmp_path / 'd'}"]
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert host.asked == [("MINDsmall_train.zip", 0), ("MINDsmall_dev.zip", 0)]
    assert (tmp_path / "d" / "mind-small" / "mind-small.valid.imp").read_text().count("\n") == 2


def test_a_broken_connection_is_told_and_the_next_attempt_completes_the_file(host, tmp_path):
    host.most = 100
    with pytest.raises(InputError, match=r"MINDsmall_train.zip could not be fetched.*By hand: get MINDsmall_train.zip"):
        fetch_mind("small", tmp_path / "raw", host.url)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["MINDsmall_train.zip.part"]
    host.most = None
    found = fetch_mind("small", tmp_path / "raw", host.url)
    assert host.asked == [("MINDsmall_train.zip", 0), ("MINDsmall_train.zip", 100), ("MINDsmall_dev.zip", 0)]
    for path in found.values():
        assert path.read_bytes() == (host.source / path.name).read_bytes()


@pytest.mark.parametrize("what", ["page", "damage"])
def test_what_is_no_whole_archive_is_not_kept(host, tmp_path, what):
    path = host.source / "MINDsmall_train.zip"
    content = path.read_bytes()
    path.write_bytes(b"<html>" if what == "page" else content.replace(b"about one", b"about two"))
    with pytest.raises(InputError, match="what came is damaged"):
        fetch_mind("small", tmp_path / "raw", host.url)
    assert not list((tmp_path / "raw").iterdir())


def test_a_host_that_does_not_answer_or_has_nothing_leads_to_the_way_by_hand(host, tmp_path, capsys):
    (host.source / "MINDsmall_train.zip").unlink()
    for url in (host.url, "http://127.0.0.1:9"):
        arguments = ["mind", "--download=small", f"--mirror={url}", "--name=m", f"--output={tmp_path / 'd'}"]
        assert main(arguments) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert "By hand: get MINDsmall_train.zip from https://msnews.github.io" in line


def test_files_and_download_exclude_each_other(tmp_path, capsys):
    assert main(["mind", "--download=small", "--train=x", "--name=m"]) == 1
    assert main(["mind", "--train=x", "--name=m"]) == 1
    assert capsys.readouterr().err.count("error: give") == 2
