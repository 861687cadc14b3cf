"""Rows of a file of bytes, copied by position: the touched pages of a map would count as the process's memory."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import StorageError


class RowFile:
    """uint8 (N, ...) in a file, which stays readable even after another takes its name. `mapped`: all of it, read-only.

    Many threads may read at once.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self.mapped: NDArray[np.uint8] = np.memmap(path, np.uint8, "r", shape=shape) if shape[0] else _none(shape)
        self._length = int(np.prod(shape[1:]))  # of a row, in bytes
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.close = weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of `rows`, (n,) -> (n, ...).

        Raises IndexError for a row outside 0..N-1 and StorageError if the file cannot be read.
        """
        if not len(rows):
            return _none(self.shape)
        first, last = int(np.min(rows)), int(np.max(rows))
        if not 0 <= first <= last < len(self):
            raise IndexError(f"rows {first} to {last} of {self.path}, which has 0 to {len(self) - 1}")
        copied = np.empty((len(rows), *self.shape[1:]), np.uint8)
        if not hasattr(os, "preadv"):  # Windows
            return np.take(self.mapped, rows, axis=0, out=copied)
        if np.array_equal(rows, np.arange(first, first + len(rows))):
            self._read(copied, first)
        else:
            for row, into in zip(rows, copied, strict=True):
                self._read(into, int(row))
        return copied

    def _read(self, into: NDArray[np.uint8], row: int) -> None:
        rest, at = into.data.cast("B"), row * self._length
        while rest:  # a read may return fewer bytes than requested
            got = os.preadv(self._file, [rest], at)
            if not got:
                raise StorageError(f"{self.path} is too short: run again to rebuild it.")
            rest, at = rest[got:], at + got


def _none(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty((0, *shape[1:]), np.uint8)
