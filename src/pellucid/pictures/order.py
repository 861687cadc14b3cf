"""In which order pictures are read: shard by shard, and shuffled in blocks where a shard makes jumps expensive.

Files, and members of a tar, are reached at their places. Blocks of 16 neighbours make the jumps rare, and 4,096
pictures are then shuffled together. In a Parquet file a block is a row group, which is read as a whole; as many
are shuffled together as take 128 MB, a quarter of what `shards.opened` holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.columns import Pictures
from pellucid.pictures.reading import stamp_of
from pellucid.pictures.shards.naming import PARQUET, has_ending, shard_of
from pellucid.pictures.shards.opened import GROUP, HELD
from pellucid.pictures.strings import Texts

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

BLOCK = 16  # neighbours that stay in one block
BUFFER = 4096  # pictures that are shuffled together
_SHARD = re.compile(rb"\.(tar|parquet)/", re.IGNORECASE)


@dataclass(frozen=True)
class Blocks:
    """Of N pictures: the place of each in the order of reading, its block, and the share of a buffer that it takes.

    place, block: int64 (N,); share: float64 (N,).
    """

    place: NDArray[np.int64]
    block: NDArray[np.int64]
    share: NDArray[np.float64]


def in_shards(paths: Texts) -> bool:
    """Whether any of the pictures is in a shard, by its path."""
    return _SHARD.search(paths.content.data) is not None


def reading_order(paths: Texts, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows in the order in which they are best read, (N,). `stamps`: (N, 3), as `reading.Stamp`."""
    if not in_shards(paths):
        return np.arange(len(paths))
    shards, _ = _shards(paths)
    return np.lexsort((stamps[:, 2], shards))


def sorted_for_reading(root: Place, paths: list[str]) -> list[str]:
    """A few paths of a catalog in the order in which they are best read."""
    return sorted(paths, key=lambda path: (shard_of(path), stamp_of(root / path)[2] if shard_of(path) else 0))


def for_reading(root: Place, pictures: Pictures) -> Pictures:
    """A catalog's pictures in the order in which they are best read; unchanged if none is in a shard."""
    if not in_shards(pictures.paths):
        return pictures
    stamps = np.array([stamp_of(root / path) for path in pictures.paths])
    return pictures.take(reading_order(pictures.paths, stamps))


def blocks(paths: Texts, stamps: NDArray[np.int64], whole: bool = False) -> Blocks:
    """The blocks of pictures that lie together. `whole`: a shard is one block, because it is fetched as one."""
    count = len(paths)
    order = reading_order(paths, stamps)
    shards, parquet = _shards(paths) if in_shards(paths) else (np.zeros(count, np.int64), np.zeros(count, np.bool_))
    shard, grouped = shards[order], parquet[order]
    new = np.ones(count, np.bool_)
    new[1:] = shard[1:] != shard[:-1]
    begin = np.maximum.accumulate(np.where(new, np.arange(count), 0))
    within = np.where(grouped, stamps[order, 2] // GROUP, (np.arange(count) - begin) // BLOCK)
    if not whole:
        new[1:] |= within[1:] != within[:-1]
    place, block = np.empty(count, np.int64), np.empty(count, np.int64)
    place[order], block[order] = np.arange(count), np.cumsum(new) - 1
    share = np.where(parquet, np.maximum(1 / BUFFER, stamps[:, 0] / (HELD / 4)), 1 / BUFFER)
    return Blocks(place, block, share)


def shuffled(rows: NDArray[np.int64], where: Blocks, generator: np.random.Generator) -> NDArray[np.int64]:
    """Each of `rows` once: the blocks in random order, then the pictures of each buffer."""
    rows = rows[np.argsort(where.place[rows], kind="stable")]
    _, block = np.unique(where.block[rows], return_inverse=True)
    turn = generator.permutation(int(block.max(initial=-1)) + 1)
    rows = rows[np.argsort(turn[block], kind="stable")]
    share = where.share[rows]
    buffer = np.floor(np.cumsum(share) - share + 1e-9)
    return rows[np.lexsort((generator.random(len(rows)), buffer))]


def _shards(paths: Texts) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A number for the shard of each picture, (N,), and whether it is a Parquet file, (N,)."""
    numbers: dict[str, int] = {}
    shards = np.fromiter((numbers.setdefault(shard_of(path), len(numbers)) for path in paths), np.int64, len(paths))
    kinds = np.array([has_ending(name, (PARQUET,)) for name in numbers] or [False])
    return shards, kinds[shards] if len(shards) else np.zeros(0, np.bool_)
