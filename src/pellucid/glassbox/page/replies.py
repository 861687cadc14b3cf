"""The server's replies to the page: bytes with a media type, or a refusal with a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import PellucidError

ENDING = "Pellucid is shutting down. Start it again with “pellucid open”."

SERVER = "X-Pellucid-Server"
"""The header that names one start of a server. Every answer has it, and a page sends it back."""
OUTDATED = "X-Pellucid-Outdated"
"""The header of a refusal because another window has changed the run."""

DIGITS = 10  # most digits of a channel's number

Query = Mapping[str, str]
"""What an address says behind its question mark."""


@dataclass(frozen=True)
class Reply:
    """`kind` is the media type. `pieces`: a body whose length is not known, which is sent as it is made."""

    kind: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None


class Refused(PellucidError):
    """A request that is refused with a status and a sentence. `headers`: more for the page to know."""

    def __init__(self, status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers or {}


class Outdated(Refused):
    """A request about an earlier run: one page does not mix the numbers of two runs."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.CONFLICT,
            "Another window has opened a picture or changed something since. Reload the page to see what it shows now.",
            {OUTDATED: "1"},
        )


class Restarted(Refused):
    """A request about another start of the server: one page does not mix the numbers of two. `server` is this one."""

    def __init__(self, server: str) -> None:
        super().__init__(
            HTTPStatus.CONFLICT,
            "Pellucid was started again since. Reload the page to see what it shows now.",
            {SERVER: server},
        )


def same_server(server: str, sent: str | None) -> None:
    """Refuse a request of a page that another start of the server sent. `sent` is None if the request names none."""
    if sent is not None and sent != server:
        raise Restarted(server)


def as_json(content: Any) -> Reply:
    """JSON types without NaN and infinity."""
    return Reply("application/json", json.dumps(content, allow_nan=False, separators=(",", ":")).encode())


def numbers(array: NDArray[Any]) -> Reply:
    """An array's numbers in C order, little-endian; its shape and dtype are headers."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    headers = {"X-Shape": ",".join(map(str, array.shape)), "X-Dtype": str(array.dtype)}
    return Reply("application/octet-stream", little.tobytes(), headers)


def channel_of(arrays: Mapping[str, NDArray[Any]], query: Query) -> Reply:
    """The numbers of the array `name`, or those of one `channel` of a (1, C, H, W) array. Raises Refused."""
    array = arrays.get(query.get("name", ""))
    if array is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"There is no array {query.get('name', '')!r}. Reload the page.")
    if "channel" in query:
        channels = array.shape[1] if array.ndim == 4 and array.shape[0] == 1 else 0
        number = query["channel"]
        if not (number.isascii() and number.isdigit() and len(number) < DIGITS and int(number) < channels):
            raise Refused(
                HTTPStatus.BAD_REQUEST, f"{query['name']} has {channels} channels, counted from 0, not {number!r}."
            )
        array = array[:, int(number) : int(number) + 1]
    return numbers(array)
