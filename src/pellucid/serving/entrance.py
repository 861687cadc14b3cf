"""The door of the server: it checks access, logs and counts each request, and hides every stack trace."""

from __future__ import annotations

import hmac
import re
import secrets
import time
import traceback
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.serving import logs
from pellucid.serving.metrics import Metrics
from pellucid.serving.refusal import CLOSE, Refusal
from pellucid.serving.wire import fault, refused

LOCAL = ("127.0.0.1", "localhost", "::1")
HEALTH = ("/v2/health/live", "/v2/health/ready")
"""These need no token. They only say that the server runs, and a monitor often has no token."""
NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Access:
    """The server answers whoever sends its token. Without a token, it answers programs on this machine.

    A website in a browser on this machine is not such a program. Its requests carry its Origin, or its own name as Host
    if it has pointed that name at this address (DNS rebinding).
    """

    token: str | None = None

    def check(self, path: str, headers: Headers) -> None:
        """Raises Refusal: 401, 403."""
        if self.token is None:
            self._check_local(headers)
        elif path not in HEALTH:
            self.check_token(headers.get("authorization", ""))

    def check_token(self, authorization: str) -> None:
        """`authorization`: the header, Bearer TOKEN. Raises Refusal: 401."""
        kind, _, stated = authorization.partition(" ")
        right = hmac.compare_digest(stated.strip().encode("latin-1", "replace"), (self.token or "").encode())
        if self.token is not None and (kind.lower() != "bearer" or not right):
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "This server needs its token: send the header Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": "Bearer", **CLOSE},
            )

    def _check_local(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if host and _name(host) not in LOCAL:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"Without a token this server answers to localhost only, not to {host[:80]!r}. Behind a proxy, start "
                "it with --token-file.",
                CLOSE,
            )
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            raise Refusal(HTTPStatus.FORBIDDEN, "This server does not answer requests from other websites.", CLOSE)


def _name(host: str) -> str:
    """The host's name without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def dialect(method: str, path: str) -> str:
    """Under which name a request is counted: see metrics.DIALECTS."""
    if path.endswith("/explain"):
        return "explain"
    if path.startswith("/v2/"):
        return "open_inference"
    if path == "/v1/predict":
        return "predict"
    return "hugging_face" if method == "POST" and (path == "/" or path.startswith("/models/")) else "other"


class Entrance:
    """Around an application. The log has the trace of a failure, the caller one sentence."""

    def __init__(self, inside: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._inside, self._access, self._metrics = inside, access, metrics
        self._process, self._numbers = secrets.token_hex(4), count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        begin, headers = time.monotonic(), Headers(scope=scope)
        head = scope["method"] == "HEAD"  # GET's answer, of which the HTTP server leaves the body away
        stated = headers.get("x-request-id", "")
        number = stated if NAME.fullmatch(stated) else f"{self._process}{next(self._numbers):08x}"
        status, length = 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, length
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = number
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            else:
                length += 0 if head else len(message.get("body", b""))
            await send(message)

        try:
            self._access.check(scope["path"], headers)
            await self._inside({**scope, "method": "GET"} if head else scope, receive, counted)
        except Refusal as refusal:
            await refused(str(refusal), refusal.status, refusal.headers)(scope, receive, counted)
        except Exception as error:  # a fault of ours
            logs.line("fault", "error", id=number, path=scope["path"], trace=traceback.format_exception(error))
            if not status:
                await fault(error)(scope, receive, counted)
        seconds = time.monotonic() - begin
        self._metrics.requested(dialect(scope["method"], scope["path"]), status, seconds)
        logs.line(
            "request",
            id=number,
            method=scope["method"],
            path=scope["path"][:200],
            status=status,
            ms=round(seconds * 1000, 3),
            bytes_in=headers.get("content-length"),
            bytes_out=length,
        )
