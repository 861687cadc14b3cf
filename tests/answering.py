"""A server of this process that answers on a thread of its own, until a test has ended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

from pellucid.app.page.server import Server, listening
from pellucid.app.page.shown import Glass

Listening = TypeVar("Listening", bound=BaseServer)
TURN = 0.02  # seconds until the thread notices that it has to end


@contextmanager
def answering(server: Listening) -> Iterator[Listening]:
    """The same server, which answers, and is closed at the end."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": TURN})
    with server:
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def showing(glass: Glass, port: int = 0) -> Iterator[Server]:
    """The page of a model. `port`: 0 for any free one."""
    try:
        with answering(listening(glass, port)) as server:
            yield server
    finally:
        glass.finish()
