"""What is too much is refused: bytes, pixels, pictures, waiting, time. The server goes on."""

import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.patience import PATIENCE
from tests.serving.conftest import SMALL, Running, base64_of, multipart, running

from pellucid.classifier.predict.backend import Logits
from pellucid.errors import RecipeError
from pellucid.serving import running as process
from pellucid.serving.limits import Limits
from pellucid.serving.protocol import patient

Png = Callable[[int], bytes]


def raw(served: Running, sent: bytes, wait: bool = True) -> bytes:
    """What comes back for these very bytes, until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall(sent)
        if not wait:
            return b""
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_a_body_over_the_limit_is_refused_before_it_is_read(served: Running) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n"
        )
        assert b" 4" in connection.recv(65536)[:20]
        connection.sendall(b"x")
    answer = served.ask("POST", "/v1/predict", b"x" * (SMALL.body + 1))
    assert answer.status == 413
    assert "larger than 0.2 MB" in answer.json["error"]
    assert answer.headers["connection"] == "close"


def test_a_body_without_a_length_is_counted_while_it_is_read(served: Running, png: Png) -> None:
    small = served.ask("POST", "/v1/predict", iter([png(0)[:100], png(0)[100:]]), chunked=True)
    assert small.status == 200
    assert served.server.application.handler.gate.bytes == 0
    large = served.ask("POST", "/v1/predict", iter([b"x" * 50_000] * 5), chunked=True)
    assert large.status == 413


def test_a_decode_bomb_is_refused_by_its_header(served: Running) -> None:
    """A PNG of 900 megapixels in some hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    answer = served.ask("POST", "/v1/predict", bomb)
    assert answer.status == 400
    assert "pixel" in answer.json["error"]


def test_too_many_pictures_are_refused_in_every_dialect(served: Running, png: Png) -> None:
    many = SMALL.pictures + 1
    body, headers = multipart([(str(number), png(0)) for number in range(many)])
    assert served.ask("POST", "/v1/predict", body, headers).status == 413
    data = [base64_of(png(0))] * many
    assert served.ask("POST", "/v1/predict", {"pictures": data}).status == 413
    tensor = {"name": "pictures", "shape": [many], "datatype": "BYTES", "data": data}
    answer = served.ask("POST", "/v2/models/small/infer", {"inputs": [tensor]})
    assert answer.status == 413
    assert f"at most {SMALL.pictures}" in answer.json["error"]


def test_a_compressed_body_is_refused(served: Running) -> None:
    answer = served.ask("POST", "/v1/predict", b"x", {"Content-Encoding": "gzip"})
    assert answer.status == 415
    assert "compressed (gzip)" in answer.json["error"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02 nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: nine\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ncut",
        b"GET /v1/%ff%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/models?\xff=\xfe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_nonsense_on_the_wire_harms_nobody(served: Running, png: Png, sent: bytes) -> None:
    said = raw(served, sent)
    assert b"Traceback" not in said
    assert not said.startswith(b"HTTP/1.1 5")
    assert b"error" in said or b"models" in said or b"Content-Length: 100" in sent
    assert served.ask("POST", "/v1/predict", png(0)).status == 200


# ---- time


class Held:
    """A network that computes only once it may."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def around(self, logits: Logits) -> Logits:
        def waiting(images: np.ndarray) -> np.ndarray:
            assert self.go.wait(PATIENCE)
            return logits(images)

        return waiting


@pytest.fixture
def held() -> Iterator[Held]:
    found = Held()
    yield found
    found.go.set()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_a_full_queue_says_when_to_come_back_and_what_was_taken_is_answered(
    trained: Path, png: Png, held: Held
) -> None:
    limits = Limits(pictures=2, queue=4)
    with running({"small": trained}, limits, around=held.around) as served, ThreadPoolExecutor(4) as callers:
        gate = served.server.application.handler.gate
        taken = [callers.submit(served.ask, "POST", "/v1/predict", png(number)) for number in range(4)]
        wait_for(lambda: gate.pictures == 4)
        for path, body in (("/v1/predict", png(9)), ("/", png(9))):
            refused = served.ask("POST", path, body)
            assert refused.status == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert "4 pictures are being worked on" in refused.json["error"]
        held.go.set()
        assert [each.result().status for each in taken] == [200] * 4
        assert gate.pictures == 0
        assert served.ask("POST", "/v1/predict", png(9)).status == 200


def test_bytes_in_memory_have_a_limit_of_their_own(served: Running, png: Png) -> None:
    gate = served.server.application.handler.gate
    gate.take(SMALL.held)
    try:
        answer = served.ask("POST", "/v1/predict", png(0))
    finally:
        gate.free(SMALL.held)
    assert answer.status == 429
    assert served.ask("POST", "/v1/predict", png(0)).status == 200


def test_an_answer_that_takes_too_long_is_given_up_and_its_place_is_free(trained: Path, png: Png, held: Held) -> None:
    with running({"small": trained}, Limits(seconds=1), around=held.around) as served:
        answer = served.ask("POST", "/v1/predict", png(0))
        assert answer.status == 504
        assert "longer than 1 s" in answer.json["error"]
        assert served.server.application.handler.gate.pictures == 0
        assert b"pellucid_pictures_in_work 0.0" in served.ask("GET", "/metrics").content
        held.go.set()
        wait_for(lambda: served.ask("POST", "/v1/predict", png(0)).status == 200)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /"]
)
def test_a_request_that_never_becomes_whole_is_not_waited_for(trained: Path, sent: bytes) -> None:
    with running({"small": trained}, Limits(seconds=0.5)) as served:
        connection = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
        with connection:
            connection.sendall(sent)
            said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 200" if b"\r\n\r\n" in sent else b"HTTP/1.1 408")
    assert b"No whole request came within 0.5 s." in said


def pipelined(served: Running, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "after", [b"garbage\r\n\r\n", b"GET / HT", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\ngarbage\r\n\r\n"]
)
def test_a_bad_request_behind_a_good_one_does_not_answer_in_its_place(
    trained: Path, png: Png, held: Held, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(png(0))
    monkeypatch.setattr(process, "patient", lambda _: patient(0.2))  # a head has 0.2 s, an answer more
    with running({"small": trained}, around=held.around) as served, ThreadPoolExecutor(1) as caller:
        answer = caller.submit(pipelined, served, good + png(0) + after)
        wait_for(lambda: served.server.application.handler.gate.pictures == 1)
        time.sleep(0.3)
        held.go.set()
        said = answer.result()
    assert said.startswith(b"HTTP/1.1 200")
    assert b'"predictions"' in said
    assert said.count(b"HTTP/1.1") == 1, "the bad request ends the connection"


@pytest.mark.parametrize("megabytes", [1, 20])
def test_a_refusal_reaches_a_client_that_still_sends(served: Running, megabytes: int) -> None:
    """A socket that is closed with bytes unread is reset, and the answer is lost."""
    answer = served.ask("POST", "/v1/predict", bytes(megabytes * 1_000_000))
    assert answer.status == 413
    said = pipelined(served, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * megabytes * 1_000_000)
    assert said.startswith(b"HTTP/1.1 431")


def test_the_rest_of_an_answered_request_is_not_waited_for(trained: Path) -> None:
    with running({"small": trained}, Limits(seconds=0.2)) as served:
        for path in (b"/nothing", b"/v1/predict?a=b"):
            said = pipelined(
                served, b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\nx"
            )
            assert said.startswith(b"HTTP/1.1 4")


def test_headers_without_end_are_refused(served: Running) -> None:
    said = raw(served, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
    assert said.startswith(b"HTTP/1.1 431")


def test_a_body_that_does_not_arrive_is_not_waited_for(trained: Path) -> None:
    with running({"small": trained}, Limits(seconds=0.5)) as served:
        connection = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
        with connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nslow")
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")


def test_the_end_answers_what_is_in_work(trained: Path, png: Png, held: Held) -> None:
    with running({"small": trained}, around=held.around) as served, ThreadPoolExecutor(1) as caller:
        taken = caller.submit(served.ask, "POST", "/v1/predict", png(0))
        wait_for(lambda: served.server.application.handler.gate.pictures == 1)
        served.server.should_exit = True
        held.go.set()
        assert taken.result().status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": 0},
        {"seconds": -1.0},
        {"pictures": 0},
        {"pictures": 9, "queue": 8},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=r"must be above 0|would never be taken"):
        Limits(**wrong)  # type: ignore[arg-type]
