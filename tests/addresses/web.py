"""An HTTP server on this machine whose answers can be made to fail."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@dataclass
class Web:
    """Files by their paths, with "/" in front. `faults`: path -> what its next requests meet, the first one first.

    A fault is a status such as 500, or "reset" or "cut" in the middle of the content, or "silent".
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    silence: float = 0.0  # seconds

    def add(self, folder: Path, below: str) -> None:
        """Serve the files of a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.files[f"{below}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()


@contextmanager
def serving() -> Iterator[Web]:
    """A server without files."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: bool) -> None:
            path = unquote(self.path)
            web.requests[f"{self.command} {path}"] += 1
            waiting = web.faults.get(path, [])
            fault = waiting.pop(0) if waiting and (body or isinstance(waiting[0], int)) else None
            content = web.files.get(path)
            if fault == "silent":
                time.sleep(web.silence)
            status = fault if isinstance(fault, int) else 404 if content is None else 200
            self.send_response(status)
            content = b"" if status != 200 or content is None else content
            self.send_header("Content-Length", str(len(content)))
            if status == 200:
                self.send_header("ETag", hashlib.sha256(content).hexdigest())
            self.end_headers()
            if not body:
                return
            with suppress(OSError):
                if fault in ("reset", "cut"):
                    self.wfile.write(content[: len(content) // 2])
                    self.wfile.flush()
                    if fault == "reset":
                        linger = struct.pack("ii", 1, 0)  # the close sends RST
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    self.connection.close() if fault == "reset" else self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # the connection was closed on purpose

    with Server(("127.0.0.1", 0), Handler) as server:
        web.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
