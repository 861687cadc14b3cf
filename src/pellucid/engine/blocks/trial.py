"""Decide whether a network's blocks run fused (chain.py): race both ways on a few pictures of the real size.

On a CPU the race takes one thread and measures its own time: other programs do not count, and the same machine makes
the same choice again. Both ways divide pictures among threads. On a GPU the clock counts, and fusing needs the same
numbers from both ways: we cannot test the compiler there.
"""

from __future__ import annotations

import copy
import math
import time
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pellucid.engine.blocks import chain, cpu, gpu
from pellucid.engine.blocks.block import Block, pair, steps
from pellucid.engine.blocks.chain import Forward
from pellucid.network.standardise import Standardise, to_unit

SECONDS = 0.2  # of the race, besides a first round for compiling and memory
# of convolution outputs, for both ways: with less, much of it stays in a cache, unlike in a step
TRIAL_BYTES = 32 << 20
TRIAL_BYTES_ON_GPU = 512 << 20  # likewise: an H100's cache has 50 MB
SMALLEST_BYTES = 16 << 20  # of convolution outputs in a step; with less, the gain is not worth a trial
ALIKE = 0.05  # allowed distance of a GPU's maps and gradients from PyTorch's, of their norm: both round to bfloat16
CLEAR = 1.05  # a smaller win may be chance, and the next run of the same recipe might choose otherwise


class Place(NamedTuple):
    """A block and its input."""

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


def choose(
    module: nn.Module, shape: tuple[int, ...], batch: int, device_name: str, threads: int, bfloat16: bool
) -> tuple[bool, str | None]:
    """See blocks.choose."""
    device = torch.device(device_name)
    if device.type not in ("cpu", "cuda"):
        return False, None
    places = tuple(described(module, shape))
    each = sum(place.bytes for place in places)
    if each * batch < SMALLEST_BYTES:
        return False, None
    if device.type == "cpu" and threads > cpu.SHARES:
        return False, f"blocks not fused: they use at most {cpu.SHARES} threads"
    if device.type == "cuda" and not gpu.has_triton():
        return False, "blocks not fused: Triton is not installed"
    most = TRIAL_BYTES if device.type == "cpu" else TRIAL_BYTES_ON_GPU
    try:
        times = _race(places, max(1, min(batch, most // each)), bfloat16, device)
    except Exception as error:  # from a GPU's driver, compiler or memory, none of which matters without blocks
        if device.type == "cpu":
            raise
        line = (str(error).splitlines() or [""])[0]
        return False, f"blocks not fused: they failed on this GPU ({type(error).__name__}: {line})"
    if math.isnan(times):
        return False, "blocks not fused: their numbers differ from PyTorch's on this machine"
    if times > CLEAR:
        return True, f"fused blocks: {times:.1f} times as fast as PyTorch's modules here"
    return False, f"blocks not fused: only {times:.1f} times as fast as PyTorch's modules here"


def described(module: nn.Module, shape: tuple[int, ...]) -> list[Place]:
    """The blocks of a network, with the input of each, traced with one black picture."""
    places: list[Place] = []
    images = torch.zeros(1, *shape)
    with torch.no_grad():
        for step in steps(copy.deepcopy(module).cpu().eval()):
            if isinstance(step, Block):
                places.append(_place(step, images, first=not places))
            images = step.plain(images) if isinstance(step, Block) else step(images)
    return places


def _place(block: Block, images: Tensor, first: bool) -> Place:
    conv, (_, channels, height, width) = block.conv, images.shape
    return Place(
        channels,
        height,
        width,
        conv.out_channels,
        pair(conv.kernel_size),
        pair(conv.stride),
        pair(conv.padding),
        conv.bias is not None,
        block.size,
        first,
        4 * math.prod(block.maps_shape(images)),
    )


@lru_cache
def _race(places: tuple[Place, ...], pictures: int, bfloat16: bool, device: torch.device) -> float:
    """How many times as fast the blocks are when fused, forward and backward. Measured once per process.

    NaN if the fused numbers differ on a GPU.
    """
    runners: list[tuple[Forward, Forward, Tensor]] = []
    with torch.random.fork_rng(devices=[]):
        for place in places:
            conv = nn.Conv2d(place.channels, place.filters, place.kernel, place.stride, place.padding, bias=place.bias)
            block = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(place.pool))
            block.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            images = torch.randn(pictures, place.channels, place.height, place.width).to(device)
            images = images.contiguous(memory_format=torch.channels_last).requires_grad_(not place.first)
            runners.append((chain.forward(block, threads=1), block, images))
            if gpu.takes(device) and not _agree(block, images, bfloat16):
                return math.nan
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
    """Seconds of one forward and backward pass."""
    on_gpu = images.device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.thread_time
    start = clock()
    _there_and_back(block, images, bfloat16)
    if on_gpu:
        torch.cuda.synchronize(images.device)
    return clock() - start


def _there_and_back(block: Forward, images: Tensor, bfloat16: bool) -> Tensor:
    """The pooled maps; every gradient is that of their sum."""
    with torch.enable_grad():
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
            pooled = block(images)
        ones = torch.ones_like(pooled)
        (pooled * ones).sum().backward()  # passing a gradient instead makes PyTorch import SymPy: half a second
    return pooled.detach()


def _agree(block: nn.Module, images: Tensor, bfloat16: bool) -> bool:
    """Whether both ways give the same maps and gradients up to rounding, for these images and for stored ones."""
    ways: list[tuple[Forward, Forward, Tensor]] = [(chain.forward(block, threads=1), block, images)]
    if not images.requires_grad:
        depth = images.shape[1]
        scale = Standardise((0.5,) * depth, (0.25,) * depth)
        stored = (images.permute(0, 2, 3, 1) * 64 + 128).clamp(0, 255).to(torch.uint8)
        device = str(images.device)
        ways.append((chain.of_stored(block, scale, 1), lambda pixels: block(scale(to_unit(pixels, device))), stored))
    return all(_alike(fast, plain, [sample, *block.parameters()], sample, bfloat16) for fast, plain, sample in ways)


def _alike(fast: Forward, plain: Forward, leaves: list[Tensor], sample: Tensor, bfloat16: bool) -> bool:
    """Whether the maps of `sample`, and the gradients of `leaves`, are about the same in both ways."""
    results: list[list[Tensor]] = []
    for way in (fast, plain):
        for leaf in leaves:
            leaf.grad = None
        pooled = _there_and_back(way, sample, bfloat16)
        results.append([pooled, *(leaf.grad for leaf in leaves if leaf.grad is not None)])
    pairs = [(one.float(), other.float()) for one, other in zip(*results, strict=True)]
    return all(bool((one - other).norm() <= ALIKE * other.norm()) for one, other in pairs)
