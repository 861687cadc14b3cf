"""A finished store, open for reading."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import twins
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.decode import PIXEL_LIMIT, Form
from pellucid.pictures.index import Digests, fingerprint
from pellucid.pictures.order import Blocks, blocks
from pellucid.pictures.places import is_address
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.rows import RowFile
from pellucid.pictures.streamed import Streamed


class Store:
    """A finished store, open for reading; its files stay readable even if another process replaces them.

    * catalog: the usable pictures, in the order of the rows below, and the complete quarantine
    * form: size and fit of `images`
    * digests: SHA-256 of each picture's file, hexadecimal
    * sizes: int32 (N, 2), height and width of each picture, upright, before it was brought to the form
    * ranges: which values are black and white in files with more than 8 bits a sample, measured over the folder
    * fingerprint: SHA-256 over the sorted (path, digest, class) of all usable pictures
    * made_by: everything except the file that determines its pixels, as JSON
    * descriptions: rows of uint8 (N, DESCRIPTION)
    * streams: whether the pictures are decoded again at each use, because they do not fit into the cache
    """

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        form: Form,
        digests: Digests,
        sizes: NDArray[np.int32],
        ranges: Ranges,
        made_by: dict[str, Any] | None = None,
        stamps: NDArray[np.int64] | None = None,
    ) -> None:
        self.folder = folder
        self.catalog = catalog
        self.form = form
        self.digests = digests
        self.sizes = sizes
        self.ranges = ranges
        self.made_by = made_by or {}
        self.fingerprint = fingerprint(catalog, digests)
        self.descriptions = RowFile(folder / "descriptions.raw", (len(digests), twins.DESCRIPTION))
        self._stamps = np.full((len(digests), 3), -1, np.int64) if stamps is None else stamps
        self.streams = not (folder / "images.raw").exists()
        self._images: RowFile | Streamed
        if self.streams:
            limit = self.made_by.get("pixel_limit", PIXEL_LIMIT)
            self._images = Streamed(catalog, form, digests.bytes, self._stamps, limit, ranges)
        else:
            self._images = RowFile(folder / "images.raw", (len(digests), *form.shape))

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def images(self) -> NDArray[np.uint8]:
        """(N, height, width, channels), read-only, mapped: touched pages count as the process's memory."""
        assert isinstance(self._images, RowFile), "the pictures are streamed, and none is stored"
        return self._images.mapped

    @cached_property
    def blocks(self) -> Blocks:
        """Which pictures lie together, for an order of training that reads them so."""
        return blocks(self.catalog.pictures.paths, self._stamps, whole=is_address(self.catalog.root))

    def coming(self, rows: NDArray[np.int64]) -> None:
        """Announce the rows that will be needed next, in order: a set that is streamed decodes them ahead."""
        if isinstance(self._images, Streamed):
            self._images.coming(rows)

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy the images of `rows`, (n,) -> (n, height, width, channels).

        Raises IndexError for a row outside 0..N-1 and StorageError if the file cannot be read; of a set that is
        streamed also if a picture is gone or has changed.
        """
        return self._images[rows]

    def close(self) -> None:
        self.descriptions.close()
        self._images.close()
