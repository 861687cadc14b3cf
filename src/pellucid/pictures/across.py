"""The third look, at twins in two classes: copies with one wrong label, or pictures that are alike for a good reason.

Thumbnails of 32 x 32 cells cannot show a scratch, a lamp or a needle. Two shots of a fixed camera are twins and stay on
one side of a split, although a closer look tells their classes apart. So this module lays the pictures themselves over
one another. Copying (recompression, another size, brightening) leaves traces all over a picture; a thing that was added
or moved leaves them in one place. A mirror image has another meaning if the classes are left and right.
`docs/why/twins.md` has the measurements behind the numbers here.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import twins, verify_twins
from pellucid.pictures.decode import shrink
from pellucid.pictures.verify_twins import Floats
from pellucid.runtime.threads import cores

KINDS = ("copy", "mirrored", "partly", "unseen")
COPY, MIRRORED, PARTLY, UNSEEN = range(4)

CELLS = 256  # along each side in the third look, or fewer for a picture with fewer pixels
MOVING = 128  # likewise, if one picture has to be moved onto the other, which takes ten times as long
SMOOTH = {256: 5, 128: 3, 64: 3, 32: 1}  # cells over which a difference is averaged, for each number of cells
LEAST = 0.5  # of the tolerance in a cell: smaller differences are ignored
APART = 6.0  # times what 98% of the cells stay below: copies reach 5, at worst 6
MOST = 500  # pairs to look at, the most alike first: each costs two decoded pictures
SCALES = (1.0, *twins.INNER)

Image = Callable[[int], NDArray[np.uint8] | None]


def kinds(descriptions: twins.Descriptions, pairs: NDArray[np.int64], image: Image) -> NDArray[np.int8]:
    """How the twins of each pair are related, (P,) int8: an index in KINDS.

    descriptions: uint8 (N, DESCRIPTION); pairs: (P, 2) int64, rows of them; image: a row's picture, uint8 (H, W, 3) RGB
    of any size, or None if it cannot be read any more.

    * copy: copying explains every difference, and one of the two labels is probably wrong
    * mirrored: one is the mirror image of the other, but not a copy
    * partly: they differ in a part of the picture
    * unseen: more than MOST pairs are more alike than this one, which was not examined
    """
    kinds_of_pairs = np.full(len(pairs), UNSEEN, np.int8)
    if not len(pairs):
        return kinds_of_pairs
    ways, likeness = _upright(descriptions, pairs)
    kinds_of_pairs[[way is None for way in ways]] = MIRRORED
    upright = np.flatnonzero(kinds_of_pairs != MIRRORED)
    looked = upright[np.argsort(likeness[upright], kind="stable")][:MOST]

    def look(row: int) -> int:
        a, b = image(int(pairs[row, 0])), image(int(pairs[row, 1]))
        way = ways[row]
        return PARTLY if a is not None and b is not None and way is not None and differs(a, b, *way) else COPY

    with ThreadPoolExecutor(cores(), "across") as executor:
        kinds_of_pairs[looked] = list(executor.map(look, looked.tolist()))
    return kinds_of_pairs


def differs(a: NDArray[np.uint8], b: NDArray[np.uint8], scale: float | None = None, swap: bool = False) -> bool:
    """Whether two pictures that are alike as a whole differ in some part. uint8 (H, W, 3) RGB, of any two sizes.

    scale: if b has to be moved onto a, the scale to start from, else None. swap: move a onto b instead.
    """
    if swap:
        a, b = b, a
    least = min(*a.shape[:2], *b.shape[:2])
    most = min(least, CELLS if scale is None else MOVING)
    n = next((cells for cells in SMOOTH if cells <= most), twins.GREY)
    first, second = _brightness(a, n), _brightness(b, n)
    bright, clipped = (second, _clipped(b, n)) if first.mean() <= second.mean() else (first, _clipped(a, n))
    dark, inside = (first if bright is second else second), np.ones_like(first, dtype=bool)
    if scale is not None:
        place = _place(first, second, scale)
        moved, inside = verify_twins.move(second, place)
        shift = verify_twins.move(clipped.astype(np.float32), place)[0] > 0.5 if bright is second else clipped
        dark, bright, clipped = (first, moved, shift) if bright is second else (moved, first, shift)
    gain, offset = verify_twins.fit_line(dark, bright, inside)
    expected = np.clip(gain * dark + offset, 0, 255)
    rest = bright - expected
    # if a colour was clipped by brightening, a difference smaller than expected does not count
    brightened = abs(float(gain.ravel()[0]) - 1) > 0.03 or abs(float(offset.ravel()[0])) > 4
    rest = np.where(clipped & (rest < 0) & brightened, 0, rest) * inside
    width = SMOOTH[n]
    local = np.minimum(verify_twins.contrast(expected), verify_twins.contrast(bright))
    if width == 5:
        local = _smooth(local, 5)  # an edge is as wide as the averaging window
    parts = (np.abs(_smooth(rest, width)) / (5 + 0.25 * local))[inside]
    return bool(parts.size and parts.max() > max(LEAST, APART * np.quantile(parts, 0.98)))


def _upright(
    descriptions: twins.Descriptions, pairs: NDArray[np.int64]
) -> tuple[list[tuple[float | None, bool] | None], NDArray[np.floating]]:
    """How each pair's thumbnails fit unmirrored, as (scale, swap) for `differs`, or None; and their distance (P,).

    The distance is the mean absolute difference of brightness in grey levels, without moving either.
    """
    ways: list[tuple[float | None, bool] | None] = []
    apart = []
    for at in range(0, len(pairs), twins.LOOKS):
        part = pairs[at : at + twins.LOOKS]
        views = [descriptions[rows] for rows in part.T]
        photograph = twins.photographs(views[0]) & twins.photographs(views[1])
        (a, p), (b, q) = ((twins.grey_of(view), twins.colour_of(view)) for view in views)
        apart.append(np.abs(a - b).mean(axis=(1, 2)))
        fits: list[tuple[float | None, bool] | None] = [
            (None, False) if still else None for still in verify_twins.explained(a, b, p, q, photograph, None)
        ]
        for swap, scale in ((swap, scale) for scale in SCALES for swap in (False, True)):
            rest = np.array([k for k, way in enumerate(fits) if way is None and photograph[k]], np.int64)
            if len(rest):
                one, two = ((b, q), (a, p)) if swap else ((a, p), (b, q))
                same = verify_twins.same_picture(
                    one[0][rest], two[0][rest], one[1][rest], two[1][rest], photograph[rest], scale, False
                )
                for k in rest[same]:
                    fits[k] = (scale, swap)
        ways += fits
    return ways, np.concatenate(apart)


def _place(a: Floats, b: Floats, scale: float) -> Floats:
    """Where b lies on a, first in 16 x 16 cells, then in more: (1, n, n) both -> (1, 4), see verify_twins.move."""
    n = a.shape[1]
    place = np.array([[scale, 0, scale, 0]], np.float32)
    cells = twins.GREY // 2
    while cells <= n:
        a_small, b_small = (x.reshape(1, cells, n // cells, cells, n // cells).mean(axis=(2, 4)) for x in (a, b))
        place = verify_twins.register(a_small, b_small, place, 4 if cells <= twins.GREY else 2)
        cells *= 2
        if cells <= n:
            place = place * np.array([1, 2, 1, 2], np.float32)  # a shift, in smaller cells
    return place


def _brightness(image: NDArray[np.uint8], n: int) -> Floats:
    return (shrink(image, n).astype(np.float32) @ twins.YCBCR[0])[None]


def _clipped(image: NDArray[np.uint8], n: int) -> NDArray[np.bool_]:
    return (shrink(image, n).max(axis=2) >= 245)[None]


def _smooth(x: Floats, width: int) -> Floats:
    """Means of width x width cells around each cell, (1, n, n), width odd."""
    if width == 1:
        return x
    around = np.pad(x, ((0, 0), (width // 2,) * 2, (width // 2,) * 2), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, (width, width), axis=(1, 2))  # type: ignore[call-overload]
    return windows.mean(axis=(3, 4))
