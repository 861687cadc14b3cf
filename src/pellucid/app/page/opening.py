"""A model that is being opened: the page appears at once, and its requests wait until the picture is traced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from pellucid.app.page import routes
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page.replies import Query, Refused, Reply

if TYPE_CHECKING:
    from pellucid.app.page.server import Server

POLL = 0.05  # seconds until a stopping server stops listening


class Opening:
    """Stands in for what will be shown, until it is ready."""

    refusal = Refused(HTTPStatus.CONFLICT, "The network is still being opened. Wait a moment, then try again.")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._glass: Glass | None = None

    def get(self, path: str, query: Query) -> Reply:
        """The reply to a request of the page, once it is ready. Raises PellucidError."""
        self._done.wait()
        if self._glass is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The network could not be opened; the terminal says why.")
        return routes.GET[path](self._glass, query)

    @contextmanager
    def answering(self, server: Server) -> Iterator[None]:
        """A thread answers the page while the model is being opened."""
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": POLL}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            server.shutdown()
            thread.join()

    def opened(self, glass: Glass) -> Glass:
        """Waiting requests are answered by this one."""
        self._glass = glass
        return glass
