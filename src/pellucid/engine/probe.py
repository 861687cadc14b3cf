"""Estimate a training on this machine: time a few real steps of a network and measure the memory."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pellucid.engine.device import Engine, Precision, for_steps, with_blocks
from pellucid.engine.uncompiled import uncompiled
from pellucid.errors import NetworkError
from pellucid.network.layer import Shape
from pellucid.network.network import Network


@dataclass(frozen=True)
class Probe:
    """Figures measured on this machine. Rates are in images a second.

    `training_bytes`: the peak memory of the process, or on a GPU that of PyTorch's tensors; 0 on Windows without a GPU.
    """

    device: str
    precision: str
    threads: int
    batch: int
    training_images_per_second: float
    predicting_images_per_second: float
    training_bytes: int

    def seconds(self, pictures: int, epochs: int) -> float:
        """The seconds that a training would take, without validation."""
        return pictures * epochs / self.training_images_per_second

    def as_json(self, pictures: int, epochs: int) -> dict[str, Any]:
        return {**asdict(self), "pictures": pictures, "epochs": epochs, "seconds": self.seconds(pictures, epochs)}


def measure(
    network: Network,
    shape: Shape,
    classes: int,
    batch: int,
    engine: Engine,
    seconds: float = 3.0,
    requested: Precision = "auto",
) -> Probe:
    """Time forward + backward + Adam, and forward alone, on random numbers of `shape` (C, H, W).

    Training steps run for about `seconds`, predictions for a third of that, each after one uncounted call. The steps
    have the precision that a training with `requested` would have (device.for_steps). Raises NetworkError if there is
    not enough memory.
    """
    import torch
    import torch.nn.functional as F

    module = engine.place(network.module(shape, classes))
    engine = for_steps(engine, module, requested)
    optimizer = uncompiled(torch.optim.Adam)(module.parameters())

    def train() -> None:
        with engine.autocast():
            logits = forward(images)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    def predict() -> None:
        with torch.inference_mode():
            module(images)

    try:
        faster = for_steps(with_blocks(engine, module, shape, batch), module, engine.precision)
        forward = faster.forward(module)
        images = torch.rand((batch, *shape), device=engine.device).contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(batch, dtype=torch.int64, device=engine.device)
        training = batch / _seconds_a_call(train, seconds, engine)
        module.eval()
        predicting = batch / _seconds_a_call(predict, seconds / 3, engine)
    except (MemoryError, RuntimeError) as error:
        # PyTorch has its own error for a full GPU; for full main memory there is only the allocator's message
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not re.search(
            "(allocate|enough) memory", str(error)
        ):
            raise
        raise NetworkError(f"A batch of {batch} does not fit into memory. Try --batch {max(1, batch // 4)}.") from error
    return Probe(engine.device, engine.precision, engine.threads, batch, training, predicting, _peak_bytes(engine))


def _seconds_a_call(call: Callable[[], None], seconds: float, engine: Engine) -> float:
    import torch

    def wait() -> None:
        if engine.device.startswith("cuda"):
            torch.cuda.synchronize(engine.device)

    call()
    wait()
    count, start = 0, time.perf_counter()
    while True:
        call()
        wait()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds and count >= 2:
            return elapsed / count


def _peak_bytes(engine: Engine) -> int:
    import torch

    if engine.device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(engine.device)
    if sys.platform == "win32":
        return 0  # the system does not report it

    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
