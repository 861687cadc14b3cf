"""A picture in any form: its path, its bytes, its image, or the network's input."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError, PictureError
from pellucid.pictures.decode import ALONE, Ranges, decode
from pellucid.pictures.places import is_address, is_written_as_address, place, shown
from pellucid.pictures.reading import UNKNOWN, Stamp, read

if TYPE_CHECKING:
    from typing_extensions import TypeIs
    from upath import UPath

    from pellucid.pictures.ahead import Ahead


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image that is already the network's input, uint8 (H, W, C) in the size of its form. It is used unchanged."""

    image: NDArray[np.uint8]
    name: str = "<prepared>"


@dataclass(frozen=True, eq=False)
class Coming:
    """A picture at an address, whose file is being read."""

    name: str
    file: Future[tuple[bytes, Stamp]]


class Listed(str):
    """The address of a picture, with the stamp that a listing of its folder shows: reading it takes one request."""

    __slots__ = ("stamp",)
    stamp: Stamp


Source: TypeAlias = "str | Path | UPath | bytes | NDArray[np.uint8] | Prepared | Coming"
"""A picture: its path or address, its bytes, or its image as uint8 (H, W, 3), upright RGB."""


def is_one(pictures: Source | Iterable[Source]) -> TypeIs[Source]:
    """Whether this is one picture rather than several: a path and bytes can also be iterated."""
    return is_address(pictures) or isinstance(pictures, str | Path | bytes | np.ndarray | Prepared | Coming)


def name_of(picture: Source) -> str:
    """The name of a picture in its answer. An address has no password in it."""
    if isinstance(picture, Prepared | Coming):
        return picture.name
    if isinstance(picture, str | Path) or is_address(picture):
        return shown(picture)
    return f"<{type(picture).__name__}>"


def coming(pictures: Iterable[Source], ahead: Ahead) -> Iterator[Source]:
    """The same pictures; those at addresses are read ahead of the others, in order."""
    waiting: deque[Source] = deque()
    for picture in pictures:
        waiting.append(_begun(picture, ahead))
        if len(waiting) > ahead.window:
            yield waiting.popleft()
    yield from waiting


def _begun(picture: Source, ahead: Ahead) -> Source:
    if not (is_written_as_address(picture) or is_address(picture)):
        return picture
    try:
        where = place(picture)  # type: ignore[arg-type]
    except CatalogError:  # `decoded` says why
        return picture
    file = ahead.begun(where, picture.stamp if isinstance(picture, Listed) else UNKNOWN)
    return Coming(name_of(picture), file) if isinstance(file, Future) else picture


def decoded(picture: Source, pixel_limit: int, ranges: Ranges = ALONE) -> NDArray[np.uint8]:
    """Decode a picture in any form to its image uint8 (H, W, 3); see `decode`. Raises PictureError."""
    if isinstance(picture, Prepared):
        raise PictureError("it is already prepared for a network")
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise PictureError(f"an array of {picture.dtype} {picture.shape}; a picture is uint8 (height, width, 3)")
        return picture
    if isinstance(picture, bytes):
        return decode(picture, pixel_limit, ranges)
    if isinstance(picture, Coming):
        return decode(picture.file.result()[0], pixel_limit, ranges)
    try:
        content = read(place(picture))
    except CatalogError as error:
        raise PictureError(f"not an address: {error}") from error
    except ValueError as error:  # a NUL character, which a path cannot hold
        raise PictureError(f"not a path: {error}") from error
    return decode(content, pixel_limit, ranges)
