"""A picture in any form: its path, its bytes, its image, or the network's input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import PictureError
from pellucid.pictures.decode import ALONE, Ranges, decode
from pellucid.pictures.reading import read

if TYPE_CHECKING:
    from typing_extensions import TypeIs


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image that is already the network's input, uint8 (H, W, C) in the size of its form. It is used unchanged."""

    image: NDArray[np.uint8]
    name: str = "<prepared>"


Source = str | Path | bytes | NDArray[np.uint8] | Prepared
"""A picture: its path, its bytes, or its image as uint8 (H, W, 3), upright RGB."""


def is_one(pictures: Source | Iterable[Source]) -> TypeIs[Source]:
    """Whether this is one picture rather than several: a path and bytes can also be iterated."""
    return isinstance(pictures, str | Path | bytes | np.ndarray | Prepared)


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
    try:
        content = read(Path(picture))
    except ValueError as error:  # a NUL character, which a path cannot hold
        raise PictureError(f"not a path: {error}") from error
    return decode(content, pixel_limit, ranges)
