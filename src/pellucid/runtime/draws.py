"""PyTorch's random numbers. It has one generator that every thread draws from; a page trains on several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE = threading.RLock()


@contextmanager
def drawing(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed the generator for the block. Other threads that enter such a block wait: the draws follow from the seed.

    `device`: another than the CPU has a generator of its own, which is seeded too.
    """
    import torch

    with _ONE:
        # seeding all devices makes PyTorch look for them each time
        (torch.default_generator.manual_seed if device == "cpu" else torch.manual_seed)(seed)
        yield
