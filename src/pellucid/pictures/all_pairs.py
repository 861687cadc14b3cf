"""Compare every hash with every other: exact, and the time grows with the square of their number.

The products are made of small tiles. `forest.py` finds nearly the same pairs among many pictures in less time.
"""

from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.hashes import ALIKE, NEAREST, NUMBERS, ONE, Hashes
from pellucid.pictures.verify_twins import Floats

TILE = 64  # hashes: BLAS multiplies such small matrices in the calling thread, so no core waits for a busy one
DOWN, ACROSS = 4, 16  # tiles at a time, 1 MiB of correlations: these and the hashes fit a core's own cache

Matches = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]  # rows, columns and their likeness


def near(
    hashes: Hashes, keys: Hashes, signs: NDArray[np.float32], once: bool, executor: Executor
) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """(row of hashes, row of keys), (P, 2), that correlate by ALIKE, each part with the share that is done by then.

    Each row of hashes has its NEAREST, the best first. `signs`, (NUMBERS,), multiply the keys. Never i with itself;
    `once`: i < j only.
    """
    rows, columns = _tiles(hashes, np.ones(NUMBERS, np.float32)), _tiles(keys, signs)
    columns = np.ascontiguousarray(columns.transpose(0, 2, 1))
    tops = range(0, len(rows), DOWN)
    parts = executor.map(lambda top: _nearest(rows, columns, top, once), tops)
    for done, alike in enumerate(parts, 1):
        yield done / len(tops), alike


def _tiles(hashes: Hashes, signs: NDArray[np.float32]) -> Floats:
    """(N, NUMBERS) -> float32 (tiles, TILE, NUMBERS), the last one padded with zeros."""
    tiles = np.zeros((-(-len(hashes) // TILE), TILE, NUMBERS), np.float32)
    tiles.reshape(-1, NUMBERS)[: len(hashes)] = hashes
    tiles *= signs / ONE
    return tiles


def _nearest(rows: Floats, columns: Floats, top: int, once: bool) -> NDArray[np.int64]:
    """`near` for DOWN tiles of `rows` from `top`: each row's NEAREST, the best first."""
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
