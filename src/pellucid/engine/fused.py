"""Convolution, ReLU and max pooling as one step: the convolution's own output is never kept. Here on the CPU.

One pass leaves the pooled map and a byte for each winner. No more is kept for the way back, since at most one output
in four has a gradient. There are two ways: by oneDNN's convolution, a few pictures at a time so that its output stays
in the cache (fused_onednn.py), and in registers, for pictures of few channels (fused_direct.py). Used for training and
validation in place of the same three modules, whose parameters it reads; whatever else a network has runs as it is.
On a GPU the same blocks are computed by other kernels (fused_gpu.py).

The pictures are shared out in fixed parts, and what the parts say of a weight is added in their order: the number of
threads changes no bit of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pellucid.engine import fused_gpu
from pellucid.engine.fused_direct import Direct, applies
from pellucid.engine.fused_onednn import OneDNN, Winners, input_gradient
from pellucid.network.standardise import Standardise, to_unit
from pellucid.runtime.threads import share_out_with_torch

if TYPE_CHECKING:
    from pellucid.network.standardise import Stored

PART_BYTES = 4 << 20  # of the convolution's output, in float32: what the caches hold between them
SHARES = 16  # sums of gradients, each over every sixteenth part
LARGEST_POOL = 4

_DTYPES = (torch.float32, torch.bfloat16)

Forward = Callable[[Tensor], Tensor]


def forward(module: nn.Module, threads: int) -> Forward:
    """The same function of the same parameters as `module`, its blocks fused where there are any."""
    blocks = steps(module, threads)
    if not any(isinstance(step, Block) for step in blocks):
        return module

    def run(images: Tensor) -> Tensor:
        for step in blocks:
            images = step(images)
        return images

    return run


def of_stored(module: nn.Module, standardise: Standardise, threads: int) -> Callable[[Stored], Tensor]:
    """The same for pictures as they are stored, uint8 (n, H, W, C), yet to be standardised."""
    first, *rest = steps(module, threads)
    table = standardise.table()

    def begin(pixels: Stored) -> Tensor:
        if isinstance(pixels, Tensor):
            maps = first.of_held(pixels, standardise) if isinstance(first, Block) else None
            return first(standardise(to_unit(pixels, str(pixels.device)))) if maps is None else maps
        maps = first.of_stored(pixels, table) if isinstance(first, Block) else None
        return first(standardised(pixels, standardise, threads)) if maps is None else maps

    def run(pixels: Stored) -> Tensor:
        maps = begin(pixels)
        for step in rest:
            maps = step(maps)
        return maps

    return run


def steps(module: nn.Module, threads: int) -> list[Forward]:
    """The parts of a sequence in order, conv + relu + maxpool as a Block; `module` itself where it is none."""
    if type(module) is not nn.Sequential or _is_watched(module):
        return [module]
    parts: list[nn.Module] = list(module)
    found: list[Forward] = []
    while parts:
        block = _block(parts, threads)
        found.append(block or parts[0])
        del parts[: 3 if block else 1]
    return found


def _block(parts: list[nn.Module], threads: int) -> Block | None:
    """The first three as one, if they are the right three and nobody watches them."""
    if [type(part) for part in parts[:3]] != [nn.Conv2d, nn.ReLU, nn.MaxPool2d] or any(map(_is_watched, parts[:3])):
        return None
    conv, relu, pool = parts[:3]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(relu, nn.ReLU)
    assert isinstance(pool, nn.MaxPool2d)
    size = pair(pool.kernel_size)
    plain_conv = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    side_by_side = pair(pool.stride) == size and pair(pool.padding) == (0, 0) and pair(pool.dilation) == (1, 1)
    square = size[0] == size[1] <= LARGEST_POOL and not (pool.ceil_mode or pool.return_indices)
    if not (plain_conv and side_by_side and square and isinstance(conv.padding, tuple)):
        return None
    return Block(conv, relu, pool, size[0], threads, flat=len(parts) > 3 and type(parts[3]) is nn.Flatten)


def _computed(given: torch.dtype, device: str = "cpu") -> torch.dtype:
    """What numbers of this type are computed in."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else given


def _is_watched(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in hooks)


def pair(value: Any) -> tuple[int, int]:
    """A module's setting along height and width, however it was given."""
    return (value, value) if isinstance(value, int) else tuple(value)


@dataclass(frozen=True)
class Block:
    """conv, relu and pool as one step: (N, C, H, W) -> (N, F, PH, PW), float32, or bfloat16 under autocast."""

    conv: nn.Conv2d
    relu: nn.ReLU
    pool: nn.MaxPool2d
    size: int  # of the pool's windows
    threads: int
    flat: bool  # the next step reads the pooled maps as a row: channel by channel in memory

    def __call__(self, images: Tensor) -> Tensor:
        dtype = _computed(images.dtype, images.device.type)
        if images.dtype not in _DTYPES or not self._fits(images, dtype):
            return self.plain(images)
        if fused_gpu.takes(images.device):
            return fused_gpu.run(self, images, dtype)
        return self._run(images, self.way(images, dtype))

    def of_stored(self, pixels: NDArray[np.uint8], table: NDArray[np.float32]) -> Tensor | None:
        """The same of pictures (N, H, W, C), `table` (C, 256) with what each byte stands for; None without a kernel."""
        images = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(0, 3, 1, 2)
        dtype = _computed(torch.float32)
        if not (self._fits(images, dtype) and self._direct(images, dtype)):
            return None
        return self._run(images, Direct(self.conv, dtype, self.memory, table))

    def of_held(self, pixels: Tensor, standardise: Standardise) -> Tensor | None:
        """The same of pictures (N, H, W, C) on a GPU; None where it reads no bytes."""
        images = pixels.permute(0, 3, 1, 2)
        dtype = _computed(torch.float32, images.device.type)
        if not (self._fits(images, dtype) and fused_gpu.takes(images.device) and fused_gpu.is_direct(self, images)):
            return None
        return fused_gpu.run(self, images, dtype, standardise)

    def way(self, images: Tensor, dtype: torch.dtype) -> Way:
        """In registers where that can be done, else by oneDNN."""
        if self._direct(images, dtype):
            return Direct(self.conv, dtype, self.memory)
        return OneDNN(self.conv, self.size, dtype)

    def _run(self, images: Tensor, way: Way) -> Tensor:
        keep = torch.is_grad_enabled()
        return _Fused.apply(images, self.conv.weight, self.conv.bias, self, way, keep)  # type: ignore[no-any-return]

    def _fits(self, images: Tensor, dtype: torch.dtype) -> bool:
        weight = self.conv.weight
        there = images.device == weight.device and images.ndim == 4
        there = there and (images.device.type == "cpu" or fused_gpu.fits(self, images))
        numbers = dtype in _DTYPES and weight.dtype == torch.float32
        return numbers and there and images.shape[1] == self.conv.in_channels and min(self.pooled_shape(images)) > 0

    def _direct(self, images: Tensor, dtype: torch.dtype) -> bool:
        return applies(self.conv, self.size, self.pooled_shape(images)[3], images, dtype)

    @property
    def memory(self) -> torch.memory_format:
        """The order of the pooled maps: that in which the next step reads them."""
        return torch.contiguous_format if self.flat else torch.channels_last

    def plain(self, images: Tensor) -> Tensor:
        """The same by the modules themselves."""
        return self.pool(self.relu(self.conv(images)))

    def maps_shape(self, images: Tensor) -> tuple[int, int, int, int]:
        """Of the convolution's output: (N, F, H, W), with numbers below 1 where nothing fits."""
        conv, padding = self.conv, pair(self.conv.padding)
        high, wide = (
            (images.shape[axis + 2] + 2 * padding[axis] - conv.kernel_size[axis]) // conv.stride[axis] + 1
            for axis in (0, 1)
        )
        return len(images), conv.out_channels, high, wide

    def pooled_shape(self, images: Tensor) -> tuple[int, int, int, int]:
        """(N, F, PH, PW), with numbers below 1 where nothing fits."""
        count, filters, high, wide = self.maps_shape(images)
        return count, filters, high // self.size, wide // self.size


class Way(Protocol):
    """How a block is computed, for parts of the pictures: (n, C, H, W) -> (n, F, PH, PW).

    `dtype`: of the pooled maps. `sums` are those of one share, of what `sums` makes for all of them.
    """

    @property
    def dtype(self) -> torch.dtype: ...
    def pool(self, images: Tensor, weight: Tensor, bias: Tensor | None, pooled: Tensor, winners: Winners) -> None: ...
    def sums(self, shares: int, pooled_width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    def add(self, images: Tensor, grad: Tensor, winners: Winners, weights: Any, biases: Any) -> None: ...
    def gradients(self, weights: Any, biases: Any) -> tuple[Tensor, Tensor]: ...


class _Fused(torch.autograd.Function):
    """Images float32, bfloat16, or uint8 where the way reads it; weight, bias and their gradients float32."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, block: Block, way: Way, keep: bool
    ) -> Tensor:
        shape = block.pooled_shape(images)
        pooled = torch.empty(shape, dtype=way.dtype, memory_format=block.memory)
        winners = np.empty(shape if keep else (0, *shape[1:]), np.uint8)
        given, filters, offset = images.detach(), weight.detach(), None if bias is None else bias.detach()

        def reduce(part: slice) -> None:
            here = pooled[part]
            chosen = winners[part] if keep else np.empty(here.shape, np.uint8)
            way.pool(given[part], filters, offset, here, chosen)

        share_out_with_torch(reduce, _parts(block.maps_shape(images)), block.threads)
        ctx.save_for_backward(images)
        ctx.block, ctx.way, ctx.winners = block, way, winners
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (images,) = ctx.saved_tensors
        block, way, winners = ctx.block, ctx.way, ctx.winners
        given, gradient = images.detach(), grad.detach()
        images_grad = torch.empty_like(images) if ctx.needs_input_grad[0] else None
        parts = _parts(block.maps_shape(images))
        shares = [parts[start::SHARES] for start in range(min(SHARES, len(parts)))]
        weights, biases = way.sums(len(shares), grad.shape[3])

        def visit(share: int) -> None:
            for part in shares[share]:
                here, there, chosen = given[part], gradient[part], winners[part]
                way.add(here, there, chosen, weights[share], biases[share])
                if images_grad is not None:
                    sizes = block.maps_shape(here)[2:]
                    images_grad[part] = input_gradient(block.conv, block.size, sizes, here, there, chosen)

        share_out_with_torch(visit, range(len(shares)), block.threads)
        weight_grad, bias_grad = way.gradients(weights, biases)
        needs_bias = ctx.needs_input_grad[2]
        in_order = weight_grad.contiguous(memory_format=torch.channels_last)
        return images_grad, in_order, bias_grad if needs_bias else None, None, None, None


def _parts(maps: tuple[int, int, int, int]) -> list[slice]:
    """Some pictures at a time of a convolution's output: as many as the cache holds, and work for each share."""
    count, filters, high, wide = maps
    each = max(1, min(PART_BYTES // (4 * filters * high * wide), -(-count // SHARES)))
    return [slice(start, min(start + each, count)) for start in range(0, count, each)]


def standardised(pixels: NDArray[np.uint8], standardise: Standardise, threads: int) -> Tensor:
    """As `standardise(to_unit(pixels))`, bit for bit, in one pass: uint8 (n, H, W, C) -> float32 (n, C, H, W)."""
    from pellucid.engine import kernels_cpu

    images = torch.empty(pixels.shape, dtype=torch.float32)
    count, _, wide, _ = pixels.shape
    mean, deviation = (np.tile(np.array(v, np.float32), wide) for v in (standardise.mean, standardise.deviation))

    def convert(part: slice) -> None:
        rows = np.ascontiguousarray(pixels[part]).reshape(-1, len(mean))
        kernels_cpu.standardise(rows, mean, deviation, images[part].view(-1, len(mean)).numpy())

    share_out_with_torch(convert, [slice(n, n + 1) for n in range(count)], threads)
    return images.permute(0, 3, 1, 2)
