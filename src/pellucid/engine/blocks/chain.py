"""A network with fused blocks, for training and validation in place of the modules, whose parameters it reads.

Each block is computed where its pictures are: on the CPU (cpu.py) or on a GPU (gpu.py). The rest of the network runs
unchanged, and so does a block without kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pellucid.engine.blocks import cpu, gpu
from pellucid.engine.blocks.block import DTYPES, Block, steps
from pellucid.network.standardise import Standardise, to_unit

if TYPE_CHECKING:
    from pellucid.network.standardise import Stored

Forward = Callable[[Tensor], Tensor]
Watch = Callable[[Block, Tensor, Tensor], None]
"""Sees a fused block with its input (N, C, H, W), standardised, and its output (N, F, PH, PW)."""


def forward(module: nn.Module, threads: int, watch: Watch | None = None) -> Forward:
    """The same function of the same parameters as `module`, with its blocks fused if there are any."""
    parts = steps(module)
    if not any(isinstance(part, Block) for part in parts):
        return module
    return _chained([_as_call(part, threads, watch) for part in parts])


def of_stored(
    module: nn.Module, standardise: Standardise, threads: int, watch: Watch | None = None
) -> Callable[[Stored], Tensor]:
    """As `forward`, for stored pictures, uint8 (n, H, W, C), not yet standardised."""
    first, *others = steps(module)
    plain = _as_call(first, threads, watch)
    rest = _chained([_as_call(part, threads, watch) for part in others])
    table = standardise.table()

    def begin(pixels: Stored) -> Tensor:
        if isinstance(pixels, Tensor):
            maps = held_block(first, pixels, standardise) if isinstance(first, Block) else None
            return plain(standardise(to_unit(pixels, str(pixels.device)))) if maps is None else maps
        maps = stored_block(first, pixels, table, threads) if isinstance(first, Block) else None
        if maps is None:
            return plain(cpu.standardised(pixels, standardise, threads))
        if watch is not None and isinstance(first, Block):
            watch(first, cpu.standardised(pixels, standardise, threads), maps)
        return maps

    return lambda pixels: rest(begin(pixels))


def run_block(block: Block, threads: int, images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, F, PH, PW), float32, or bfloat16 under autocast."""
    dtype = _computed(images.dtype, images.device.type)
    if images.dtype not in DTYPES or not _fits(block, images, dtype):
        return block.plain(images)
    if gpu.takes(images.device):
        return gpu.run(block, images, dtype)
    return cpu.run(block, images, cpu.way(block, images, dtype), threads)


def stored_block(block: Block, pixels: NDArray[np.uint8], table: NDArray[np.float32], threads: int) -> Tensor | None:
    """As `run_block`, for pictures (N, H, W, C), with `table` (C, 256) for their bytes; None without a kernel."""
    images = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(0, 3, 1, 2)
    dtype = _computed(torch.float32)
    if not (_fits(block, images, dtype) and cpu.is_direct(block, images, dtype)):
        return None
    return cpu.run(block, images, cpu.direct(block, dtype, table), threads)


def held_block(block: Block, pixels: Tensor, standardise: Standardise) -> Tensor | None:
    """As `run_block`, for pictures (N, H, W, C) on a GPU; None if it cannot read bytes."""
    images = pixels.permute(0, 3, 1, 2)
    dtype = _computed(torch.float32, images.device.type)
    if not (_fits(block, images, dtype) and gpu.takes(images.device) and gpu.is_direct(block, images)):
        return None
    return gpu.run(block, images, dtype, standardise)


def _as_call(part: Block | nn.Module, threads: int, watch: Watch | None = None) -> Forward:
    if not isinstance(part, Block):
        return part
    run = partial(run_block, part, threads)
    return run if watch is None else partial(_watched, part, run, watch)


def _watched(block: Block, run: Forward, watch: Watch, images: Tensor) -> Tensor:
    maps = run(images)
    watch(block, images, maps)
    return maps


def _chained(calls: list[Forward]) -> Forward:
    def run(images: Tensor) -> Tensor:
        for call in calls:
            images = call(images)
        return images

    return run


def _computed(stored: torch.dtype, device: str = "cpu") -> torch.dtype:
    """The dtype that numbers of this dtype are computed in."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else stored


def _fits(block: Block, images: Tensor, dtype: torch.dtype) -> bool:
    weight = block.conv.weight
    there = images.device == weight.device and images.ndim == 4
    there = there and (images.device.type == "cpu" or gpu.fits(block, images))
    numbers = dtype in DTYPES and weight.dtype == torch.float32
    return numbers and there and images.shape[1] == block.conv.in_channels and min(block.pooled_shape(images)) > 0
