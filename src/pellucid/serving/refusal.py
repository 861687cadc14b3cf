"""An answer that says no: a status, a sentence, and headers that say when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from pellucid.errors import PellucidError

CLOSE: Final = {"Connection": "close"}
"""For a request whose body is not read to its end: what follows it would be taken for the next request."""


class Refusal(PellucidError):
    """A request that is answered with `status` and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})


def wrong(sentence: str) -> Refusal:
    """400: the request is not what this address takes."""
    return Refusal(HTTPStatus.BAD_REQUEST, sentence)


def busy(sentence: str, seconds: float) -> Refusal:
    """429: too much is being worked on. `seconds`: when there is room again, as far as one can tell."""
    whole = max(1, int(-(-seconds // 1)))
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"{sentence} Try again in {whole} s.", {"Retry-After": str(whole)})


def too_large(sentence: str) -> Refusal:
    """413: the body is over a limit, and is not read to its end."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence, CLOSE)
