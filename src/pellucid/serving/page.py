"""The page for browsers, at /: its files, and its questions, each answered about its own reader's picture.

A cookie tells readers apart. Whoever has it sees that reader's run, so it is random and scripts cannot read it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter, Request, Response

from pellucid.glassbox.page.offline import WEB
from pellucid.glassbox.page.replies import SERVER, Refused, Reply, same_server
from pellucid.glassbox.page.serving import POLICY, TYPES
from pellucid.serving import bodies
from pellucid.serving.handler import Handler
from pellucid.serving.served import Served

COOKIE = "pellucid_reader"
READER = re.compile(r"[\w-]{22}")
QUICK = ("/api/document", "/api/array")
"""Questions that only look up numbers, once a reader has a run."""
INDEX = "index.html"


class Pages(Protocol):
    """What answers the page's questions for each reader; `app/page/readers.py:Readers`."""

    def knows(self, served: Served, reader: str, /) -> bool: ...
    def get(self, served: Served, reader: str, path: str, query: Mapping[str, str], /) -> Reply | None: ...
    def post(
        self, served: Served, reader: str, path: str, query: Mapping[str, str], body: bytes, /
    ) -> Reply | None: ...
    def close(self) -> None: ...


def router(handler: Handler, pages: Pages) -> APIRouter:
    """The addresses of the page, but for / itself: see `first`."""
    routes = APIRouter(include_in_schema=False)
    files = {path.relative_to(WEB).as_posix(): path for path in WEB.rglob("*") if path.is_file()}
    server = secrets.token_urlsafe(12)  # random for each start, as in glassbox/page/serving.py

    def addressed(request: Request) -> tuple[str, str]:
        """The reader and the path. Raises Refused."""
        same_server(server, request.headers.get(SERVER))
        return _reader(request), request.url.path

    def answered(reply: Reply | None, path: str) -> Response:
        there = _there(reply, path)
        return sent(replace(there, headers={**there.headers, SERVER: server}))

    async def file(request: Request) -> Response:
        path = files.get(request.url.path.removeprefix("/"))
        if path is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"The page has no file {request.url.path[:80]}.")
        return sent(_read(path))

    for top in sorted({name.split("/")[0] for name in files if name != INDEX}):
        routes.add_api_route(f"/{top}" if top in files else f"/{top}/{{rest:path}}", file)

    @routes.get("/api/{rest:path}")
    async def read_from_page(request: Request) -> Response:
        reader, path = addressed(request)
        with handler.models.using() as served:
            work = partial(pages.get, served, reader, path, dict(request.query_params))
            if path in QUICK and pages.knows(served, reader):
                return answered(await asyncio.to_thread(work), path)
            return answered(await handler.explainer.run(work), path)

    @routes.post("/api/{rest:path}")
    async def write_to_page(request: Request) -> Response:
        reader, path = addressed(request)
        async with bodies.body(request, handler.limits, handler.gate) as content:
            with handler.models.using() as served:
                work = partial(pages.post, served, reader, path, dict(request.query_params), content)
                return answered(await handler.explainer.run(work), path)

    return routes


def wanted(request: Request) -> bool:
    """Whether it is a browser that asks for /, and not a program."""
    return "text/html" in request.headers.get("accept", "")


def first(request: Request) -> Response:
    """The page, and a new reader's cookie."""
    answer = sent(_read(WEB / INDEX))
    if READER.fullmatch(request.cookies.get(COOKIE, "")) is None:
        answer.set_cookie(COOKIE, secrets.token_urlsafe(16), httponly=True, samesite="strict")
    return answer


def sent(reply: Reply) -> Response:
    """With the headers that keep the page to itself."""
    fixed = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return Response(reply.body, headers={"Content-Type": reply.kind, **fixed, **reply.headers})


def _reader(request: Request) -> str:
    reader = request.cookies.get(COOKIE, "")
    if READER.fullmatch(reader) is None:
        raise Refused(HTTPStatus.CONFLICT, "The page needs its cookie. Allow it, and reload the page.")
    return reader


def _read(path: Path) -> Reply:
    kind = TYPES.get(path.suffix, "application/octet-stream")
    return Reply(f"{kind}; charset=utf-8" if path.suffix in TYPES else kind, path.read_bytes())


def _there(reply: Reply | None, path: str) -> Reply:
    if reply is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"There is nothing at {path[:80]}.")
    return reply
