"""`pellucid open`: what a real server on this machine answers, and whom it refuses."""

import http.client
import itertools
import json
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests import forked
from tests.answering import answering
from tests.patience import PATIENCE

import pellucid as package
from pellucid.app.page import routes
from pellucid.app.page import server as servers
from pellucid.app.page.opening import Opening
from pellucid.errors import TraceError


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving(trained: Path, photos: Path) -> Iterator[servers.Server]:
    glass = servers.Glass(package.load(trained), trained, photos / "red" / "1.png")
    with answering(servers.listening(glass)) as server:
        yield server


@pytest.fixture(scope="module")
def opened(trained: Path, photos: Path) -> Iterator[servers.Server]:
    with serving(trained, photos) as server:
        yield server


@pytest.fixture
def ask(opened: servers.Server) -> Callable[..., Answer]:
    def ask(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(servers.HOST, opened.server_port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    return ask


def raw(opened: servers.Server, request: bytes) -> bytes:
    with socket.create_connection((servers.HOST, opened.server_port), 20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_page_and_its_files_come_under_a_strict_policy(ask: Callable[..., Answer]) -> None:
    page = ask("/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"
    assert not [name for name in page.headers if name.lower().startswith("access-control")]
    for name in re.findall(rb'(?:src|href)="\./([^"]+)"', page.body):
        file = ask(f"/{name.decode()}")
        assert file.status == 200
        assert file.headers["Content-Type"] in ("text/javascript; charset=utf-8", "text/css; charset=utf-8")
        assert ask(f"/web/{name.decode()}").body == file.body


def test_only_the_pages_own_files_are_there(ask: Callable[..., Answer]) -> None:
    for path in (
        "/../app/page/server.py",
        "/%2e%2e/app/page/server.py",
        "/web/../app/page/server.py",
        "/etc/passwd",
        "//x",
        "/api/x",
    ):
        answer = ask(path)
        assert answer.status == 404
        assert "open http://127.0.0.1:" in answer.content["error"]


def test_the_document_is_that_of_the_trace(ask: Callable[..., Answer], opened: servers.Server) -> None:
    answer = ask("/api/document")
    assert answer.headers["Content-Type"] == "application/json"
    content = answer.content
    assert content.pop("run") == opened.glass.shown.run
    assert isinstance(content.pop("offers"), list)
    assert content.pop("what_if")["changes"] == []
    assert content == json.loads(json.dumps(opened.glass.shown.document.content))
    assert content["model"]["name"] == "model"
    assert "bytes" not in content
    assert not [entry for entry in content["arrays"].values() if "rebuilt" in entry]


def test_every_array_arrives_bit_for_bit(ask: Callable[..., Answer], opened: servers.Server) -> None:
    for name, array in opened.glass.shown.document.arrays.items():
        answer = ask(f"/api/array?name={name}")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Dtype"] == str(array.dtype)
        assert answer.headers["X-Shape"] == ",".join(map(str, array.shape))
        assert answer.body == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_a_channel_arrives_alone(ask: Callable[..., Answer], opened: servers.Server) -> None:
    array = opened.glass.shown.document.arrays["value/conv1"]
    answer = ask("/api/array?name=value/conv1&channel=2")
    assert answer.headers["X-Shape"] == f"1,1,{array.shape[2]},{array.shape[3]}"
    np.testing.assert_array_equal(np.frombuffer(answer.body, "<f4"), array[0, 2].ravel())
    for wrong in ("4", "-1", "x", "%C2%B2", "9" * 5000):
        assert ask(f"/api/array?name=value/conv1&channel={wrong}").status == 400
    assert ask("/api/array?name=value/dense1&channel=0").content["error"].startswith("value/dense1 has 0 channels")
    assert ask("/api/array?name=value/none").status == 404
    assert ask("/api/array").status == 404


def test_another_picture_changes_everything(
    ask: Callable[..., Answer], photos: Path, trained: Path, opened: servers.Server
) -> None:
    before = ask("/api/document").content
    other = photos / "blue" / "2.png"
    answer = ask("/api/picture", "POST", other.read_bytes())
    assert (answer.status, answer.content) == (200, {"ok": True, "run": before["run"] + 1})
    after = ask("/api/document").content
    expected = package.load(trained).explain(other)
    assert after["logits"] == expected.logits.tolist()
    assert after["run"] == before["run"] + 1
    assert after["picture"] == "your picture"
    assert ask("/api/picture?name=a%20dog.jpg", "POST", other.read_bytes()).status == 200
    assert ask("/api/label?class=red", "POST").status == 200
    after = ask("/api/document").content
    assert after["picture"] == "a dog.jpg"
    late = ask(f"/api/array?name=value/conv1&run={before['run']}")
    assert late.status == 409
    assert "Reload the page" in late.content["error"]
    assert ask(f"/api/array?name=value/conv1&run={after['run']}").status == 200


def test_the_loss_can_be_measured_against_another_class(ask: Callable[..., Answer]) -> None:
    before = ask("/api/document").content
    other = before["model"]["classes"][1 - before["label"]]
    assert ask(f"/api/label?class={other}", "POST").status == 200
    after = ask("/api/document").content
    assert after["label"] == 1 - before["label"]
    assert after["logits"] == before["logits"]
    assert after["loss"] != before["loss"]
    refused = ask("/api/label?class=rde", "POST")
    assert refused.status == 400
    assert "Did you mean 'red'?" in refused.content["error"]
    assert ask("/api/document").content["run"] == after["run"], "what fails changes nothing"


@pytest.mark.parametrize("body", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n cut off", b"\xff\xd8\xff\xe0" + bytes(50)])
def test_a_file_that_is_no_picture_is_told(ask: Callable[..., Answer], body: bytes) -> None:
    run = ask("/api/document").content["run"]
    answer = ask("/api/picture", "POST", body)
    assert answer.status == 400
    assert answer.content["error"].startswith("This cannot be used as a picture: ")
    assert ask("/api/document").content["run"] == run


def test_an_upload_has_to_say_how_large_it_is_and_arrive_whole(opened: servers.Server) -> None:
    head = f"POST /api/picture HTTP/1.1\r\nHost: 127.0.0.1:{opened.server_port}\r\n".encode()
    chunked = raw(opened, head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.1 411 ")
    for length in (b"99999999999", b"9" * 6000):
        large = raw(opened, head + b"Content-Length: " + length + b"\r\n\r\n")
        assert large.startswith(b"HTTP/1.1 413 ")
        assert b"larger than 64 MB" in large
    assert raw(opened, head + b"Content-Length: -1\r\n\r\n").startswith(b"HTTP/1.1 411 ")
    cut = raw(opened, head + b"Content-Length: 100\r\n\r\nhalf")
    assert cut.startswith(b"HTTP/1.1 400 ")
    assert b"upload was incomplete" in cut
    assert chunked.count(b"HTTP/1.1") == 1, "what was not read is no next request"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1.evil.example"]
)
def test_another_name_for_this_machine_is_refused(ask: Callable[..., Answer], host: str) -> None:
    answer = ask("/api/document", Host=host)
    assert answer.status == 403
    assert answer.content.keys() == {"error"}


def test_localhost_is_this_machine_too(ask: Callable[..., Answer], opened: servers.Server) -> None:
    assert ask("/", Host=f"localhost:{opened.server_port}").status == 200


def test_another_website_may_not_ask(ask: Callable[..., Answer], opened: servers.Server) -> None:
    run = ask("/api/document").content["run"]
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        assert ask("/api/label?class=red", "POST", b"", Origin=origin).status == 403
    assert ask("/api/document").content["run"] == run
    assert ask("/api/document", Origin=f"http://127.0.0.1:{opened.server_port}").status == 200


def test_no_other_website_starts_a_job(ask: Callable[..., Answer], opened: servers.Server) -> None:
    jobs = opened.glass.jobs  # type: ignore[union-attr]
    own = f"http://127.0.0.1:{opened.server_port}"
    for path in ("/api/mistakes", "/api/exemplars?layer=conv1&channel=0", "/api/difference?first=0&second=1"):
        name = path.split("/")[2].split("?")[0]
        for method in ("GET", "HEAD"):
            ask(path, method)  # as an old browser does it for another website's picture
            assert ask(path, method, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}).status == 403
        assert ask(path, "POST", b"").status == 403, "it names no start of the server"
        assert ask(path, "POST", b"", **{"X-Pellucid-Server": "made up"}).status == 409
        for origin in ("https://evil.example", "null"):
            assert ask(path, "POST", b"", Origin=origin, **{"X-Pellucid-Server": opened.id}).status == 403
        assert jobs.known(name) is None
        assert not jobs._latest
    assert ask("/api/mistakes/picture?number=0").status == 409
    assert jobs.known("mistakes") is None
    started = ask("/api/mistakes", "POST", b"", Origin=own, **{"X-Pellucid-Server": opened.id})
    assert started.content["state"] in ("running", "done")
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert ask("/", **link).status == 200, "a link to the page may stand on a website"
    assert ask("/api/document", **link).status == 403


def test_each_answer_names_the_start_of_the_server(ask: Callable[..., Answer], opened: servers.Server) -> None:
    for path in ("/", "/main.js", "/api/document", "/nothing", "/api/array?name=none"):
        assert ask(path).headers["X-Pellucid-Server"] == opened.id
    for late in (ask("/api/document", **{"X-Pellucid-Server": "earlier"}), ask("/api/document?server=earlier")):
        assert (late.status, late.headers["X-Pellucid-Server"]) == (409, opened.id)
        assert "started again" in late.content["error"]


def test_an_earlier_run_is_shown_again(ask: Callable[..., Answer], photos: Path) -> None:
    before = ask("/api/document").content
    assert ask("/api/picture", "POST", (photos / "blue" / "3.png").read_bytes()).status == 200
    assert ask("/api/document").content["logits"] != before["logits"]
    assert ask(f"/api/back?run={before['run']}", "POST").status == 200
    after = ask("/api/document").content
    assert [after[key] for key in ("logits", "picture", "loss")] == [
        before[key] for key in ("logits", "picture", "loss")
    ]
    assert after["run"] == before["run"] + 2
    for wrong in ("9999", "-1", "x", ""):
        assert ask(f"/api/back?run={wrong}", "POST").status == 410


def test_what_is_no_request_of_the_page_is_told_as_json(ask: Callable[..., Answer], opened: servers.Server) -> None:
    for method in ("DELETE", "PUT", "BREW"):
        answer = ask("/", method)
        assert answer.status == 501
        assert answer.content.keys() == {"error"}
    assert ask("/api/nothing", "POST", b"x").status == 404
    head = ask("/api/document", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert raw(opened, f"GET http://[ HTTP/1.1\r\nHost: 127.0.0.1:{opened.server_port}\r\n\r\n".encode()).startswith(
        b"HTTP/1.1 400 "
    )
    for nonsense in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 70000,
    ):
        assert b"Traceback" not in raw(opened, nonsense)
    assert ask("/").status == 200


def test_a_fault_of_ours_is_told_without_a_traceback(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setitem(routes.GET, "/api/array", broken)
    answer = ask("/api/array?name=value/conv1")
    assert answer.status == 500
    assert answer.content == {"error": "This is a bug in Pellucid (ZeroDivisionError). Please report it."}
    assert capsys.readouterr() == ("", "")


def test_many_may_read_while_pictures_change(ask: Callable[..., Answer], photos: Path) -> None:
    picture = (photos / "red" / "2.png").read_bytes()
    statuses: list[int] = []

    def work(number: int) -> None:
        for _ in range(3):
            answer = ask("/api/picture", "POST", picture) if number == 0 else ask("/api/array?name=value/conv1")
            statuses.append(answer.status)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12


def test_what_is_worked_on_comes_to_its_end_before_the_server_does(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, done, go_on = threading.Event(), threading.Event(), threading.Event()

    def slow(_glass: Any, _query: Any) -> Any:
        begun.set()
        go_on.wait(PATIENCE)
        done.set()
        return routes.replies.as_json({})

    monkeypatch.setitem(routes.GET, "/api/slow", slow)
    with serving(trained, photos) as server:
        first, second = (
            http.client.HTTPConnection(servers.HOST, server.server_port, timeout=PATIENCE) for _ in range(2)
        )
        first.request("GET", "/api/slow")
        assert begun.wait(PATIENCE)
        ending = threading.Thread(target=server.finish)
        ending.start()
        ending.join(0.1)
        assert ending.is_alive(), "it waits for the answer"
        second.request("GET", "/api/document")
        refused = second.getresponse()
        assert (refused.status, json.loads(refused.read())["error"]) == (503, routes.replies.ENDING)
        go_on.set()
        ending.join(20)
        assert done.is_set()
        assert first.getresponse().status == 200
        first.close()
        second.close()


def test_no_thread_of_a_connection_outlives_the_server(trained: Path, photos: Path) -> None:
    # garbage collection in such a thread would free tensors during Python's shutdown, which aborts the process
    with serving(trained, photos) as server:
        before = set(threading.enumerate())
        idle = [http.client.HTTPConnection(servers.HOST, server.server_port, timeout=PATIENCE) for _ in range(3)]
        for connection in idle:
            connection.request("GET", "/api/document")
            assert connection.getresponse().read()
        connected = set(threading.enumerate()) - before
        assert len(connected) == len(idle), "they wait for the next question"
        server.finish()
        try:
            assert not connected & set(threading.enumerate())
        finally:
            for connection in idle:
                connection.close()


def test_a_machine_that_stands_still_does_not_end_the_wait(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(trained, photos) as server:
        connection = http.client.HTTPConnection(servers.HOST, server.server_port, timeout=PATIENCE)
        before = set(threading.enumerate())
        connection.request("GET", "/api/document")
        assert connection.getresponse().read()
        (connected,) = set(threading.enumerate()) - before
        hours = itertools.count(step=3600)
        monkeypatch.setattr(time, "monotonic", lambda: float(next(hours)))
        server.finish()
        monkeypatch.undo()
        alive = connected.is_alive()
        connection.close()
        assert not alive


def test_ctrl_c_ends_it(trained: Path, tmp_path: Path) -> None:
    process = forked.Command("open", trained, "--no-browser", cwd=tmp_path)
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert address is not None, line + process.stderr.read()
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=PATIENCE)
        connection.request("GET", "/api/document")
        shown = json.loads(connection.getresponse().read())
        process.send_signal(signal.SIGINT)  # with the connection still open
        out, err = process.communicate()
        connection.close()
    finally:
        process.kill()
    assert process.returncode == 130
    assert (out, err) == ("", "\npellucid: stopped.\n")
    assert shown["picture"].endswith(".png"), "the first of the pictures that the model remembers"


def test_the_page_is_there_while_the_picture_is_followed(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page itself comes at once; its requests are answered as soon as possible."""
    seen: list[Any] = []
    asking: list[threading.Thread] = []

    def get(address: str, path: str) -> bytes:
        with urllib.request.urlopen(address + path, timeout=60) as answer:
            return answer.read()

    class Slow(servers.Glass):
        def __init__(self, *arguments: Any) -> None:
            (address,) = seen
            assert b"<!doctype html>" in get(address, "").lower()
            asking.append(threading.Thread(target=lambda: seen.append(json.loads(get(address, "api/document")))))
            asking[0].start()
            super().__init__(*arguments)

    def serve(server: servers.Server, glass: servers.Glass) -> int:
        asking[0].join(60)
        assert server.glass is not glass
        return 0

    monkeypatch.setattr(servers, "browse", seen.append)
    monkeypatch.setattr(servers, "Glass", Slow)
    monkeypatch.setattr(servers, "serve", serve)
    assert servers.run(trained, photos / "red" / "1.png", 0, True) == 0
    assert seen[1]["picture"] == "1.png"


def test_the_address_is_printed_as_soon_as_it_answers(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed: list[str] = []

    class Slow(servers.Glass):
        def __init__(self, *arguments: Any) -> None:
            printed.append(capsys.readouterr().out)
            super().__init__(*arguments)

    monkeypatch.setattr(servers, "Glass", Slow)

    def serve(server: servers.Server, glass: servers.Glass) -> int:
        server.announce("again")
        return 0

    monkeypatch.setattr(servers, "serve", serve)
    assert servers.run(trained, photos / "red" / "1.png", 0, False) == 0
    line = rf"{re.escape(str(trained))} is open at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\.\n"
    assert re.fullmatch(line, printed[0])
    assert capsys.readouterr().out == "", "once"


def test_what_fails_while_it_is_opened_ends_the_waiting(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int] = []
    begun = threading.Event()
    wait = Opening.get
    asking: list[threading.Thread] = []

    def ask(address: str) -> None:
        try:
            urllib.request.urlopen(address + "api/document", timeout=60)
        except urllib.error.HTTPError as error:
            answers.append(error.code)

    def browse(address: str) -> None:
        asking.append(threading.Thread(target=ask, args=(address,)))
        asking[0].start()

    class Failing(servers.Glass):
        def __init__(self, *_: Any) -> None:
            assert begun.wait(60)
            raise TraceError("it cannot be followed")

    def get(opening: Opening, *arguments: Any) -> Any:
        begun.set()
        return wait(opening, *arguments)

    monkeypatch.setattr(servers, "browse", browse)
    monkeypatch.setattr(servers, "Glass", Failing)
    monkeypatch.setattr(Opening, "get", get)
    with pytest.raises(TraceError, match="cannot be followed"):
        servers.run(trained, photos / "red" / "1.png", 0, True)
    asking[0].join(60)
    assert answers == [503]


def test_what_cannot_be_opened_is_told_in_a_line(
    pellucid: Callable, trained: Path, model: Path, tmp_path: Path, opened: servers.Server
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    taken = opened.server_port
    cases = {
        ("open", tmp_path / "none"): "none",
        ("open", trained, broken): f"{broken}: ",
        ("open", trained, "--port", 70000): "--port is 70000",
        ("open", trained, "--no-browser", "--port", taken): f"Port {taken} cannot be used",
    }
    for arguments, message in cases.items():
        result = pellucid(*arguments)
        assert (result.status, result.out) == (1, "")
        assert message in result.err
        assert len(result.err.splitlines()) == 1


def test_without_a_picture_to_begin_with_it_says_what_to_do(pellucid: Callable, model: Path) -> None:
    (model / "split.csv").unlink()
    result = pellucid("open", model, "--no-browser")
    assert result.status == 1
    assert f"pellucid open {model} picture.jpg" in result.err
