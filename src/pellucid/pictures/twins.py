"""Near-duplicates: pictures so alike that they must not be on both sides of a split.

A perceptual hash (`hashes.py`) proposes candidates by correlation: of every pair (`all_pairs.py`), or among many
pictures of those that trees bring together (`forest.py`). It compares each picture whole, cropped to its inner 95% and
90%, and mirrored, to find crops and borders. A second look (`verify_twins.py`) decides. `docs/why/twins.md` has the
measurements behind every number here.
"""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import all_pairs, forest
from pellucid.pictures.decode import shrink
from pellucid.pictures.hashes import MIRROR, NEAREST, NUMBERS, Hashes, hash_of, stored
from pellucid.pictures.split import together
from pellucid.pictures.verify_twins import Floats, is_photograph, same_picture
from pellucid.runtime.threads import cores
from pellucid.steps import result_of

GREY = 32  # cells along each side of the grey thumbnail
COLOUR = 8  # cells along each side of the two colour-difference thumbnails
DESCRIPTION = GREY * GREY + 2 * COLOUR * COLOUR + 1  # bytes per picture

INNER = (0.95, 0.9)  # parts of a photograph to compare with other whole photographs
ALL_PAIRS = 20_000  # pictures: up to here comparing every pair is sooner than planting trees

ROWS = 1024  # descriptions at a time, 4 MiB as float32
LOOKS = 64  # pairs at a time in the second look: 1.5 MB at most, which fits a core's cache

# ITU-R BT.601 (JFIF): brightness and colour difference as in JPEG and in Pillow's conversion to grey.
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32)


def describe(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture's description, all that the search needs: (H, W, 3) uint8 RGB, any H, W >= 1 -> (DESCRIPTION,) uint8.

    The whole picture stretched to a square: a grey thumbnail of 32 x 32 cells and two colour-difference thumbnails (Cb
    + 128, Cr + 128) of 8 x 8, row by row. Then min(H, W, 255).
    """
    # smooth, because it will be shifted by parts of a cell
    planes = shrink(image, GREY).astype(np.float32) @ YCBCR.T  # (32, 32, 3)
    side = GREY // COLOUR
    colour = planes[..., 1:].reshape(COLOUR, side, COLOUR, side, 2).mean(axis=(1, 3)) + 128  # (8, 8, 2)
    size = [min(*image.shape[:2], 255)]
    numbers = np.concatenate([planes[..., 0].ravel(), colour[..., 0].ravel(), colour[..., 1].ravel(), size])
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


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
        photograph[first[at : at + ROWS]] = photographs(descriptions[first[at : at + ROWS]])
    whole, every, moving = _hashes(descriptions, first, 1.0), np.arange(len(first)), np.flatnonzero(photograph[first])
    others = whole if len(moving) == len(first) else whole[moving]
    planting = len(first) if len(first) > ALL_PAIRS else 0
    done, total = planting, planting + len(first) + (len(INNER) + 1) * len(moving)
    trees, matches = [], [same]
    executor = ThreadPoolExecutor(cores(), "twins")
    try:
        if planting:
            for share, tree in forest.plant(whole, executor):
                trees.append(tree)
                yield int(share * planting), total
        for scale, mirrored in ((1.0, False), *((scale, False) for scale in INNER), (1.0, True)):
            plain = scale == 1 and not mirrored
            part, hashes = (every, whole) if plain else (moving, others)
            keys = hashes if scale == 1 else _hashes(descriptions, first[moving], scale)
            signs = MIRROR if mirrored else np.ones_like(MIRROR)
            near = partial(forest.near, trees, part) if planting else all_pairs.near
            candidates = [_flat(descriptions, first, whole)] if plain else [np.zeros((0, 2), np.int64)]
            for share, alike in near(hashes, keys, signs, scale == 1, executor):
                candidates.append(first[part[alike]])
                yield done + int(share * len(part)), total
            del keys
            done += len(part)
            joined = groups(len(descriptions), np.concatenate(matches))  # joined pictures need no costlier look
            proposed = np.concatenate(candidates)
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
    """The first picture with each description, (M,), and the others paired with it, (P, 2); by digests of 16 bytes."""
    every = np.arange(len(descriptions))
    digests = np.empty((len(every), 2), np.uint64)
    for at in range(0, len(every), ROWS):
        block = descriptions[every[at : at + ROWS]]
        joined = b"".join(blake2b(description.tobytes(), digest_size=16).digest() for description in block)
        digests[at : at + ROWS] = np.frombuffer(joined, np.uint64).reshape(-1, 2)
    order = np.lexsort((*digests.T,))
    ordered = digests[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
    return np.sort(order[begins]), np.stack([first, order], axis=1)[~begins]


def _hashes(descriptions: Descriptions, rows: NDArray[np.int64], scale: float) -> Hashes:
    """`hash_of` of these rows."""
    hashes = np.empty((len(rows), NUMBERS), np.int16)
    for at in range(0, len(rows), ROWS):
        hashes[at : at + ROWS] = stored(hash_of(grey_of(descriptions[rows[at : at + ROWS]]), scale))
    return hashes


def _flat(descriptions: Descriptions, first: NDArray[np.int64], hashes: Hashes) -> NDArray[np.int64]:
    """Pairs (P, 2) of pictures without contrast: each with the NEAREST - 1 next to it in brightness.

    first: (N,) pictures; hashes: (N, NUMBERS), theirs.
    """
    flat = first[~hashes.any(axis=1)]
    blocks = [descriptions[flat[at : at + ROWS]] for at in range(0, len(flat), ROWS)]
    bright = [block[:, : GREY * GREY].mean(axis=1) for block in blocks]
    flat = flat[np.argsort(np.concatenate([[], *bright]), kind="stable")]
    steps = range(1, min(NEAREST, len(flat)))
    return np.concatenate([np.zeros((0, 2), np.int64), *[np.stack([flat[:-s], flat[s:]], axis=1) for s in steps]])


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
