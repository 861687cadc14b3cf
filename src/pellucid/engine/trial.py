"""Whether a network's blocks run fused (fused.py): both ways raced here, on a few pictures of the real size.

On one thread, and by the time that the thread was given: what other programs do meanwhile does not count, and the same
machine chooses the same way again. Both ways share pictures out among threads.
"""

from __future__ import annotations

import copy
import math
import time
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pellucid.engine import fused
from pellucid.engine.device import Engine
from pellucid.engine.fused import Forward

SECONDS = 0.2  # of the race, beside a first round that pays for compiling and for memory
TRIAL_BYTES = 64 << 20  # of convolutions' outputs, for both ways: too much for a cache, as in a step
SMALLEST_BYTES = 16 << 20  # of convolutions' outputs in a step; with less, what could be won is not worth a trial
CLEAR = 1.1  # a win by less may be chance, and the next run of the same recipe would choose otherwise


class Place(NamedTuple):
    """A block and what it is given."""

    channels: int
    height: int
    width: int
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    bias: bool
    pool: int
    first: bool  # no gradient of its input is needed
    bytes: int  # of the convolution's output for one picture


def choose(engine: Engine, module: nn.Module, shape: tuple[int, ...], batch: int) -> tuple[bool, str | None]:
    """Whether to fuse the blocks of `module` for batches of pictures (C, H, W), and a sentence that says why.

    None to say where there is nothing to fuse. No weight, no gradient and no random number changes.
    """
    if engine.device != "cpu":
        return False, None
    places = tuple(_places(module, shape))
    each = sum(place.bytes for place in places)
    if each * batch < SMALLEST_BYTES:
        return False, None
    pictures = max(1, min(batch, TRIAL_BYTES // each))
    if engine.threads > fused.SHARES:
        return False, f"blocks not fused: their gradients are shared among {fused.SHARES} threads at most"
    times = _race(places, pictures, engine.precision == "bfloat16")
    if times > CLEAR:
        return True, f"fused blocks: {times:.1f} times as fast as PyTorch's own here"
    return False, f"blocks not fused: only {times:.1f} times as fast as PyTorch's own here"


def _places(module: nn.Module, shape: tuple[int, ...]) -> list[Place]:
    """The blocks of a network, with what each is given, found by one black picture."""
    found: list[Place] = []
    images = torch.zeros(1, *shape)
    with torch.no_grad():
        for step in fused.steps(copy.deepcopy(module).eval(), threads=1):
            if isinstance(step, fused.Block):
                found.append(_place(step, images, first=not found))
            images = step.plain(images) if isinstance(step, fused.Block) else step(images)
    return found


def _place(block: fused.Block, images: Tensor, first: bool) -> Place:
    conv, (_, channels, height, width) = block.conv, images.shape
    return Place(
        channels,
        height,
        width,
        conv.out_channels,
        fused.pair(conv.kernel_size),
        fused.pair(conv.stride),
        fused.pair(conv.padding),
        conv.bias is not None,
        block.size,
        first,
        4 * math.prod(block.maps_shape(images)),
    )


@lru_cache
def _race(places: tuple[Place, ...], pictures: int, bfloat16: bool) -> float:
    """How many times as fast the blocks are when fused, forward and backward. Measured once a process."""
    runners: list[tuple[Forward, Forward, Tensor]] = []
    with torch.random.fork_rng(devices=[]):
        for place in places:
            conv = nn.Conv2d(place.channels, place.filters, place.kernel, place.stride, place.padding, bias=place.bias)
            block = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(place.pool))
            block.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            images = torch.randn(pictures, place.channels, place.height, place.width)
            images = images.contiguous(memory_format=torch.channels_last).requires_grad_(not place.first)
            runners.append((fused.forward(block, threads=1), block, images))
    rounds: list[tuple[float, float]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while len(rounds) < 3 or sum(map(sum, rounds[1:])) < SECONDS:
            fast = sum(_seconds(runner, images, bfloat16) for runner, _, images in runners)
            plain = sum(_seconds(block, images, bfloat16) for _, block, images in runners)
            rounds.append((fast, plain))
    finally:
        torch.set_num_threads(threads)
    return min(plain for _, plain in rounds[1:]) / min(fast for fast, _ in rounds[1:])


def _seconds(block: Forward, images: Tensor, bfloat16: bool) -> float:
    """Of one pass there and back."""
    start = time.thread_time()
    with torch.enable_grad():
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            pooled = block(images)
        ones = torch.ones_like(pooled)
        (pooled * ones).sum().backward()  # given a gradient instead, PyTorch imports SymPy: half a second
    return time.thread_time() - start
