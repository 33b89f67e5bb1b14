import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recbole_tinynews.convert import main
from recbole_tinynews.data.converters import download
from recbole_tinynews.errors import InputError

NEWS = "N1\tsports\trowing\tOne\t\t\t[]\t[]\nN2\tfood\tbaking\tTwo\t\t\t[]\t[]\n"
BEHAVIORS = "1\tU1\t11/9/2019 9:00:00 AM\t\tN1-1 N2-0\n"


def archive(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(f"{name}/news.tsv", NEWS)
        made.writestr(f"{name}/behaviors.tsv", BEHAVIORS)
    return stream.getvalue()


FILES = {name: archive(name[:-4]) for name in ("MINDsmall_train.zip", "MINDsmall_dev.zip")}


class Host(BaseHTTPRequestHandler):
    """Gives the files, and what a test asks for: parts, files cut short, no answer to ranges."""

    cut: int | None = None
    ranges = True
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Range")))
        content = FILES.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(self.headers["Range"].split("=")[1][:-1]) if self.headers.get("Range") and self.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(Host, "asked", [])
    sizes = {split: (name, len(FILES[name])) for split, name in zip(("train", "valid"), FILES, strict=True)}
    monkeypatch.setitem(download.ARCHIVES, "small", sizes)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_the_command_fetches_converts_and_does_not_fetch_again(host, tmp_path, capsys):
    arguments = ["mind", "--download=small", f"--host={host}", "--name=d", f"--output={tmp_path}"]
    assert main(arguments) == 0
    assert (tmp_path / "d" / "d.train.imp").read_text().splitlines()[1] == "1\tU1\t1573290000\t\tN1 N2\t1 0"
    assert main(arguments) == 0
    assert [path for path, _ in Host.asked] == ["/MINDsmall_train.zip", "/MINDsmall_dev.zip"]
    assert {path.name for path in (tmp_path / "d" / "raw").iterdir()} == set(FILES)


@pytest.mark.parametrize("ranges", [True, False])
def test_what_an_earlier_try_left_is_continued(host, tmp_path, monkeypatch, ranges):
    monkeypatch.setattr(Host, "cut", 100)
    with pytest.raises(InputError, match=r"MINDsmall_train\.zip could not be fetched .*100 of .* by hand from https"):
        download.download_mind("small", tmp_path, [host])
    assert (tmp_path / "MINDsmall_train.zip.part").stat().st_size == 100
    monkeypatch.setattr(Host, "cut", None)
    monkeypatch.setattr(Host, "ranges", ranges)
    paths = download.download_mind("small", tmp_path, [host])
    assert [asked for path, asked in Host.asked if "train" in path] == [None, "bytes=100-"]
    assert {path.name: path.read_bytes() for path in paths.values()} == FILES


def test_the_next_host_is_asked_where_one_does_not_answer(host, tmp_path):
    download.download_mind("small", tmp_path, ["http://127.0.0.1:9/", host + "nowhere/", host])
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_a_file_of_another_size_is_refused(host, tmp_path, monkeypatch):
    monkeypatch.setitem(download.ARCHIVES, "small", {"train": ("MINDsmall_train.zip", 5_000)})
    with pytest.raises(InputError, match=r"offers \d+ bytes, published are 5,000"):
        download.download_mind("small", tmp_path, [host])


def test_a_damaged_archive_is_removed(host, tmp_path, monkeypatch):
    content = FILES["MINDsmall_train.zip"]
    monkeypatch.setitem(FILES, "MINDsmall_train.zip", content.replace(b"rowing", b"mowing", 1))
    with pytest.raises(InputError, match="arrived damaged"):
        download.download_mind("small", tmp_path, [host])
    assert not list(tmp_path.iterdir())


def test_without_any_source_the_command_says_what_to_give(tmp_path, capsys):
    assert main(["mind", "--name=d", f"--output={tmp_path}"]) == 1
    assert main(["mind", "--name=d", f"--output={tmp_path}", "--download=small", "--train=x"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "error: give --train and --valid, or --download small or large"
    assert err[1] == "error: give either --download, or --train and --valid"
