"""Where a training's batches come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pellucid.network.standardise import Stored


class Images(Protocol):
    """A source of batches: the store, a GPU that holds it (resident.py), or any other source of rows."""

    def batch(self, rows: NDArray[np.int64]) -> Stored:
        """Rows (n,) -> uint8 (n, H, W, C): an array, or a tensor on the engine's device."""
        ...


@runtime_checkable
class Ahead(Protocol):
    """A source of batches that reads ahead."""

    def coming(self, rows: NDArray[np.int64]) -> None:
        """Announce the rows that will be needed next, in this order."""
        ...


def announce(images: Images, rows: NDArray[np.int64]) -> None:
    """Tell the source which rows come next, if it reads ahead."""
    if isinstance(images, Ahead):
        images.coming(rows)
