"""The random state of the process: of PyTorch on every device, of NumPy and of Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def state() -> Any:
    """The state that the next random draws depend on."""
    import torch

    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), devices, np.random.get_state(), random.getstate()


def restore(before: Any) -> None:
    """Restore a state: the next draws are those that followed `state()`."""
    import torch

    processor, devices, numpy, python = before
    torch.set_rng_state(processor)
    if devices:
        torch.cuda.set_rng_state_all(devices)
    np.random.set_state(numpy)
    random.setstate(python)


@contextmanager
def preserved() -> Iterator[None]:
    """Restore the random state at the end of the context."""
    before = state()
    try:
        yield
    finally:
        restore(before)
