"""Near-duplicates: pictures so alike that they must not be on both sides of a split.

A perceptual hash (63 low frequencies of a grey thumbnail) proposes candidates by correlation. It compares each picture
whole, cropped to its inner 95% and 90%, and mirrored, to find crops and borders. A second look (`verify_twins.py`)
decides. `docs/why/twins.md` has the measurements behind every number here.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.decode import shrink
from pellucid.pictures.split import together
from pellucid.pictures.verify_twins import FLAT, Floats, is_photograph, same_picture
from pellucid.runtime.threads import cores
from pellucid.steps import result_of

GREY = 32  # cells along each side of the grey thumbnail
COLOUR = 8  # cells along each side of the two colour-difference thumbnails
DESCRIPTION = GREY * GREY + 2 * COLOUR * COLOUR + 1  # bytes per picture

FREQUENCIES = 8  # of the hash, along each axis
INNER = (0.95, 0.9)  # parts of a photograph to compare with other whole photographs
ALIKE = np.float32(0.92)  # least correlation of two hashes that justifies the second look
NEAREST = 16  # most candidates for each picture and crop: limits the time if everything looks alike

ROWS = 1024  # descriptions at a time, 4 MiB as float32
LOOKS = 64  # pairs at a time in the second look: 1.5 MB at most, which fits a core's cache
TILE = 64  # hashes: BLAS multiplies such small matrices in the calling thread, so no core waits for a busy one
DOWN, ACROSS = 4, 16  # tiles at a time, 1 MiB of correlations: these and the hashes fit a core's own cache

Matches = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]  # rows, columns and their likeness

# ITU-R BT.601 (JFIF): brightness and colour difference as in JPEG and in Pillow's conversion to grey.
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32)
# A mirror changes the sign of the waves that are odd from left to right.
MIRROR = np.tile(np.array([1, -1], np.float32), FREQUENCIES**2 // 2)


def describe(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture's description, all that the search needs: (H, W, 3) uint8 RGB, any H, W >= 1 -> (DESCRIPTION,) uint8.

    The whole picture stretched to a square: a grey thumbnail of 32 x 32 cells and two colour-difference thumbnails (Cb
    + 128, Cr + 128) of 8 x 8, row by row. Then min(H, W, 255).
    """
    return descriptions_of([thumbnail(image)], np.array([image.shape[:2]]))[0]


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a picture that describes it: (H, W, 3) uint8 RGB -> (32, 32, 3) uint8."""
    return shrink(image, GREY)  # smooth, because it will be shifted by parts of a cell


def descriptions_of(thumbnails: Sequence[NDArray[np.uint8]], sizes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """`describe` n pictures, from their thumbnails and their heights and widths (n, 2) -> (n, DESCRIPTION) uint8."""
    if not thumbnails:
        return np.empty((0, DESCRIPTION), np.uint8)
    count, side = len(thumbnails), GREY // COLOUR
    colours = np.empty((3, count, GREY, GREY), np.float32)
    colours[:] = np.moveaxis(np.stack(thumbnails), 3, 0)
    planes = (YCBCR @ colours.reshape(3, -1)).reshape(3, count, COLOUR, side, COLOUR, side)
    # in this order, which rounds like the mean over one picture's cells; for many small ones NumPy's own mean is slow
    sums = np.zeros((2, count, COLOUR, COLOUR), np.float32)
    for row, column in np.ndindex(side, side):
        sums += planes[1:, :, :, row, :, column]
    described = np.empty((count, DESCRIPTION), np.float32)
    described[:, : GREY * GREY] = planes[0].reshape(count, -1)
    described[:, GREY * GREY : -1] = np.moveaxis(sums / side**2 + 128, 0, 1).reshape(count, -1)
    described[:, -1] = np.minimum(sizes.min(axis=1), 255)
    return np.clip(np.rint(described), 0, 255).astype(np.uint8)


class Descriptions(Protocol):
    """uint8 (N, DESCRIPTION): an array, or a reader of such rows from a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]: ...


def pairs(descriptions: Descriptions) -> NDArray[np.int64]:
    """The twins among N pictures: (N, DESCRIPTION) uint8 -> (P, 2) int64, i < j, sorted.

    A picture is paired with at most NEAREST others. Pictures with the same description are paired only with the first
    of them, and members of one group are not compared again: `groups` joins the rest. Time grows with N * N (a matrix
    product), memory with N.
    """
    return result_of(search(descriptions))


def search(descriptions: Descriptions) -> Generator[tuple[int, int], None, NDArray[np.int64]]:
    """As `pairs`, yielding (done, total) many times a second: comparisons of pictures with all others, for each crop.

    Between two crops the count pauses for the second look at the candidates.
    """
    first, same = _identical(descriptions)
    photograph = np.zeros(len(descriptions), dtype=bool)
    for at in range(0, len(first), ROWS):
        block = descriptions[first[at : at + ROWS]]
        photograph[first[at : at + ROWS]] = photographs(block)
    whole, moving = _hashes(descriptions, first, 1.0), photograph[first]
    others = whole if moving.all() else _tiles(whole.reshape(-1, FREQUENCIES**2)[: len(first)][moving])
    done, total = 0, len(first) + (len(INNER) + 1) * int(moving.sum())
    matches = [same]
    executor = ThreadPoolExecutor(cores(), "twins")
    try:
        for scale, mirrored in ((1.0, False), *((scale, False) for scale in INNER), (1.0, True)):
            plain = scale == 1 and not mirrored
            rows, hashes = (first, whole) if plain else (first[moving], others)
            keys = hashes * MIRROR if mirrored else hashes if plain else _hashes(descriptions, rows, scale)
            columns = np.ascontiguousarray(keys.transpose(0, 2, 1))
            del keys  # 26 MB for 100,000 pictures, like each of the others
            near = [_flat(descriptions, first, whole)] if plain else [np.zeros((0, 2), np.int64)]
            for alike in _near(hashes, columns, scale == 1, executor):
                near.append(alike)
                yield min(done + (len(near) - 1) * DOWN * TILE, done + len(rows)), total
            del columns
            done += len(rows)
            joined = groups(len(descriptions), np.concatenate(matches))  # joined pictures need no costlier look
            proposed = rows[np.concatenate(near)]
            proposed = proposed[joined[proposed[:, 0]] != joined[proposed[:, 1]]]
            look = partial(_look, descriptions, photograph, scale, mirrored)
            for verified in executor.map(look, [proposed[at : at + LOOKS] for at in range(0, len(proposed), LOOKS)]):
                matches.append(verified)
                yield done, total
    finally:
        executor.shutdown(cancel_futures=True)
    return np.unique(np.sort(np.concatenate(matches), axis=1), axis=0)


def groups(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group number of each of `count` pictures, (count,) int64: the smallest index reachable through twins."""
    return together(np.full(count, -1), pairs)


def _identical(descriptions: Descriptions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first picture with each description, (M,), and the others paired with it, (P, 2)."""
    seen: dict[bytes, int] = {}
    same = []
    every = np.arange(len(descriptions))
    for at in range(0, len(every), ROWS):
        for i, description in enumerate(descriptions[every[at : at + ROWS]], at):
            j = seen.setdefault(blake2b(description.tobytes(), digest_size=16).digest(), i)
            if j != i:
                same.append((j, i))
    return np.fromiter(seen.values(), np.int64), np.array(same, dtype=np.int64).reshape(-1, 2)


def _hashes(descriptions: Descriptions, rows: NDArray[np.int64], scale: float) -> Floats:
    """`hash_of` of these rows, in the form of `_tiles`."""
    tiles = _room(len(rows))
    hashes = tiles.reshape(-1, FREQUENCIES**2)[: len(rows)]
    for at in range(0, len(rows), ROWS):
        hashes[at : at + ROWS] = hash_of(grey_of(descriptions[rows[at : at + ROWS]]), scale)
    return tiles


def hash_of(grey: Floats, scale: float) -> Floats:
    """(N, 32, 32) -> (N, 64): low frequencies of the inner `scale` of a picture, unit length, without the mean.

    A discrete cosine transform, weighted by the square root of the frequency: natural spectra fall so steeply that
    otherwise two or three of the numbers would decide. Flat pictures get zeros and resemble nothing.
    """
    at = (np.arange(GREY) - (GREY - 1) / 2) * scale + (GREY - 1) / 2
    inner = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(GREY)))  # (32, 32) stretches it to the whole, linearly
    order = np.arange(FREQUENCIES)
    waves = np.cos(np.pi / GREY * order[:, None] * (np.arange(GREY) + 0.5)) * np.sqrt(2 / GREY)
    waves = (waves @ inner).astype(np.float32)  # (8, 32)
    weight = np.hypot(order[:, None], order).astype(np.float32) ** 0.5  # 0 for the mean
    numbers = (waves @ grey @ waves.T * weight).reshape(len(grey), -1)
    length = np.linalg.norm(numbers, axis=1, keepdims=True)
    return np.where(grey.std(axis=(1, 2))[:, None] < FLAT, np.float32(0), numbers / np.maximum(length, 1e-6))


def _flat(descriptions: Descriptions, first: NDArray[np.int64], hashes: Floats) -> NDArray[np.int64]:
    """Pairs (P, 2) of rows of `hashes`, tiles, without contrast: each with the NEAREST - 1 next to it in brightness."""
    flat = np.flatnonzero(~hashes.any(axis=2).ravel()[: len(first)])
    blocks = [descriptions[first[flat[at : at + ROWS]]] for at in range(0, len(flat), ROWS)]
    bright = [block[:, : GREY * GREY].mean(axis=1) for block in blocks]
    flat = flat[np.argsort(np.concatenate([[], *bright]), kind="stable")]
    steps = range(1, min(NEAREST, len(flat)))
    return np.concatenate([np.zeros((0, 2), np.int64), *[np.stack([flat[:-s], flat[s:]], axis=1) for s in steps]])


def _near(rows: Floats, columns: Floats, once: bool, executor: ThreadPoolExecutor) -> Iterator[NDArray[np.int64]]:
    """(row, column), (P, 2), of hashes that correlate by ALIKE, for DOWN tiles of rows at a time.

    `rows`: tiles; `columns`: tiles, each transposed. Never i with itself; `once`: i < j only.
    """
    return executor.map(lambda top: _nearest(rows, columns, top, once), range(0, len(rows), DOWN))


def _tiles(hashes: Floats) -> Floats:
    """(N, 64) -> (tiles, TILE, 64), the last one padded with zeros."""
    tiles = _room(len(hashes))
    tiles.reshape(-1, FREQUENCIES**2)[: len(hashes)] = hashes
    return tiles


def _room(count: int) -> Floats:
    """Tiles of zeros for `count` hashes."""
    return np.zeros((-(-count // TILE), TILE, FREQUENCIES**2), np.float32)


def _nearest(rows: Floats, columns: Floats, top: int, once: bool) -> NDArray[np.int64]:
    """`_near` for DOWN tiles of `rows` from `top`: each row's NEAREST, the best first."""
    part = rows[top : top + DOWN, None]
    room = np.empty((len(part), ACROSS, TILE, TILE), np.float32)
    least = np.full(len(part) * TILE, np.nextafter(ALIKE, np.float32(0)))  # a correlation must exceed this
    nearest, crowd = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))], 0
    for left in range(top if once else 0, len(columns), ACROSS):
        stack = columns[None, left : left + ACROSS]
        block = np.matmul(part, stack, out=room[:, : stack.shape[1]])
        down, across = np.nonzero(block.max(axis=(2, 3)) > least.min())
        if not len(down):  # the usual case
            continue
        tile, row, column = np.nonzero(block[down, across] > least.reshape(-1, TILE)[down][:, :, None])
        likeness = block[down[tile], across[tile], row, column]
        row, column = row + down[tile] * TILE, column + (left + across[tile]) * TILE
        apart = (column > row + top * TILE) if once else (column != row + top * TILE)
        nearest.append((row[apart], column[apart], likeness[apart]))
        crowd += len(nearest[-1][0])
        if crowd > 4 * NEAREST * len(least):
            nearest, crowd = [_best(nearest, least)], 0
    row, column, _ = _best(nearest, least)
    return np.stack([row + top * TILE, column], axis=1)


def _best(matches: list[Matches], least: NDArray[np.float32]) -> Matches:
    """Each row's NEAREST, the best first; raises each row's `least` to the last of them."""
    row, column, likeness = (np.concatenate(parts) for parts in zip(*matches, strict=True))
    order = np.lexsort((column, -likeness, row))
    row, column, likeness = row[order], column[order], likeness[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    last = rank == NEAREST - 1
    least[row[last]] = likeness[last]
    return row[rank < NEAREST], column[rank < NEAREST], likeness[rank < NEAREST]


def _look(
    descriptions: Descriptions,
    photograph: NDArray[np.bool_],
    scale: float,
    mirrored: bool,
    proposed: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The twins among the pairs `proposed`, (P, 2) -> (Q, 2)."""
    i, j = proposed.T
    one, two, both = descriptions[i], descriptions[j], photograph[i] & photograph[j]
    return proposed[same_picture(grey_of(one), grey_of(two), colour_of(one), colour_of(two), both, scale, mirrored)]


def photographs(descriptions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pictures have texture nearly everywhere (verify_twins.is_photograph), (N, DESCRIPTION) -> bool (N,)."""
    return is_photograph(grey_of(descriptions), descriptions[:, -1])


def grey_of(descriptions: NDArray[np.uint8]) -> Floats:
    """The brightness part, (N, DESCRIPTION) uint8 -> (N, 32, 32) float32, 0..255."""
    return descriptions[:, : GREY * GREY].reshape(-1, GREY, GREY).astype(np.float32)


def colour_of(descriptions: NDArray[np.uint8]) -> Floats:
    """The colour differences, (N, DESCRIPTION) uint8 -> (N, 2, 8, 8) float32, -128..127."""
    return descriptions[:, GREY * GREY : -1].reshape(-1, 2, COLOUR, COLOUR).astype(np.float32) - 128
