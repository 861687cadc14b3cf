"""The backend computes a network's outputs; stages divide a stream of pictures among the ways to do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GROUP = 16  # pictures that go through a module at once on one core: more is not faster, and takes memory

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Prepared images uint8 (n, H, W, C) -> the network's raw outputs, float32 (n, classes)."""


@dataclass(frozen=True)
class Stage:
    """A part of a stream of pictures, and what computes it.

    `count`: how many pictures, None for all that remain. `size`: how many go through the network at once. `load`
    returns a function that computes a group on one thread, called by several threads at once. `load_for_one` returns
    one that computes a single group on the caller's thread. Both may take a while: they import and compile what they
    need.
    """

    count: int | None
    size: int
    load: Callable[[], Logits]
    load_for_one: Callable[[], Logits]


class Backend(Protocol):
    """A network with its weights. There are two: with_onnxruntime.py and with_torch.py."""

    def logits(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """The raw outputs, float32 (n, classes), for n >= 1 prepared images uint8 (n, H, W, C)."""
        ...

    def stages(self, expected: int, batch: int, /) -> Iterator[Stage]:
        """The stages of a stream, in order; the last one takes all that remains.

        `expected`: how many pictures are known to come, 0 if unknown. `batch`: the most that go through the network at
        once.
        """
        ...
