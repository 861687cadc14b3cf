"""The range of a data set: the values that its files with more than 8 bits a sample use, one range for all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pellucid.errors import PictureError
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.decode import samples_of
from pellucid.pictures.levels import Pool, choose
from pellucid.pictures.order import sorted_for_reading
from pellucid.pictures.places import below, is_address
from pellucid.pictures.ranges import Kind, Range, Ranges
from pellucid.pictures.reading import Stamp, head_of, read
from pellucid.pictures.remote import IN_FLIGHT
from pellucid.pictures.render import is_measured, pool_of
from pellucid.pictures.split import SIDES
from pellucid.runtime.threads import cores

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

T = TypeVar("T")

LOOKED_AT = 1024  # files whose first bytes are read
MEASURED = 256  # of these files, how many are decoded
SIDE = 64  # rows and columns used of each
HEAD = 32  # first bytes that reveal the depth
# formats of 8 bits, whatever they hold; a file with a misleading name is still decoded as what it is
_LIGHT = {".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp", ".heic", ".heif", ".avif", ".ico"}


def measure(catalog: Catalog, pixel_limit: int) -> Ranges:
    """Measure the pictures to train on, if the folders say which those are; else all.

    It measures files spread evenly over the catalog. It skips unreadable ones: the store gives the reason.
    """
    sides = catalog.pictures.sides
    rows = np.flatnonzero(sides <= SIDES.index("train"))
    paths = catalog.pictures.paths.take(rows if len(rows) else np.arange(len(sides)))
    heavy = [at for at, path in enumerate(paths) if os.path.splitext(path)[1].lower() not in _LIGHT]
    spread = sorted_for_reading(catalog.root, [paths[at] for at in _spread(heavy, LOOKED_AT)])
    looked_at = [(below(catalog.root, path), catalog.stamp_listed(path)) for path in spread]
    deep = _spread(_maybe_deep(looked_at), MEASURED)
    if not deep:
        return Ranges()

    def pool(picture: tuple[str | Place, Stamp]) -> Pool | None:
        with suppress(PictureError):
            samples = samples_of(read(*picture), pixel_limit)
            return pool_of(samples, SIDE) if samples is not None and is_measured(samples) else None
        return None

    with ThreadPoolExecutor(cores()) as executor:
        pools = [values for values in executor.map(pool, deep) if values is not None and len(values.values)]
    return Ranges(_chosen(pools, "integer"), _chosen(pools, "real"))


def _chosen(pools: Iterable[Pool], kind: Kind) -> Range | None:
    same = [pool for pool in pools if pool.kind == kind]
    if not same:
        return None
    stated = {pool.declared for pool in same}
    declared = stated.pop() if len(stated) == 1 else None
    wide = np.int64 if kind == "integer" else np.float64
    values = np.sort(np.concatenate([pool.values.astype(wide) for pool in same]))
    return choose(Pool(values, declared), alone=False)


def _spread(every: Sequence[T], most: int) -> list[T]:
    rows = sorted({int(row) for row in np.linspace(0, len(every) - 1, min(most, len(every)))})
    return [every[row] for row in rows]


def _maybe_deep(pictures: list[tuple[str | Place, Stamp]]) -> list[tuple[str | Place, Stamp]]:
    if not any(is_address(place) for place, _ in pictures):
        return [each for each in pictures if _may_be_deep(each[0])]
    with ThreadPoolExecutor(IN_FLIGHT) as executor:
        deep = executor.map(_may_be_deep, (place for place, _ in pictures))
        return [each for each, is_deep in zip(pictures, deep, strict=True) if is_deep]


def _may_be_deep(place: str | Place) -> bool:
    """Judged by the first bytes: false if the file certainly has 8 bits."""
    try:
        head = head_of(place, HEAD)
    except (OSError, PictureError):
        return False
    if head.startswith(b"\x89PNG"):
        return head[24:25] == b"\x10"
    return bool(head) and not head.startswith((b"\xff\xd8", b"GIF8", b"BM", b"RIFF"))
