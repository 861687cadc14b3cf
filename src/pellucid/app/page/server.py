"""The page of a model: requests are answered by the shown run, or by the training that will lead to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pellucid import api
from pellucid.app import models, progress
from pellucid.app.format import printable
from pellucid.app.page import routes
from pellucid.app.page.first import first
from pellucid.app.page.opening import Opening
from pellucid.app.page.shown import Glass
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Source
from pellucid.debugging import beside as seconds
from pellucid.debugging.variant import checkpoint_at
from pellucid.errors import ArtefactError, PellucidError, PictureError, RecipeError
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.glassbox.page.serving import HOST, LARGEST_PORT, PageServer, browse

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


class Training(Protocol):
    """A training that is being watched (live.py): what it answers, and why it accepts nothing."""

    @property
    def refusal(self) -> Refused: ...
    def get(self, path: str, query: Query) -> Reply: ...


def run(
    model: Path, picture: Source | None, port: int, browser: bool, trust: bool = False, beside: str | None = None
) -> int:
    """Show a model until Ctrl-C. Without a picture, start with one that the model keeps for evaluation: see first.py.

    `beside`: a second model (see seconds.other); the page then opens with the comparison.
    """
    check_port(port)
    with progress.waiting("opening the model"):
        checkpoint = checkpoint_at(model) is not None
        classifier = seconds.first(model, trust) if checkpoint else api.load(model, trust=trust)
        other = None if beside is None else seconds.other(classifier, beside, models.local, trust)
        chosen = picture if picture is not None else _first(classifier, model)
        try:
            classifier.prepared(chosen)
        except PictureError as error:
            raise PictureError(f"{chosen}: {error.reason}") from error
    opening = Opening()
    with listening(opening, port) as server:
        with opening.answering(server):
            server.announce(printable(model))
            if browser:
                browse(server.address)
            with progress.waiting("following the picture through the network"):
                glass = opening.opened(
                    Glass(classifier, model, chosen)
                    if other is None
                    else Glass(classifier, model, chosen, view="compare", beside=other)
                )
        return serve(server, glass)


def check_port(port: int) -> None:
    """Raises RecipeError if no server can have this port."""
    if not 0 <= port <= LARGEST_PORT:
        raise RecipeError(f"--port is {port}; it must be from 0 (any free port) to {LARGEST_PORT}.")


def serve(server: Server, glass: Glass, browser: bool = False) -> int:
    """Show a model until Ctrl-C."""
    server.glass = glass
    try:
        server.serve(printable(glass.model), browser)
    finally:
        glass.finish()
    return 0


def listening(glass: Glass | Training | Opening, port: int = 0) -> Server:
    """A server at a port, 0 for any free one; it answers once `serve_forever` runs. Raises StorageError."""
    return Server(glass, port)


def _first(classifier: Classifier, model: Path) -> Place:
    try:
        chosen = first(classifier, model)
    except PellucidError as error:
        raise ArtefactError(f"{error} Or name a picture: pellucid open {model} picture.jpg") from error
    if chosen is None:
        raise ArtefactError(
            f"No test picture of {model} is available unchanged. Name one: pellucid open {model} picture.jpg"
        )
    return chosen


class Server(PageServer):
    """The server of a model, of one that is being opened, or of a running training."""

    works = routes.WORKS

    def __init__(self, glass: Glass | Training | Opening, port: int) -> None:
        self.glass = glass
        super().__init__(port)

    def get(self, path: str, query: Query) -> Reply | None:
        if path not in routes.GET:
            return None
        glass = self.glass
        return routes.GET[path](glass, query) if isinstance(glass, Glass) else glass.get(path, query)

    def post(self, path: str, query: Query, body: bytes) -> Reply | None:
        if path not in routes.POST:
            return None
        if not isinstance(self.glass, Glass):
            raise self.glass.refusal
        return routes.POST[path](self.glass, query, body)


__all__ = ["HOST", "Server", "browse", "listening", "run", "serve"]
