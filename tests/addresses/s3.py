"""An S3 server in a process of its own. It prints its address and serves until it is killed.

Lines on standard input change it: `latency 0.05` delays every answer, `requests` prints how many there were since the
last such line, `busy 3` answers the next three requests with 503, `hold 9.png` never answers the second request for the
whole of that file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


class Bucket:
    """The server, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def tell(self, line: str) -> str:
        """Send a line; returns the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def serving() -> Iterator[Bucket]:
    """A server without buckets, ended at the end."""
    command = [sys.executable, "-W", "ignore", __file__]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    with process:
        try:
            yield Bucket(process, process.stdout.readline().strip())
        finally:
            process.kill()


def as_the_users(address: str) -> dict[str, str]:
    """The environment of a user of this server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


class _Application:
    def __init__(self, inner: Any) -> None:
        self.inner, self.latency, self.requests, self.busy = inner, 0.0, 0, 0
        self.held, self.whole = "", 0  # a file, and how often it was wanted as a whole

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        self.requests += 1
        time.sleep(self.latency)
        is_whole = environ["REQUEST_METHOD"] == "GET" and "HTTP_RANGE" not in environ
        if self.held and is_whole and environ["PATH_INFO"].endswith(self.held):
            self.whole += 1
            if self.whole > 1:
                time.sleep(3600)
        if self.busy > 0:
            self.busy -= 1
            start("503 Slow Down", [("Content-Type", "application/xml")])
            if environ["REQUEST_METHOD"] == "HEAD":
                return [b""]
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        return self.inner(environ, start)

    def obey(self, lines: IO[str]) -> None:
        for line in lines:
            word, _, value = line.strip().partition(" ")
            if word == "latency":
                self.latency = float(value)
            elif word == "busy":
                self.busy = int(value)
            elif word == "hold":
                self.held, self.whole = value, 0
            print(self.requests, flush=True)
            self.requests = 0
        os._exit(0)  # the test has ended


def main() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # connections are kept
    application = _Application(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=application.obey, args=(sys.stdin,), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
