"""Clients of a server under load: some send proper requests, others are broken or hostile."""

from __future__ import annotations

import asyncio
import json
import random
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BOUND = 1e-4  # between probabilities with and without a server: another batch rounds differently
PATIENCE = 60  # seconds for an answer


@dataclass(frozen=True, eq=False)
class Case:
    """A picture's file, and its probabilities by class without a server."""

    content: bytes
    truth: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """One request. `seconds`: since it was due. `status`: 0 if there was no answer."""

    kind: str
    status: int
    seconds: float
    right: bool = True


@dataclass(eq=False)
class Connection:
    """A persistent connection, opened again if the server has closed it."""

    port: int
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        before = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(before.encode() + body)
        await writer.drain()
        status, headers = await head(reader)
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            await self.close()
        return status, content

    async def close(self) -> None:
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()


async def head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """The status and the headers of an answer, their names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    return int(first.split(" ")[1]), headers


async def proper(connection: Connection, case: Case, due: float) -> Outcome:
    """Send one picture and compare the answer with the truth."""
    try:
        async with asyncio.timeout(PATIENCE):
            status, content = await connection.post("/v1/predict", case.content)
    except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError):
        await connection.close()
        return Outcome("proper", 0, time.monotonic() - due, right=False)
    seconds = time.monotonic() - due
    return Outcome("proper", status, seconds, status != 200 or _same(content, case.truth))


def _same(content: bytes, truth: dict[str, float]) -> bool:
    (prediction,) = json.loads(content)["predictions"]
    probabilities = prediction["probabilities"]
    return probabilities.keys() == truth.keys() and all(
        abs(probabilities[name] - truth[name]) <= BOUND for name in truth
    )


def _bomb() -> bytes:
    """A PNG of 900 megapixels in some hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _request(body: bytes, path: str = "/v1/predict", length: int | None = None, more: str = "") -> bytes:
    stated = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {stated}\r\n\r\n".encode() + body


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "no picture": lambda _: _request(b"this is no picture"),
    "cut picture": lambda picture: _request(picture[: len(picture) // 2]),
    "decode bomb": lambda _: _request(_bomb()),
    "goes away": lambda picture: _request(picture[:100], length=len(picture)),
    "enormous": lambda _: _request(b"x", length=10**12),
    "nonsense": lambda _: bytes(range(256)) + b"\r\n\r\n",
    "broken JSON": lambda _: _request(b"{" * 5000, more="Content-Type: application/json\r\n"),
    "broken form": lambda _: _request(b"--x\r\n\r\n", more="Content-Type: multipart/form-data; boundary=x\r\n"),
    "wrong tensor": lambda _: _request(b'{"inputs": [{"name": "x", "shape": [1e9]}]}', "/v2/models/model/infer"),
    "other host": lambda picture: _request(picture).replace(b"localhost", b"evil.example"),
    "says nothing": lambda _: b"POST / HTTP/1.1\r\n",
}


async def hostile(port: int, kind: str, picture: bytes) -> Outcome:
    """One hostile request on a new connection. A refusal is right, and so is no answer."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(HOSTILE[kind](picture))
                await writer.drain()
                if kind in ("goes away", "says nothing"):
                    return Outcome(kind, 0, time.monotonic() - began)
                status, _ = await head(reader)
            finally:
                writer.close()
    except (OSError, EOFError, asyncio.IncompleteReadError):
        return Outcome(kind, 0, time.monotonic() - began)
    except TimeoutError:
        return Outcome(kind, 0, time.monotonic() - began, right=False)
    return Outcome(kind, status, time.monotonic() - began, 400 <= status < 500)


async def closed_loop(port: int, cases: Sequence[Case], clients: int, seconds: float) -> list[Outcome]:
    """Each client sends its next request after an answer. One client gives the unloaded time, many the capacity."""
    until = time.monotonic() + seconds

    async def client(number: int) -> list[Outcome]:
        connection, outcomes, choice = Connection(port), [], random.Random(number)
        while time.monotonic() < until:
            outcomes.append(await proper(connection, choice.choice(cases), time.monotonic()))
        await connection.close()
        return outcomes

    return [outcome for each in await asyncio.gather(*map(client, range(clients))) for outcome in each]


async def open_loop(
    port: int, cases: Sequence[Case], clients: int, rate: float, seconds: float, share: float
) -> list[Outcome]:
    """Requests become due at random times, `rate` a second on average, whatever the server does; `share` are hostile.

    A request that is due while all clients wait for answers waits for one of them, and its time counts from then on.
    """
    due: asyncio.Queue[float | None] = asyncio.Queue()
    outcomes: list[Outcome] = []

    async def client(number: int) -> None:
        connection, choice = Connection(port), random.Random(number)
        while (time_due := await due.get()) is not None:
            case = choice.choice(cases)
            if choice.random() < share:
                outcomes.append(await hostile(port, choice.choice(list(HOSTILE)), case.content))
            else:
                outcomes.append(await proper(connection, case, time_due))
        await connection.close()

    working = [asyncio.create_task(client(number)) for number in range(clients)]
    arrivals, until = random.Random(0), time.monotonic() + seconds
    next_due = time.monotonic()
    while next_due < until:
        await asyncio.sleep(max(0.0, next_due - time.monotonic()))
        due.put_nowait(next_due)
        next_due += arrivals.expovariate(rate)
    for _ in working:
        due.put_nowait(None)
    await asyncio.gather(*working)
    return outcomes
