"""The random state of the process: of PyTorch on every device, of NumPy and of Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def state() -> Any:
    """What the next draws depend on."""
    import torch

    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), devices, np.random.get_state(), random.getstate()


def restore(before: Any) -> None:
    """Draw from here on what followed `state()`."""
    import torch

    processor, devices, numpy, python = before
    torch.set_rng_state(processor)
    if devices:
        torch.cuda.set_rng_state_all(devices)
    np.random.set_state(numpy)
    random.setstate(python)


@contextmanager
def preserved() -> Iterator[None]:
    """Whatever is drawn within it, afterwards the state is as before."""
    before = state()
    try:
        yield
    finally:
        restore(before)
