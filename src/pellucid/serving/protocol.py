"""HTTP as uvicorn reads it, with limits on what comes before a body and after an answer: seconds and bytes.

uvicorn waits without end for a request that never becomes whole. A few thousand such connections would take all that
the operating system gives to a process.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pellucid.serving.wire import encoded

HEAD = 65_536  # bytes of a request before its body


class Patient(HttpToolsProtocol):
    """Closes a connection where no whole head comes within `seconds`, or not the rest of an answered request."""

    seconds = 30.0
    _head: asyncio.TimerHandle | None = None
    _rest: asyncio.TimerHandle | None = None
    _bytes = 0
    _last = False
    """Whether the connection closes after the answer that is being worked on."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._rest_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # the rest of a refused request
        if self._head is not None:
            self._bytes += len(data)
        super().data_received(data)
        if self._head is not None and self._bytes > HEAD:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request's headers are longer than {HEAD:,} bytes."
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._rest_came()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._last:
            self.transport.close()
        super().on_response_complete()
        if self.half_read() and not self.transport.is_closing():
            self._rest = self.loop.call_later(self.seconds, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request.")

    def half_read(self) -> bool:
        """Whether the latest request is answered, and the rest of it may still come."""
        if self._refused:
            return True
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _answering(self) -> bool:
        """Whether an earlier request, which came whole, still waits for its answer."""
        waits = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        return waits or bool(self.pipeline)

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.seconds, self._late)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
        self._head, self._bytes = None, 0

    def _rest_came(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._rest = None

    def _late(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"No whole request came within {self.seconds:g} s.")

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        if self._answering():  # the client would take the refusal for the earlier request's answer
            self._last = True
            self.transport.pause_reading()
        elif not self.transport.is_closing():
            body = encoded({"error": sentence})
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            self._refused = True
            self.transport.write(head.encode() + body)
            self.transport.close()


class _Lingering:
    """A transport that reads a half-read request to its end before it closes, `seconds` at most.

    A socket that is closed with bytes unread resets the connection, and the client may lose the answer that says why.
    """

    def __init__(self, transport: asyncio.Transport, protocol: Patient) -> None:
        self._transport, self._protocol = transport, protocol
        self._closing = False
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Together with all that is written before the event loop goes on: a head and its body leave at once."""
        if not self._parts:
            self._protocol.loop.call_soon(self._flush)
        self._parts.append(data)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._closing:
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        self._flush()
        if self._closing or not self._protocol.half_read() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._closing = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._protocol.loop.call_later(self._protocol.seconds, self._transport.close)


def patient(seconds: float) -> type[Any]:
    """The protocol with this patience."""
    return type("PatientFor", (Patient,), {"seconds": seconds})
