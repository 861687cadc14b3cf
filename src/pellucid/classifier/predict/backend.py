"""What computes a network's outputs, and how a stream of pictures is divided among the ways to do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GROUP = 16  # pictures that go through the network at once on a core: more is no faster, and takes memory

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Prepared images uint8 (n, H, W, C) -> the network's raw outputs, float32 (n, classes)."""


@dataclass(frozen=True)
class Stage:
    """A part of a stream of pictures, and what computes it.

    `count`: how many pictures, None for all that are left. `size`: how many go through the network at once. `load`
    returns what computes a group on a thread of its own, on several threads at once; `load_for_one` what computes a
    single group on the caller's thread. Both may take a while: they import and compile what they need.
    """

    count: int | None
    size: int
    load: Callable[[], Logits]
    load_for_one: Callable[[], Logits]


class Backend(Protocol):
    """A network with its weights. There are two: with_numpy.py and with_torch.py."""

    def logits(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """The raw outputs, float32 (n, classes), for n >= 1 prepared images uint8 (n, H, W, C)."""
        ...

    def stages(self, expected: int, batch: int, /) -> Iterator[Stage]:
        """The stages of a stream, one after the other, the last of which takes all that is left.

        `expected`: how many pictures are known to come, 0 where nobody knows. `batch`: at most so many at once.
        """
        ...
