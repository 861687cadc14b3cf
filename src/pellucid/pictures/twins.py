"""Near-duplicates: pictures so alike that they must not be on both sides of a split.

A perceptual hash (`hashes.py`) proposes candidates by correlation: of every pair (`all_pairs.py`), or among many
pictures of those that trees bring together (`forest.py`). It compares each picture whole, cropped to its inner 95% and
90%, and mirrored, to find crops and borders. A second look (`verify_twins.py`) decides. `docs/why/twins.md` has the
measurements behind every number here.
"""

from collections.abc import Generator, Iterator, Sequence
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
WAYS = ((1.0, False), *((scale, False) for scale in INNER), (1.0, True))  # to compare: part of the second, mirrored
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
    of them, and members of one group are not compared again: `groups` joins the rest. Up to ALL_PAIRS pictures all that
    correlate are looked at; among more, 99.5% of the pairs that just correlate enough, and nearly all true copies. Time
    grows with N^1.2 then, memory with N: about 500 bytes a picture.
    """
    return result_of(search(descriptions))


def search(descriptions: Descriptions) -> Generator[tuple[int, int], None, NDArray[np.int64]]:
    """As `pairs`, yielding (done, total) many times a second.

    That counts every picture read, planted if there are many, and in each way compared and looked at again.
    """
    count, many = len(descriptions), len(descriptions) > ALL_PAIRS
    total = count * (1 + many + 2 * len(WAYS))
    executor = ThreadPoolExecutor(cores(), "twins")
    try:
        digests, photograph = np.empty((count, 2), np.uint64), np.empty(count, bool)
        hashes = np.empty((count, NUMBERS), np.int16)
        learn = partial(_learn, descriptions, digests, photograph, hashes)
        for number, _ in enumerate(executor.map(learn, range(0, count, ROWS)), 1):
            yield min(number * ROWS, count), total
        first, same = _identical(digests)
        if len(first) < count:
            hashes = hashes[first]
        trees: list[forest.Tree] = []
        for share, tree in forest.plant(hashes, executor) if many else ():
            trees.append(tree)
            yield int((1 + share) * count), total
        matches, done = [same], (1 + many) * count
        for way, (scale, mirrored) in enumerate(WAYS):
            if way == 1:  # from here on, because only photographs may be moved or mirrored
                part = np.flatnonzero(photograph[first])
                first, hashes, trees = first[part], hashes[part], [tree.of(part) for tree in trees]
            joined = groups(count, np.concatenate(matches))  # joined pictures need no costlier look
            candidates = [np.zeros((0, 2), np.int64)]
            for share, alike in _candidates(descriptions, first, hashes, trees, scale, mirrored, executor):
                candidates.append(alike[joined[alike[:, 0]] != joined[alike[:, 1]]])
                yield done + int(share * count), total
            proposed = np.concatenate(candidates)
            look = partial(_look, descriptions, photograph, scale, mirrored)
            tops = range(0, len(proposed), LOOKS)
            for number, verified in enumerate(executor.map(look, [proposed[at : at + LOOKS] for at in tops]), 1):
                matches.append(verified)
                yield done + count + count * number // len(tops), total
            done += 2 * count
        yield total, total
    finally:
        executor.shutdown(cancel_futures=True)
    return np.unique(np.sort(np.concatenate(matches), axis=1), axis=0)


def groups(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group number of each of `count` pictures, (count,) int64: the smallest index reachable through twins."""
    return together(np.full(count, -1), pairs)


def _learn(
    descriptions: Descriptions,
    digests: NDArray[np.uint64],
    photograph: NDArray[np.bool_],
    hashes: Hashes,
    at: int,
) -> None:
    """Fill ROWS rows of digests (N, 2), photograph (N,) and hashes (N, NUMBERS) from `at`."""
    part = slice(at, at + ROWS)
    block = descriptions[np.arange(len(descriptions))[part]]
    joined = b"".join(blake2b(description.tobytes(), digest_size=16).digest() for description in block)
    digests[part] = np.frombuffer(joined, np.uint64).reshape(-1, 2)
    photograph[part] = photographs(block)
    hashes[part] = stored(hash_of(grey_of(block), 1.0))


def _identical(digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first picture with each digest, (M,) ascending, and the others paired with it, (P, 2)."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    begins = np.ones(len(order), bool)
    begins[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    first = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
    return np.sort(order[begins]), np.stack([first, order], axis=1)[~begins]


def _candidates(
    descriptions: Descriptions,
    first: NDArray[np.int64],
    hashes: Hashes,
    trees: list[forest.Tree],
    scale: float,
    mirrored: bool,
    executor: ThreadPoolExecutor,
) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """The pairs of pictures, (P, 2), that deserve a second look, each part with the share that is done by then.

    first: (M,) pictures to compare; hashes: (M, NUMBERS), theirs.
    """
    keys, signs = hashes, MIRROR if mirrored else np.ones_like(MIRROR)
    if scale == 1 and not mirrored:
        yield 0.0, _flat(descriptions, first, hashes)
    elif scale != 1:
        keys = np.empty_like(hashes)
        for _ in executor.map(partial(_crop, descriptions, first, scale, keys), range(0, len(first), ROWS)):
            yield 0.0, np.zeros((0, 2), np.int64)
    near = partial(forest.near, trees) if trees else all_pairs.near
    for share, alike in near(hashes, keys, signs, scale == 1, executor):
        yield share, first[alike]


def _crop(descriptions: Descriptions, rows: NDArray[np.int64], scale: float, keys: Hashes, at: int) -> None:
    """Fill ROWS of the `keys` of pictures `rows`, (M, NUMBERS), from `at`: hashes of their inner `scale`."""
    part = slice(at, at + ROWS)
    keys[part] = stored(hash_of(grey_of(descriptions[rows[part]]), scale))


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
