"""The runtime for browsers is fetched once, checked and cached; without a connection an error says what to do."""

import hashlib
import http.server
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.answering import answering

from pellucid import api, files
from pellucid.app.cli import main
from pellucid.errors import ArtefactError
from pellucid.exports import browser_runtime
from pellucid.exports.browser_runtime import FOLDER, MODULE, PROGRAM


def package() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("package/README.md", MODULE, PROGRAM):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return buffer.getvalue()


class Registry(http.server.BaseHTTPRequestHandler):
    content = b""
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_response(200 if self.content else 503)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Registry]]:
    """A registry on this machine, with a small package under the real one's name."""
    Registry.content, Registry.requests = package(), 0
    with answering(http.server.HTTPServer(("127.0.0.1", 0), Registry)) as server:
        monkeypatch.setattr(browser_runtime, "ADDRESS", f"http://127.0.0.1:{server.server_port}/x.tgz")
        monkeypatch.setattr(browser_runtime, "SHA256", hashlib.sha256(Registry.content).hexdigest())
        yield Registry


def test_it_is_fetched_once_and_again_only_if_it_was_changed(registry: type[Registry], tmp_path: Path) -> None:
    for _ in range(2):
        runtime = browser_runtime.read(tmp_path)
        assert (runtime.module.decode(), runtime.program.decode()) == (MODULE, PROGRAM)
    assert registry.requests == 1
    path = browser_runtime.place(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    browser_runtime.read(tmp_path)
    assert registry.requests == 2
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_another_file_is_refused_and_not_cached(registry: type[Registry], tmp_path: Path) -> None:
    registry.content = registry.content[:-9]
    with pytest.raises(ArtefactError, match=r"is not the published file: its hash is \w{12}… and not \w{12}…, after"):
        browser_runtime.read(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_without_a_connection_an_error_says_what_to_do(
    registry: type[Registry],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(files, "user_cache", lambda: tmp_path / "cache")
    registry.content = b""
    instead = f"fetch {browser_runtime.ADDRESS}; copy it to {tmp_path}/cache/stores/browser/onnxruntime-web-1.30.0.tgz"
    out = tmp_path / "page.html"
    for why in ("the registry answers with error 503", "Connection refused"):
        assert main(["export", str(trained), str(out), "--format", "html"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "The page needs onnxruntime-web 1.30.0, which could not be fetched: " in line
        assert why in line
        assert instead in line
        monkeypatch.setattr(browser_runtime, "ADDRESS", "http://127.0.0.1:9/x.tgz")
        instead = instead.replace(instead.split()[1], "http://127.0.0.1:9/x.tgz;")
    assert not out.exists()


def test_ctrl_c_leaves_nothing(registry: type[Registry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(done: int | None) -> None:
        if done is not None:
            raise KeyboardInterrupt

    monkeypatch.setattr(browser_runtime, "_show", interrupted)
    with pytest.raises(KeyboardInterrupt):
        browser_runtime.read(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_the_cache_lists_and_clears_it(registry: type[Registry], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    browser_runtime.read(tmp_path)
    path = browser_runtime.place(tmp_path)
    (entry,) = api.cached(tmp_path)
    assert (entry.path, entry.bytes) == (path, path.stat().st_size)
    assert main(["cache", "--cache", str(tmp_path)]) == 0
    assert "onnxruntime-web-1.30.0.tgz" in capsys.readouterr().out
    (path.parent / "mine.txt").write_text("mine")
    assert api.clear_cache(tmp_path) == entry.bytes
    assert [each.name for each in (tmp_path / FOLDER).iterdir()] == ["mine.txt"]
