"""A request's body, within the limits: its bytes, its JSON, its base64."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import reprlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from pellucid.serving.gate import Gate
from pellucid.serving.limits import Limits
from pellucid.serving.refusal import CLOSE, Refusal, too_large, wrong

T = TypeVar("T")

VALUES = 500_000
"""Values, lists and objects in the JSON of a request. All other requests wait while it is read: 0.17 s for so many."""
OPTION = 10_000  # characters of an option in JSON
LARGE = 200_000  # bytes of a body that takes longer than a millisecond to read

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 40
_SHORT.maxlevel = _SHORT.maxlist = _SHORT.maxdict = 3


@asynccontextmanager
async def body(request: Request, limits: Limits, gate: Gate) -> AsyncIterator[bytes]:
    """The bytes of a request, which count as held until the context ends.

    Raises Refusal: 408 where it does not arrive in time, 413 over the limit, 415 where it is compressed, 429 where too
    many bytes are held, 400 where the client went away.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body is compressed ({encoding[:20]}). Send it as it is: pictures are compressed already.",
            CLOSE,
        )
    stated = request.headers.get("content-length", "0")
    if not (stated.isascii() and stated.isdigit()):
        raise wrong("The Content-Length is not a number.")
    held = 0
    try:
        chunks = []
        try:
            if len(stated) > 15 or int(stated) > limits.body:
                raise _large(limits)
            async with asyncio.timeout(limits.seconds):
                async for chunk in request.stream():
                    gate.take(len(chunk))
                    held += len(chunk)
                    if held > limits.body:
                        raise _large(limits)
                    chunks.append(chunk)
        except ClientDisconnect as error:
            raise wrong("The request did not arrive whole.") from error
        except TimeoutError as error:
            late = f"The request did not arrive within {limits.seconds:g} s."
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, late, CLOSE) from error
        yield b"".join(chunks)
    finally:
        gate.free(held)


def _large(limits: Limits) -> Refusal:
    return too_large(f"The request is larger than {limits.body / 1e6:,.1f} MB. Send fewer or smaller pictures.")


async def aside(content: bytes, work: Callable[[], T]) -> T:
    """What `work` makes of a body: in a thread if the body is large, so other requests continue meanwhile."""
    return await asyncio.to_thread(work) if len(content) > LARGE else work()


def kind(request: Request) -> str:
    """The media type of a body, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def parsed(content: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises Refusal."""
    if sum(map(content.count, (b"[", b"{", b","))) > VALUES:
        raise too_large(
            f"The JSON has more than {VALUES:,} values. Send pictures as files, or the tensor in the binary extension: "
            "the request's binary_data_size and the header Inference-Header-Content-Length."
        )
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise wrong(f"The body is not JSON: {_reason(error)}.") from error
    if not isinstance(value, dict):
        raise wrong(f"The body is a JSON {type(value).__name__} where an object belongs.")
    return value


def picture(text: Any, what: str) -> bytes:
    """The bytes in a base64 string, or in a data: address of one. Raises Refusal that calls it `what`."""
    if not isinstance(text, str):
        raise wrong(f"{what} is of type {type(text).__name__}; a picture is a base64 string.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong(f"{what} is not base64: {_reason(error)}.") from error


def whole_number(value: Any, name: str, least: int = 1) -> int:
    """A number that came as text or JSON. Raises Refusal."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise wrong(f"{name} is {short(value)}; it must be a whole number from {least} up.")
    return int(text)


def texts(value: Any, name: str) -> list[str]:
    """An option in JSON as text: one value or a list of them. Raises Refusal where it is something else."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int) for each in values):
        raise wrong(f"{name} is {short(value)}; it must be text, a whole number, true or false.")
    if any(isinstance(each, str) and len(each) > OPTION for each in values):
        raise wrong(f"{name} is longer than {OPTION:,} characters.")
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def short(value: Any) -> str:
    """A value of a request for a sentence: quoted if it is text, cut however long or deeply nested it is."""
    return _SHORT.repr(value)


def _reason(error: Exception) -> str:
    return str(error).split("\n")[0][:120].rstrip(".")
