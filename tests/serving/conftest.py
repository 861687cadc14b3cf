"""A server in this process, on a thread, with the small classifier that all tests share."""

import asyncio
import base64
import http.client
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.patience import PATIENCE

from pellucid.classifier.predict.backend import Logits
from pellucid.serving import logs
from pellucid.serving.entrance import Access
from pellucid.serving.limits import Limits
from pellucid.serving.metrics import Metrics
from pellucid.serving.page import Pages
from pellucid.serving.running import Server, Service, listening, place_of, reserved, server
from pellucid.serving.served import Quantise, load

OPEN = threading.Event()
"""Whether a test runs, whose output pytest keeps."""
SMALL = Limits(body=200_000, pixels=250_000, pictures=8, queue=64)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Running:
    """A server that listens; `ask` sends one request on a connection of its own."""

    port: int
    server: Server
    rpc: str | None = None
    """Where gRPC answers."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, chunked: bool = False
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes) and not chunked:
            body, sent = json.dumps(body).encode(), {"Content-Type": "application/json", **sent}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, sent, encode_chunked=chunked)
            reply = connection.getresponse()
            return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()


@contextmanager
def running(
    models: Mapping[str, Path],
    limits: Limits = SMALL,
    token: str | None = None,
    around: Callable[[Logits], Logits] = lambda logits: logits,
    pages: Pages | None = None,
    rpc: bool = False,
    int8: Quantise | None = None,
) -> Iterator[Running]:
    """`around`: what computes instead of the network, with the network's own function in hand."""
    loaded = [load(name, folder, limits, int8=int8) for name, folder in models.items()]
    started = threading.Event()
    loaded = [replace(each, logits=around(each.logits)) for each in loaded]
    with listening("127.0.0.1", 0) as listener, reserved("127.0.0.1", 0) as other:
        place = place_of(other) if rpc else None
        answering = server(Service(loaded, limits, Access(token), Metrics(list(models)), 2, pages, place), started.set)
        port = listener.getsockname()[1]
        thread = threading.Thread(target=lambda: asyncio.run(answering.serve([listener])))
        thread.start()
        try:
            assert started.wait(PATIENCE)
            yield Running(port, answering, place)
        finally:
            answering.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server has not ended"


@pytest.fixture(autouse=True)
def _quiet_between_tests() -> Iterator[None]:
    """A line that comes after its test has ended would stand between pytest's dots."""
    OPEN.set()
    yield
    OPEN.clear()


@pytest.fixture(scope="session", autouse=True)
def _log_to_open_tests() -> Iterator[None]:
    class Stream:
        def write(self, text: str) -> None:
            if OPEN.is_set():
                sys.stderr.write(text)

        def flush(self) -> None: ...

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "sys", SimpleNamespace(stderr=Stream()))
        yield


@pytest.fixture(scope="session")
def served(trained: Path) -> Iterator[Running]:
    """One model, called small, over HTTP and gRPC."""
    with running({"small": trained}, rpc=True) as found:
        yield found


@pytest.fixture(scope="session")
def png(paint: Callable[[int, int], np.ndarray]) -> Callable[[int], bytes]:
    """png(number) -> a picture's file; each number another picture, the even ones blue."""

    def encoded(number: int) -> bytes:
        content = io.BytesIO()
        Image.fromarray(paint(5000 + number, 2 if number % 2 == 0 else 0)).save(content, "PNG")
        return content.getvalue()

    return encoded


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def multipart(files: Sequence[tuple[str, bytes]], fields: Mapping[str, str] = {}) -> tuple[bytes, dict[str, str]]:
    """A form's body, and the header that goes with it."""
    line, parts = "----edge", []
    for name, value in fields.items():
        parts.append(f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, content in files:
        head = f'--{line}\r\nContent-Disposition: form-data; name="pictures"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{line}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={line}"}
