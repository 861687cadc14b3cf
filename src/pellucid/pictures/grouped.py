"""Groups of pictures as columns: millions of them without an object each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.strings import BLOCK


@dataclass(frozen=True, eq=False)
class Grouped:
    """G groups of N pictures.

    * rows: int64 (N,), the pictures of the first group, ascending, then those of the next
    * starts: int64 (G,), where each group begins in `rows`
    * sizes: int64 (G,)
    * of: int64 (N,), the group of each picture, from 0
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    of: NDArray[np.int64]

    @classmethod
    def by(cls, numbers: NDArray[np.integer]) -> Grouped:
        """Pictures with equal `numbers`, (N,), are one group."""
        rows = np.argsort(numbers, kind="stable")
        begins = np.ones(len(rows), np.bool_)
        begins[1:] = numbers[rows[1:]] != numbers[rows[:-1]]
        starts = np.flatnonzero(begins)
        of = np.empty(len(rows), np.int64)
        of[rows] = np.cumsum(begins) - 1
        return cls(rows, starts, np.diff(starts, append=len(rows)), of)

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The first picture of each group, (G,)."""
        return self.rows[self.starts]

    def largest(self, values: NDArray[np.integer]) -> NDArray[np.integer]:
        """The largest of the values (N,) in each group, (G,)."""
        return np.maximum.reduceat(values[self.rows], self.starts) if len(self.starts) else values[:0]

    def drawn(self, some: NDArray[np.int64], digests: Sequence[bytes | str], seed: int) -> NDArray[np.uint64]:
        """The place of `some` groups in the order that the seed draws, (n, 2): see `split.drawn`.

        Of the 32 bytes these are the first 16, as two numbers; only copies have the same.
        """
        keys, begin = bytearray(), f"{seed}:".encode()
        for at in range(0, len(some), BLOCK):
            starts = self.starts[some[at : at + BLOCK]]
            ends = starts + self.sizes[some[at : at + BLOCK]]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                least = min(digests[row] for row in self.rows[start:end].tolist())  # type: ignore[type-var]
                keys += sha256(begin + (least.encode() if isinstance(least, str) else least)).digest()[:16]
        return np.frombuffer(keys, ">u8").reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Held:
    """Which classes each group has: P pairs of a group and a class, by group, then class, and how many pictures."""

    groups: NDArray[np.int64]  # (P,)
    labels: NDArray[np.int64]  # (P,)
    counts: NDArray[np.int64]  # (P,)

    @classmethod
    def by(cls, of: NDArray[np.int64], labels: NDArray[np.integer]) -> Held:
        """From the group and the class of pictures, (n,)."""
        classes = int(labels.max(initial=0)) + 1
        pairs, counts = np.unique(of * classes + labels, return_counts=True)
        return cls(pairs // classes, pairs % classes, counts)

    def commonest(self) -> NDArray[np.int64]:
        """The class of most pictures of each group, (G,); of several the smallest. Every group has a picture."""
        order = np.lexsort((self.labels, -self.counts, self.groups))
        return self.labels[order[np.flatnonzero(np.diff(self.groups[order], prepend=-1))]]

    def of(self, group: int) -> NDArray[np.int64]:
        """The classes of one group."""
        start, end = np.searchsorted(self.groups, (group, group + 1))
        return self.labels[start:end]
