"""The dialects behind the entrance: an ASGI application, for uvicorn or any other server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from pellucid import __version__
from pellucid.errors import ArtefactError, PellucidError, PictureError
from pellucid.glassbox.page.replies import Refused
from pellucid.serving import hugging_face, index, open_inference, page, v1
from pellucid.serving.entrance import Access, Entrance
from pellucid.serving.explain import Explainer
from pellucid.serving.gate import Gate
from pellucid.serving.handler import Handler
from pellucid.serving.limits import Limits
from pellucid.serving.metrics import Metrics
from pellucid.serving.models import Models
from pellucid.serving.page import Pages
from pellucid.serving.refusal import Refusal
from pellucid.serving.served import Loaded
from pellucid.serving.wire import as_json, fault, refused

METRICS = "/metrics"


class Application:
    """What one process answers with. `asgi` is the application; it ends its threads when its server shuts down."""

    def __init__(
        self,
        loaded: Sequence[Loaded],
        limits: Limits,
        access: Access,
        metrics: Metrics,
        threads: int,
        pages: Pages | None = None,
    ) -> None:
        """`threads`: how many decode, and how many compute for each model. `pages`: None without the page."""
        self._pages = pages
        decoders = ThreadPoolExecutor(threads, "decode")
        models, explainer = Models(loaded, limits, threads, metrics), Explainer(limits)
        self.handler = Handler(models, limits, Gate(limits), metrics, decoders, explainer)
        inside = FastAPI(
            title="Pellucid",
            version=__version__,
            description="An image classifier you can see through.",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._living,
        )
        for router in (v1.router(self.handler), open_inference.router(self.handler), hugging_face.router(self.handler)):
            inside.include_router(router)
        inside.include_router(self._about(inside))
        if pages is not None:
            inside.include_router(page.router(self.handler, pages))
        for error in (Refusal, PellucidError, HTTPException):
            inside.add_exception_handler(error, _sentence)
        inside.add_exception_handler(Exception, _fault)
        self.asgi: ASGIApp = Entrance(inside, access, metrics)

    @asynccontextmanager
    async def _living(self, _inside: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.handler.models.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            self.handler.decoders.shutdown()
            self.handler.models.close()
            self.handler.explainer.close()
            if self._pages is not None:
                self._pages.close()

    def _about(self, inside: FastAPI) -> APIRouter:
        """The addresses that describe the server."""
        routes, handler = APIRouter(tags=["The server"]), self.handler

        @routes.get("/", summary="The page, or the models")
        async def first(request: Request) -> Response:
            """Browsers get the page, other programs the list of models."""
            if self._pages is not None and page.wanted(request):
                return page.first(request)
            models = [v1.described(handler.models.now(name)) for name in handler.models.names]
            return as_json({"name": "pellucid", "version": __version__, "models": models, "docs": "/docs"})

        @routes.get("/docs", summary="This list as a page")
        async def docs() -> Response:
            return Response(index.page(inside.openapi()), media_type="text/html")

        @routes.get(METRICS, summary="Counters for Prometheus")
        async def metrics(request: Request) -> Response:
            text, kind = handler.metrics.text(request.headers.get("accept", ""))
            return Response(text, headers={"Content-Type": kind})

        return routes


async def _fault(_request: Request, error: Exception) -> Response:
    """A fault of ours; the entrance logs where it is."""
    return fault(error)


async def _sentence(_request: Request, error: Exception) -> Response:
    """An error meant for the caller, as one sentence."""
    if isinstance(error, Refusal):
        return refused(str(error), error.status, error.headers)
    if isinstance(error, Refused):
        return refused(str(error), error.status, error.headers)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        sentence = {
            HTTPStatus.NOT_FOUND: "There is nothing at this address; /docs lists what is here.",
            HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method; /docs lists what it takes.",
        }.get(status, f"The request cannot be answered: {status.phrase}.")
        return refused(sentence, status, error.headers)
    if isinstance(error, PictureError):
        return refused(f"The picture cannot be used: {error.reason}.", HTTPStatus.BAD_REQUEST)
    if isinstance(error, ArtefactError):
        return refused(str(error), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
    return refused(str(error), HTTPStatus.BAD_REQUEST)
