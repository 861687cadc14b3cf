"""The server of a page: the allowed origins, the form of requests, and files. Subclasses answer everything else.

For one reader on this machine: it is bound to 127.0.0.1 and checks the Host, Origin and Sec-Fetch-Site headers, so
other websites cannot send requests through the reader's browser. Python's own HTTP server does that without another
package; see docs/why/page.md.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
import webbrowser
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pellucid.errors import PellucidError, PictureError, StorageError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.offline import WEB
from pellucid.glassbox.page.replies import ENDING, SERVER, Query, Refused, Reply, same_server

HOST = "127.0.0.1"
HTTP_PORT, LARGEST_PORT = 80, 65_535
LARGEST_PICTURE = 64_000_000  # bytes of an upload
PATIENCE = 30  # seconds that a connection may be silent
TURN = 0.01  # seconds between two checks whether the connections' threads have ended
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
OWN = ("same-origin", "none")
"""What a browser says of requests by this page, and of an address that the reader typed."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def browse(address: str) -> None:
    """Open a browser, without waiting for it."""
    threading.Thread(target=_browse, args=(address,), daemon=True).start()


def _browse(address: str) -> None:
    with suppress(webbrowser.Error, OSError):  # the address is on the terminal
        webbrowser.open(address)


class PageServer(ThreadingHTTPServer, ABC):
    """A server with a thread per connection. An error in a request goes to the client, never to the terminal.

    `port`: 0 for any free one. It answers once `serve_forever` runs. Raises StorageError if the port is taken.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.id = secrets.token_urlsafe(12)
        """Random for each start, so a page notices that another server has taken over its port."""
        self.files = {path.relative_to(WEB).as_posix(): path for path in WEB.rglob("*") if path.is_file()}
        self._ending, self._answering, self._changed = False, 0, threading.Condition()
        self._announced = False
        self._connections: dict[threading.Thread, socket.socket] = {}
        if not 0 <= port <= LARGEST_PORT:
            raise StorageError(f"The port is {port}; it must be from 0 (any free port) to {LARGEST_PORT}.")
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise StorageError(
                f"Port {port} cannot be used: {error.strerror}. Choose another, or 0 for any free port."
            ) from error

    works: frozenset[str] = frozenset()
    """The paths of POST requests that start a job; they must name this server (see `replies.SERVER`)."""

    @abstractmethod
    def get(self, path: str, query: Query) -> Reply | None:
        """The reply to a GET request; None if the path is unknown, and may be a file of the page. Raises Refused."""

    @abstractmethod
    def post(self, path: str, query: Query, body: bytes) -> Reply | None:
        """The reply to a POST request; None if nothing can be sent to this path."""

    def announce(self, what: str, browser: bool = False) -> None:
        """Print once, on the terminal, where `what` is open. `browser`: open it in a browser."""
        if self._announced:
            return
        self._announced = True
        if browser:
            browse(self.address)
        print(f"{what} is open at {self.address} (Ctrl-C ends it).", flush=True)

    def serve(self, what: str, browser: bool = False) -> None:
        """Answer until Ctrl-C, and announce it, where that is not done yet."""
        self.announce(what, browser)
        try:
            self.serve_forever()
        finally:
            self.finish()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's would look up 127.0.0.1 in the name service, and wait
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Marks a request as being answered. Raises Refused once the server ends."""
        with self._changed:
            if self._ending:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, ENDING)
            self._answering += 1
        try:
            yield
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def process_request(self, request: Any, client_address: Any) -> None:
        """As the base class, which does not keep track of its daemon threads."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._changed:  # `finish` must see every running thread
            alive = {one: connection for one, connection in self._connections.items() if one.is_alive()}
            self._connections = {**alive, thread: request}
            thread.start()

    def finish(self, seconds: float = 10.0) -> None:
        """Wait for running requests, then for the connections' threads, at most `seconds` for each.

        A thread inside PyTorch during Python's shutdown aborts the process, and any thread may be there: Python's
        garbage collection runs in whichever thread allocates, and frees tensors.
        """
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: not self._answering, seconds)
        for connection in self._connections.values():
            with suppress(OSError):  # already closed
                connection.shutdown(socket.SHUT_RD)  # no further request; the current reply is still sent
        # Turns are counted, not the clock: a machine that pauses for seconds costs one turn, not all of the patience.
        for _ in range(round(seconds / TURN)):
            if not any(thread.is_alive() for thread in self._connections):
                break
            time.sleep(TURN)

    def server_close(self) -> None:
        super().server_close()
        self.finish()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The connection broke: the browser's tab was closed."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True  # the body of a reply follows its headers without waiting for their receipt

    @property
    def _page(self) -> PageServer:
        assert isinstance(self.server, PageServer)
        return self.server

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def version_string(self) -> str:
        return "pellucid"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal has one line, the address."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Report the base class's errors in a request like all others."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._refuse(status, f"This request is not understood: {status.phrase}. Open the page's own address.")

    def _answer(self, work: Callable[[], Reply]) -> None:
        try:
            self._check_origin()
            with self._page.answering():
                reply = work()
        except Refused as refused:
            self._refuse(refused.status, str(refused), refused.headers)
        except PictureError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"This cannot be used as a picture: {error.reason}.")
        except PellucidError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # a bug of ours, which must not look like an error of the network
            name = type(error).__name__
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"This is a bug in Pellucid ({name}). Please report it.")
        else:
            self._send(HTTPStatus.OK, reply)

    def _check_origin(self) -> None:
        """Refuse other websites, which can make a browser send requests here, from a page or by a name of their own."""
        port = self._page.server_port
        names = (HOST, "localhost")
        hosts = {f"{name}:{port}" for name in names} | (set(names) if port == HTTP_PORT else set())
        if self.headers.get("Host", "") not in hosts:
            self.close_connection = True
            raise Refused(HTTPStatus.FORBIDDEN, f"This page is only for this machine; open {self._page.address}")
        origin = self.headers.get("Origin")
        foreign = origin is not None and origin not in {f"http://{host}" for host in hosts}
        if foreign or (self.headers.get("Sec-Fetch-Site", "none") not in OWN and not self._followed_link()):
            self.close_connection = True
            raise Refused(HTTPStatus.FORBIDDEN, "Requests from other websites are refused.")

    def _followed_link(self) -> bool:
        """Whether the reader has followed a link to the page: other websites may have links, but no answers."""
        opens = self.headers.get("Sec-Fetch-Mode") == "navigate" and self.headers.get("Sec-Fetch-Dest") == "document"
        return opens and self.command == "GET" and not self.path.startswith("/api/")

    def _get(self) -> Reply:
        path, query = self._request()
        same_server(self._page.id, self.headers.get(SERVER, query.get("server")))
        reply = self._page.get(path, query)
        if reply is not None:
            return reply
        file = self._page.files.get(path.removeprefix("/").removeprefix("web/") or "index.html")
        if file is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is nothing at {path}; open {self._page.address}")
        kind = TYPES.get(file.suffix, "application/octet-stream")
        return Reply(f"{kind}; charset=utf-8" if file.suffix in TYPES else kind, file.read_bytes())

    def _post(self) -> Reply:
        path, query = self._request()
        body = self._body()
        sent = self.headers.get(SERVER)
        same_server(self._page.id, sent)
        if path in self._page.works and sent is None:
            raise Refused(HTTPStatus.FORBIDDEN, f"Only the page starts this. Open {self._page.address}")
        reply = self._page.post(path, query, body)
        if reply is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"Nothing can be sent to {path}.")
        return reply

    def _request(self) -> tuple[str, dict[str, str]]:
        try:
            parts = urlsplit(self.path)
        except ValueError as error:
            message = f"This address is not understood; open {self._page.address}"
            raise Refused(HTTPStatus.BAD_REQUEST, message) from error
        return parts.path, {name: values[-1] for name, values in parse_qs(parts.query).items()}

    def _body(self) -> bytes:
        unknown = "Transfer-Encoding" in self.headers
        length = "" if unknown else self.headers.get("Content-Length", "0")
        # the unread rest would be taken for the next request
        self.close_connection, keep = True, self.close_connection
        if not (length.isascii() and length.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "The request does not state its length (Content-Length).")
        if len(length) > len(str(LARGEST_PICTURE)) or int(length) > LARGEST_PICTURE:
            most = f"{LARGEST_PICTURE / 1e6:,.0f} MB"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The file is larger than {most}. Choose another.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "The upload was incomplete. Send the file again.")
        self.close_connection = keep
        return body

    def _refuse(self, status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, replace(replies.as_json({"error": sentence}), headers=headers or {}))

    def _send(self, status: HTTPStatus, reply: Reply) -> None:
        self.send_response(status)
        fixed = {
            "Content-Type": reply.kind,
            **self._length(reply),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
            SERVER: self._page.id,
        }
        closing = {"Connection": "close"} if self.close_connection else {}
        for name, value in {**fixed, **reply.headers, **closing}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if reply.pieces is None:
            self.wfile.write(reply.body)
        else:
            self._stream(reply.pieces)

    def _length(self, reply: Reply) -> dict[str, str]:
        """How a client knows where the body ends (RFC 9112, section 6.3)."""
        if reply.pieces is None:
            return {"Content-Length": str(len(reply.body))}
        if self.request_version == self.protocol_version:
            return {"Transfer-Encoding": "chunked"}
        self.close_connection = True
        return {}

    def _stream(self, pieces: Iterator[bytes]) -> None:
        """Send pieces, each with its length. If one cannot be made, the client sees that the body is cut off."""
        chunked = self.request_version == self.protocol_version
        try:
            for piece in pieces:
                if piece:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        except BaseException:
            self.close_connection = True
            raise
