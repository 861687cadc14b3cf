"""The server of `pellucid teach`: its own page, and beside it the glass box of the trained model."""

from __future__ import annotations

import threading
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from pellucid.app.format import printable
from pellucid.app.page import routes as glass_routes
from pellucid.app.page.server import check_port
from pellucid.app.teach import routes
from pellucid.app.teach.studio import Studio
from pellucid.errors import PellucidError
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.glassbox.page.serving import PageServer
from pellucid.pictures.store import default_cache
from pellucid.pretrained import lite0
from pellucid.pretrained.cache import FOLDER

PAGE = "teach.html"


def run(folder: Path, port: int, browser: bool) -> int:
    """Serve the page of a collection until Ctrl-C. Raises PellucidError."""
    check_port(port)
    cache = default_cache()
    studio = Studio(folder, cache)
    warming = threading.Thread(target=_warm, args=(cache,), name="warming", daemon=True)
    try:
        with Server(studio, port) as server:
            warming.start()
            server.serve(f"Your collection in {printable(folder)}", browser)
    finally:
        studio.finish()
        if warming.is_alive():
            warming.join(10.0)
    return 0


class Server(PageServer):
    """The page of a collection at /teach.html, and the glass box of its newest model at /, once it is opened."""

    works = glass_routes.WORKS | routes.POST.keys()

    def __init__(self, studio: Studio, port: int = 0) -> None:
        self.studio = studio
        super().__init__(port)

    @property
    def address(self) -> str:
        return super().address + PAGE

    def get(self, path: str, query: Query) -> Reply | None:
        if path in routes.GET:
            return routes.GET[path](self.studio, query)
        if path not in glass_routes.GET:
            return None
        if self.studio.glass is None:
            message = f"No network is open. Open one from the page {self.address}"
            raise Refused(HTTPStatus.CONFLICT, message)
        return glass_routes.GET[path](self.studio.glass, query)

    def post(self, path: str, query: Query, body: bytes) -> Reply | None:
        if path in routes.POST:
            return routes.POST[path](self.studio, query, body)
        if path not in glass_routes.POST or self.studio.glass is None:
            return None
        return glass_routes.POST[path](self.studio.glass, query, body)


def _warm(cache: Path) -> None:
    """Load what the first training needs while somebody collects pictures."""
    import torch  # noqa: F401

    import pellucid.classifier.card
    import pellucid.runs.prepare  # noqa: F401

    with suppress(PellucidError):  # the page says so before the training
        lite0.load(cache / FOLDER)
