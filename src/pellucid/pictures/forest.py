"""Find similar hashes among very many without comparing every pair.

Each tree halves the hashes again and again: by the median of their projections on one direction a level, until a leaf
has at most LEAF (random projection trees, Dasgupta and Freund 2008). Similar hashes are mostly on the same side, and
only hashes in one leaf are compared. A pair that one tree separates is probably together in another: there are as many
trees as it takes. `docs/why/twins.md` has the measurements behind the numbers here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.hashes import ALIKE, NEAREST, NUMBERS, Hashes

LEAF = 128  # most hashes in a leaf
# The probability that two hashes with a correlation of ALIKE are on one side of a random direction's middle: 0.872.
SAME_SIDE = 1 - math.acos(float(ALIKE)) / math.pi  # Goemans and Williamson 1995, lemma 3.2
LOST = 0.005  # the share of such pairs that no tree brings together
SEED = 20120625
BLOCK = 16384  # hashes at a time
LEAVES = 128  # leaves at a time


@dataclass(frozen=True)
class Tree:
    """directions: float32 (NUMBERS, levels); medians: (2**levels - 1,), of a node's halves, level by level.

    leaf: (N,) the leaf of each hash; 2**levels, which is none, for a hash of zeros.
    """

    directions: NDArray[np.float32]
    medians: NDArray[np.float32]
    leaf: NDArray[np.unsignedinteger[Any]]

    def of(self, rows: NDArray[np.int64]) -> Tree:
        """The tree for only these of its hashes."""
        return replace(self, leaf=self.leaf[rows])


def trees_for(count: int) -> tuple[int, int]:
    """How many levels and how many trees `count` hashes need."""
    levels = max(0, math.ceil(math.log2(max(1, count) / LEAF)))
    missed = 1 - SAME_SIDE**levels
    return levels, max(1, math.ceil(math.log(LOST) / math.log(missed))) if missed else 1


def plant(hashes: Hashes, executor: Executor) -> Iterator[tuple[float, Tree]]:
    """The trees of these hashes, each with the share that is done by then.

    They depend neither on the order of the hashes nor on threads.
    """
    textured = np.flatnonzero(hashes.any(axis=1)).astype(np.int32)
    levels, count = trees_for(len(textured))
    trees = executor.map(lambda number: _tree(hashes, textured, levels, number), range(count))
    for done, tree in enumerate(trees, 1):
        yield done / count, tree


def near(
    trees: list[Tree],
    hashes: Hashes,
    keys: Hashes,
    signs: NDArray[np.float32],
    once: bool,
    executor: Executor,
) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """As `all_pairs.near`, for the hashes of these trees.

    The pairs come in the last part. Each of N hashes is compared with at most LEAF keys a tree on average.
    """
    from pellucid.pictures.forest_kernel import compare  # Numba takes time to import, and few pictures do without

    best = np.zeros((len(hashes), NEAREST), np.int32), np.zeros((len(hashes), NEAREST), np.float32)
    for number, tree in enumerate(trees):
        leaf = tree.leaf
        count = len(tree.medians) + 1
        row, row_bounds = _sorted(leaf, count)
        column, column_bounds = row, row_bounds
        if keys is not hashes or (signs != 1).any():
            column, column_bounds = _sorted(_leaves(tree, keys, signs, leaf.dtype, executor), count)
        parts = (row, row_bounds, column, column_bounds)
        tops = range(0, count, LEAVES)

        def work(top: int, parts: tuple = parts, end: int = count) -> None:
            compare(hashes, keys, signs, *parts, top, min(top + LEAVES, end), once, *best)

        for done, _ in enumerate(executor.map(work, tops), 1):
            yield (number + done / len(tops)) / len(trees), np.zeros((0, 2), np.int64)
    position, rank = np.nonzero(best[1])
    yield 1.0, np.stack([position, best[0][position, rank].astype(np.int64)], axis=1)


def _tree(hashes: Hashes, rows: NDArray[np.int32], levels: int, number: int) -> Tree:
    from pellucid.pictures.forest_kernel import project

    directions = np.random.default_rng([SEED, number]).standard_normal((NUMBERS, levels)).astype(np.float32)
    projections = np.empty((len(rows), levels), np.float32)
    for at in range(0, len(rows), BLOCK):
        project(hashes, rows[at : at + BLOCK], directions, projections[at : at + BLOCK])
    medians: list[float] = []
    order, bounds = np.arange(len(rows), dtype=np.int32), [0, len(rows)]
    for level in range(levels):
        halves = [0]
        for begin, end in pairwise(bounds):
            part = order[begin:end]
            values, middle = projections[part, level], (end - begin - 1) // 2
            chosen = np.argpartition(values, middle)
            medians.append(float(values[chosen[middle]]))
            order[begin:end] = part[chosen]
            halves += [begin + middle + 1, end]
        bounds = halves
    leaf = np.full(len(hashes), 1 << levels, np.uint16 if levels < 16 else np.uint32)
    leaf[rows[order]] = np.repeat(np.arange(1 << levels), np.diff(bounds))
    return Tree(directions, np.array(medians, np.float32), leaf)


def _leaves(
    tree: Tree, keys: Hashes, signs: NDArray[np.float32], kind: np.dtype, executor: Executor
) -> NDArray[np.unsignedinteger[Any]]:
    """The leaf of each key, (N,)."""
    from pellucid.pictures.forest_kernel import descend

    leaf = np.empty(len(keys), kind)
    directions = tree.directions * signs[:, None]

    def work(at: int) -> None:
        descend(keys[at : at + BLOCK], directions, tree.medians, leaf[at : at + BLOCK])

    for _ in executor.map(work, range(0, len(keys), BLOCK)):
        pass
    return leaf


def _sorted(leaf: NDArray[np.integer], count: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Rows by leaf, (N,), and where each of `count` leaves begins and the last one ends, (count + 1,)."""
    order = np.argsort(leaf, kind="stable").astype(np.int32)
    sizes = np.bincount(leaf, minlength=count)[:count]
    return order, np.concatenate([[0], np.cumsum(sizes)])
