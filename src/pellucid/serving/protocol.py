"""HTTP as uvicorn reads it, with limits on what comes before a body: seconds and bytes.

uvicorn waits without end for a request that never becomes whole; a few thousand such connections would take all that
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
    """Closes a connection on which no whole request head comes within `seconds`."""

    seconds = 30.0
    _timer: asyncio.TimerHandle | None = None
    _bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is not None:
            self._bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._bytes > HEAD:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request's headers are longer than {HEAD:,} bytes."
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "This is not a request of HTTP.")

    def _await_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._late)

    def _head_came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._bytes = None, 0

    def _late(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"No whole request came within {self.seconds:g} s.")

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        if not self.transport.is_closing():
            body = encoded({"error": sentence})
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()


def patient(seconds: float) -> type[Any]:
    """The protocol with this patience."""
    return type("PatientFor", (Patient,), {"seconds": seconds})
