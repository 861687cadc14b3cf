"""A model that is being opened: the page is there at once, and what it asks waits until the picture is followed."""

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

POLL = 0.05  # seconds until a server that is to stop listening does


class Opening:
    """Stands in the place of what is shown until it is there."""

    refusal = Refused(HTTPStatus.CONFLICT, "The network is still being opened. Wait a moment, then try again.")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._glass: Glass | None = None

    def get(self, path: str, query: Query) -> Reply:
        """What the page is answered, once it can be. Raises PellucidError."""
        self._done.wait()
        if self._glass is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The network could not be opened; the terminal says why.")
        return routes.GET[path](self._glass, query)

    @contextmanager
    def answering(self, server: Server) -> Iterator[None]:
        """While the model is being opened, the server answers on a thread."""
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": POLL}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            server.shutdown()
            thread.join()

    def opened(self, glass: Glass) -> Glass:
        """What waits is answered by this."""
        self._glass = glass
        return glass
