"""Downloads from a server of our own, with every fault a mirror can have."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minigan.data import download
from minigan.data.download import SOURCES, Source
from minigan.errors import InputError

GOOD = np.random.default_rng(0).bytes(300_000)
BAD = GOOD[:150_000] + b"?" + GOOD[150_001:]


class Handler(BaseHTTPRequestHandler):
    """The first part of the path names the mirror's behaviour: good, norange, cut, half, dead, bad, …"""

    def do_GET(self):
        kind = self.path.split("/")[1]
        wanted = self.headers.get("Range")
        self.server.requests.append((kind, wanted))
        if kind == "missing":
            return self.send_error(404)
        body = {"bad": BAD, "badcut": BAD, "long": 100 * GOOD}.get(kind, GOOD)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and kind != "norange" else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if kind == "dead":
            return
        end = {"cut": start + 200_000, "badcut": start + 200_000, "half": 200_000}.get(kind, len(body))
        try:
            self.wfile.write(body[start:end])
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setitem(SOURCES, "tiny", Source((), {"file.gz": (len(GOOD), hashlib.md5(GOOD).hexdigest())}))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.hung_up = [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, folder, *kinds):
    base = f"http://127.0.0.1:{server.server_address[1]}"
    return fetch_from(folder, *(f"{base}/{kind}/" for kind in kinds))


def fetch_from(folder, *mirrors):
    SOURCES["tiny"] = SOURCES["tiny"]._replace(mirrors=mirrors)  # the fixture removes it again
    return download("tiny", folder)


def content(folder):
    """The files in a folder, as {name: bytes}."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_fresh_and_already_there(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    assert fetch(server, folder, "good") == folder
    assert content(folder) == {"file.gz": GOOD}
    fetch(server, folder, "good")
    assert server.requests == [("good", None)]


def test_a_damaged_file_already_there_is_replaced(server, tmp_path):
    (tmp_path / "file.gz").write_bytes(BAD)
    fetch(server, tmp_path, "good")
    assert content(tmp_path) == {"file.gz": GOOD}


def test_a_cut_connection_is_resumed(server, tmp_path):
    fetch(server, tmp_path, "cut")
    assert content(tmp_path) == {"file.gz": GOOD}
    assert server.requests == [("cut", None), ("cut", "bytes=200000-")]


def test_a_part_left_by_an_earlier_call_is_resumed(server, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(GOOD[:1234])
    fetch(server, tmp_path, "good")
    assert content(tmp_path) == {"file.gz": GOOD}
    assert server.requests == [("good", "bytes=1234-")]


def test_a_whole_part_needs_no_request(server, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(GOOD)
    fetch(server, tmp_path, "good")
    assert content(tmp_path) == {"file.gz": GOOD} and server.requests == []


def test_a_server_without_range_starts_over(server, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(GOOD[:1234])
    fetch(server, tmp_path, "norange")
    assert content(tmp_path) == {"file.gz": GOOD}
    assert server.requests == [("norange", "bytes=1234-")]


@pytest.mark.parametrize("first", ["bad", "badcut", "long", "missing", "dead"])
def test_after_a_bad_mirror_the_next_one_is_used(server, tmp_path, first):
    fetch(server, tmp_path, first, "good")
    assert content(tmp_path) == {"file.gz": GOOD}
    assert server.requests[-1] == ("good", None)


def test_a_file_that_is_too_long_is_not_read_to_its_end(server, tmp_path):
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(server, tmp_path, "long")
    assert server.hung_up.wait(10)
    assert content(tmp_path) == {}


@pytest.mark.parametrize("part", [BAD[:200_000], BAD, GOOD + b"more"])
def test_a_wrong_part_is_thrown_away_and_the_mirror_asked_again(server, tmp_path, part):
    (tmp_path / "file.gz.part").write_bytes(part)
    fetch(server, tmp_path, "good")
    assert content(tmp_path) == {"file.gz": GOOD}
    assert server.requests[-1] == ("good", None)


def test_when_all_mirrors_fail_one_error_lists_the_reasons(server, tmp_path):
    with pytest.raises(InputError, match="bad/file.gz: wrong checksum; .*missing/file.gz: 404") as caught:
        fetch(server, tmp_path, "bad", "missing")
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == {}


def test_an_unfinished_part_stays_for_the_next_call(server, tmp_path):
    with pytest.raises(InputError, match="ended after 200000 of 300000 bytes"):
        fetch(server, tmp_path, "half")
    assert content(tmp_path) == {"file.gz.part": GOOD[:200_000]}
    fetch(server, tmp_path, "good")
    assert content(tmp_path) == {"file.gz": GOOD}
    assert server.requests[-1] == ("good", "bytes=200000-")


def test_no_server_no_address_no_dataset_no_folder(server, tmp_path):
    with pytest.raises(InputError, match="cannot download file.gz"):
        fetch_from(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(InputError, match="unknown url type"):
        fetch_from(tmp_path, "nonsense")
    with pytest.raises(InputError, match="choose from mnist, fashion-mnist, kmnist"):
        download("imagenet", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        fetch(server, tmp_path / "file", "good")


def test_the_known_sources_are_complete():
    for name in ("mnist", "fashion-mnist", "kmnist"):
        source = SOURCES[name]
        assert source.mirrors and len(source.files) == 4
        assert all(size > 4000 and len(md5) == 32 for size, md5 in source.files.values())
    sums = [md5 for source in SOURCES.values() for _, md5 in source.files.values()]
    assert len(set(sums)) == len(sums)
