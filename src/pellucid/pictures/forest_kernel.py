"""The loops of forest.py, compiled by Numba, without Python's lock."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.pictures.hashes import ALIKE, NEAREST, NUMBERS, ONE
from pellucid.runtime.compiled import compiled

WIDE = 32  # keys side by side
SHARE = np.float32(1) / ONE
NOTHING = np.float32(0)


@compiled
def project(hashes: Any, rows: Any, directions: Any, projections: Any) -> None:
    """The sums of products of `rows` of hashes, int16 (N, 64), with directions (64, levels) -> projections."""
    for i in range(len(rows)):
        projections[i] = 0
        for k in range(NUMBERS):
            number = np.float32(hashes[rows[i], k])
            for level in range(directions.shape[1]):
                projections[i, level] += number * directions[k, level]


@compiled
def descend(keys: Any, directions: Any, medians: Any, leaf: Any) -> None:
    """The leaf of each key, by the same sums: (N, 64), (64, levels), (2**levels - 1,) -> (N,)."""
    levels = directions.shape[1]
    sums = np.empty(levels, np.float32)
    for i in range(len(keys)):
        sums[:] = 0
        for k in range(NUMBERS):
            number = np.float32(keys[i, k])
            for level in range(levels):
                sums[level] += number * directions[k, level]
        node = 0
        for level in range(levels):
            node = 2 * node + (sums[level] > medians[(1 << level) - 1 + node])
        leaf[i] = node


@compiled
def compare(
    hashes: Any,
    keys: Any,
    signs: Any,
    row: Any,
    row_bounds: Any,
    column: Any,
    column_bounds: Any,
    begin: int,
    end: int,
    once: bool,
    nearest: Any,
    likeness: Any,
) -> None:
    """Compare the hashes and keys of each leaf from `begin` to `end`; put what is ALIKE into the rows' lists.

    row, column: (N,) rows of `hashes` and `keys` by leaf, ascending in each; bounds: (leaves + 1,). nearest, likeness:
    (N, NEAREST), each row's best columns so far, best first.
    """
    block = np.zeros((NUMBERS, WIDE), np.float32)
    four = np.zeros((4, NUMBERS), np.float32)
    sums = np.empty((4, WIDE), np.float32)
    for leaf in range(begin, end):
        top, bottom = row_bounds[leaf], row_bounds[leaf + 1]
        for left in range(column_bounds[leaf], column_bounds[leaf + 1], WIDE):
            wide = min(WIDE, column_bounds[leaf + 1] - left)
            for x in range(wide):
                for k in range(NUMBERS):
                    block[k, x] = np.float32(keys[column[left + x], k]) * (signs[k] * SHARE)
            for at in range(top, bottom, 4):
                if once and row[at] >= column[left + wide - 1]:
                    break
                high = min(4, bottom - at)
                for y in range(high):
                    for k in range(NUMBERS):
                        four[y, k] = np.float32(hashes[row[at + y], k]) * SHARE
                _multiply(four, block, sums)
                for y in range(high):
                    most = NOTHING
                    for x in range(WIDE):
                        most = max(most, sums[y, x])
                    if most <= ALIKE:
                        continue
                    i = row[at + y]
                    for x in range(wide):
                        j = column[left + x]
                        if sums[y, x] > ALIKE and (i < j if once else i != j):
                            _insert(nearest[i], likeness[i], j, sums[y, x])


@compiled
def _multiply(four: Any, block: Any, sums: Any) -> None:
    """(4, NUMBERS) times (NUMBERS, WIDE) -> (4, WIDE)."""
    sums[:] = 0
    for k in range(NUMBERS):
        for x in range(WIDE):
            sums[0, x] += four[0, k] * block[k, x]
            sums[1, x] += four[1, k] * block[k, x]
            sums[2, x] += four[2, k] * block[k, x]
            sums[3, x] += four[3, k] * block[k, x]


@compiled
def _insert(nearest: Any, likeness: Any, j: int, alike: float) -> None:
    """Put j into a list of NEAREST, the most alike first and of equals the smallest, unless it is there already."""
    last = NEAREST - 1
    if alike < likeness[last] or (alike == likeness[last] and j > nearest[last]):
        return
    at = 0
    while likeness[at] > alike or (likeness[at] == alike and nearest[at] < j):
        at += 1
    if likeness[at] == alike and nearest[at] == j:
        return
    for k in range(last, at, -1):
        nearest[k], likeness[k] = nearest[k - 1], likeness[k - 1]
    nearest[at], likeness[at] = j, alike
