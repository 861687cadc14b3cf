"""Read, hash, decode and describe files: what a store keeps of each.

One call handles some files at a time, because NumPy takes longer to begin with a small picture than to compute on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import PictureError
from pellucid.pictures import twins
from pellucid.pictures.ahead import Begun, content
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.reading import UNKNOWN, Stamp, stamp_of

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

RECORD = np.dtype(
    [
        ("stamp", "<i8", 3),  # size, mtime_ns, ctime_ns of the file that was read; -1 if unreadable
        ("digest", "u1", 32),  # SHA-256 of its content
        ("size", "<i4", 2),  # height and width, upright
        ("row", "<i8"),  # of its image, or -1 if it has none
    ]
)


@dataclass(frozen=True, slots=True)
class Way:
    """Everything but the file that determines its pixels: see `decode`."""

    form: Form
    pixel_limit: int
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Looks:
    """What n files are, in their order; m of them have an image.

    * records: RECORD (n,); `row` is the place in `images`
    * images: uint8 (m, height, width, channels)
    * descriptions: uint8 (m, DESCRIPTION)
    * reasons: the place of a file without an image -> why it has none
    """

    records: NDArray[np.void]
    images: NDArray[np.uint8]
    descriptions: NDArray[np.uint8]
    reasons: dict[int, str]


def look(places: Sequence[str | Place | Begun], way: Way) -> Looks:
    """Look at files of this machine, by paths, and at addresses. Raises nothing for a file that cannot be used."""
    stamps: list[Stamp] = []
    digests: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    reasons: dict[int, str] = {}
    images, thumbnails = [], []
    for number, place in enumerate(places):
        stamp, digest, size = UNKNOWN, bytes(32), (0, 0)
        try:
            data, stamp = content(place)
            digest = hashlib.sha256(data).digest()
            image = decode(data, way.pixel_limit, way.ranges)
            size = image.shape[:2]
            images.append(way.form.apply(image))
            thumbnails.append(twins.thumbnail(image))
        except PictureError as error:
            reasons[number] = error.reason
            if stamp == UNKNOWN:
                stamp = _unread(place, error)
            elif isinstance(error.__cause__, MemoryError):
                stamp = UNKNOWN  # tried again each time
        stamps.append(stamp)
        digests.append(digest)
        sizes.append(size)
    records = np.zeros(len(places), RECORD)
    records["stamp"], records["size"] = np.array(stamps).reshape(-1, 3), np.array(sizes).reshape(-1, 2)
    records["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    usable = np.ones(len(places), np.bool_)
    usable[list(reasons)] = False
    records["row"] = np.where(usable, np.cumsum(usable) - 1, -1)
    stacked = np.stack(images) if images else np.empty((0, *way.form.shape), np.uint8)
    return Looks(records, stacked, twins.descriptions_of(thumbnails, records["size"][usable]), reasons)


def _unread(place: str | Place | Begun, error: PictureError) -> Stamp:
    """The stamp of a file that could not be read.

    A bad disk or network may recover without a trace in the file's times: such a file is tried again each time.
    """
    if isinstance(place, Future):
        return UNKNOWN
    passing = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, PermissionError)
    return UNKNOWN if passing else stamp_of(place)
