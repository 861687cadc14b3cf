"""The images of a set that does not fit into the cache: each is decoded again from its file whenever it is needed.

Threads decode ahead along the rows that are announced. At most 256 MB of decoded images wait, beside one picture in
full size for each core, and one file for each thread. Files at addresses are read by more threads than decode.
"""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import BoundedSemaphore, Event, Lock

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import PictureError, StorageError
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.places import below, is_address
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.reading import read_with_stamp
from pellucid.pictures.remote import IN_FLIGHT
from pellucid.runtime.threads import cores

AHEAD = 256 << 20  # bytes of decoded images that may wait
_WORKERS = 16
_MOST = 4096  # images that may wait, if they are small


class Streamed:
    """uint8 (N, height, width, channels), one row for each picture of the catalog. Many threads may read at once."""

    def __init__(
        self,
        catalog: Catalog,
        form: Form,
        digests: NDArray[np.uint8],
        stamps: NDArray[np.int64],
        pixel_limit: int,
        ranges: Ranges,
    ) -> None:
        """digests: uint8 (N, 32), SHA-256 of each file: a file that has changed since is an error. stamps: (N, 3)."""
        self._catalog, self._form, self._digests, self._stamps = catalog, form, digests, stamps
        self._pixel_limit, self._ranges = pixel_limit, ranges
        self._room = max(1, min(_MOST, AHEAD // int(np.prod(form.shape))))
        self._waiting: OrderedDict[int, Future[NDArray[np.uint8]]] = OrderedDict()
        self._coming: list[int] = []
        self._begun = self._taken = 0  # how many of them are submitted, and how many were handed out
        self._lock = Lock()
        decoders = min(_WORKERS, cores())
        self._decoding, self._stopping = BoundedSemaphore(decoders), Event()
        self._pool = ThreadPoolExecutor(IN_FLIGHT if catalog.is_remote else decoders, "stream")
        self.close = weakref.finalize(self, _close, self._pool, self._stopping)

    def __len__(self) -> int:
        return len(self._digests)

    def coming(self, rows: NDArray[np.int64]) -> None:
        """Announce the rows that will be needed next, in this order, instead of those announced before."""
        with self._lock:
            self._coming, self._begun, self._taken = rows.tolist(), 0, 0
            wanted = set(islice(self._coming, self._room))
            for row in [row for row in self._waiting if row not in wanted]:
                self._waiting.pop(row).cancel()
            self._fill()

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of `rows`, (n,) -> (n, height, width, channels).

        Raises IndexError for a row outside 0..N-1, and StorageError that names the file if one is gone or has changed.
        """
        images = np.empty((len(rows), *self._form.shape), np.uint8)
        if not len(rows):
            return images
        first, last = int(np.min(rows)), int(np.max(rows))
        if not 0 <= first <= last < len(self):
            raise IndexError(f"rows {first} to {last} of {len(self)} pictures")
        with self._lock:
            futures = [self._waiting.pop(row, None) for row in rows.tolist()]
            futures = [
                self._pool.submit(self._image, row) if future is None else future
                for row, future in zip(rows.tolist(), futures, strict=True)
            ]
            if self._coming[self._taken : self._taken + len(rows)] == rows.tolist():
                self._taken += len(rows)
                self._begun = max(self._begun, self._taken)
            self._fill()
        for image, future in zip(images, futures, strict=True):
            image[...] = future.result()
        return images

    def _fill(self) -> None:
        while len(self._waiting) < self._room and self._begun < len(self._coming):
            row = self._coming[self._begun]
            if row not in self._waiting:
                self._waiting[row] = self._pool.submit(self._image, row)
            self._begun += 1

    def _image(self, row: int) -> NDArray[np.uint8]:
        place = below(self._catalog.root, self._catalog.pictures.paths[row])
        size, version, last = self._stamps[row].tolist()
        try:
            data, _ = read_with_stamp(place, (size, version, last), self._stopping)
            if hashlib.sha256(data).digest() != self._digests[row].tobytes():
                raise PictureError("has changed since the training began")
            with self._decoding:
                return self._form.apply(decode(data, self._pixel_limit, self._ranges))
        except PictureError as error:
            back = "Look at the address, and continue" if is_address(place) else "Put it back and continue"
            raise StorageError(
                f"{place} is needed again, and it cannot be used any more: {error.reason}. {back}."
            ) from error


def _close(pool: ThreadPoolExecutor, stopping: Event) -> None:
    stopping.set()
    pool.shutdown(wait=False, cancel_futures=True)
