"""Backends compute a network's outputs. A backend divides a stream of pictures into stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GROUP = 16  # pictures that go through a module at once on one core; more are not faster and take memory

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Prepared images uint8 (n, H, W, C) -> the network's raw outputs, float32 (n, classes)."""


@dataclass(frozen=True)
class Stage:
    """A part of a stream of pictures, and the functions that compute it.

    * count: how many pictures, or None for all that remain
    * size: how many go through the network at once
    * load: returns a function that computes a group on one thread; several threads call it at once
    * load_for_one: returns a function that computes a single group on the caller's thread

    Both loaders may take a while, because they import and compile.
    """

    count: int | None
    size: int
    load: Callable[[], Logits]
    load_for_one: Callable[[], Logits]


class Backend(Protocol):
    """A network with its weights, as in with_onnxruntime.py and with_torch.py."""

    def logits(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """The raw outputs, float32 (n, classes), for n >= 1 prepared images uint8 (n, H, W, C)."""
        ...

    def stages(self, expected: int, batch: int, /) -> Iterator[Stage]:
        """The stages of a stream, in order; the last one takes all that remains.

        `expected`: how many pictures are known to come, 0 if unknown. `batch`: the most that go through the network at
        once.
        """
        ...
