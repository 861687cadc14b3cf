"""A trace's page, served: numbers are sent on demand, for a network of any size."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from pellucid.glassbox.page.document import Document
from pellucid.glassbox.page.replies import Query, Refused, Reply, channel_of
from pellucid.glassbox.page.serving import PageServer

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Trace


class Opened(PageServer):
    """The page of one trace. It offers no other pictures and no changes, which need the model."""

    def __init__(self, trace: Trace, name: str, port: int = 0) -> None:
        self._document = Document(trace, name)
        content = {**self._document.content, "fixed": True}
        self._text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        super().__init__(port)

    def get(self, path: str, query: Query) -> Reply | None:
        if path == "/api/document":
            return Reply("application/json", self._text)
        return channel_of(self._document.arrays, query) if path == "/api/array" else None

    def post(self, path: str, query: Query, body: bytes) -> Reply | None:
        raise Refused(HTTPStatus.CONFLICT, "This page shows one run and accepts nothing. Call explain() for another.")
