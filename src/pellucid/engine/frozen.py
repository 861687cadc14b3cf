"""A network with frozen weights, in its fastest form: batch norm folded into the convolution before it.

On a CPU each convolution also includes the ReLU after it and the addition of a residual (oneDNN's post-operations), and
its filters are reordered for the library once. Each core computes its own few pictures: no layer waits for a slower
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pellucid.engine.device import Engine
from pellucid.network.branches import Branches
from pellucid.network.same import SameConv2d
from pellucid.network.standardise import to_unit
from pellucid.network.window import same_zeros
from pellucid.runtime.threads import work_alone

if TYPE_CHECKING:
    from pellucid.network.standardise import Standardise, Stored

PART, PART_ELSEWHERE = 8, 64  # pictures that go through the network at once: on a core, and on another device

Operation = Callable[[Tensor], Tensor]


def of_stored(engine: Engine, module: nn.Sequential, standardise: Standardise) -> Callable[[Stored], Tensor]:
    """The output of `module` in evaluation mode for stored pictures, uint8 (n, H, W, C) -> float32 (n, ...) on the CPU.

    It uses the module's current weights; later changes do not count. Its numbers equal the module's own up to rounding,
    in `engine`'s precision. A picture's numbers depend neither on the other pictures nor on the threads.
    """
    run = _folded_run(engine, module)

    def forward(pixels: Stored) -> Tensor:
        with torch.inference_mode(), engine.autocast():
            return run(standardise(to_unit(pixels, engine.device))).float().cpu()

    if engine.device == "cpu":
        return _shared(forward, PART, ThreadPoolExecutor(engine.threads, "frozen", initializer=work_alone).map)
    return _shared(forward, PART_ELSEWHERE, map)


def of_input(engine: Engine, module: nn.Sequential) -> Callable[[Tensor], Tensor]:
    """As `of_stored`, for standardised pictures, float32 (n, C, H, W) -> float32 (n, ...), on the CPU."""
    run = _folded_run(engine, module)

    def forward(images: Tensor) -> Tensor:
        with torch.inference_mode(), engine.autocast():
            return run(images.contiguous(memory_format=torch.channels_last)).float()

    workers = ThreadPoolExecutor(engine.threads, "frozen", initializer=work_alone)
    return lambda images: torch.cat(list(workers.map(forward, images.split(PART))))


def faster(module: nn.Module, device: str) -> Callable[[Tensor], Tensor] | None:
    """`of_input` for a row of layers on the CPU, on PyTorch's current threads; None for any other module."""
    if device != "cpu" or not isinstance(module, nn.Sequential):
        return None
    return of_input(Engine("cpu", "float32", torch.get_num_threads(), ()), module)


def _folded_run(engine: Engine, module: nn.Sequential) -> Operation:
    folded = _folded(deepcopy(module).eval())
    one_pass = engine.device == "cpu" and _has_post_operations()
    kind = torch.bfloat16 if engine.precision == "bfloat16" else torch.float32
    return _steps(folded, kind) if one_pass else engine.place(folded)


def _shared(
    forward: Callable[[Stored], Tensor], size: int, share_out: Callable[..., Iterable[Tensor]]
) -> Callable[[Stored], Tensor]:
    """Call `forward` on `size` pictures at a time; the last group is padded, to be computed by the same kernels."""

    def part(pixels: Stored) -> Tensor:
        assert isinstance(pixels, np.ndarray)
        return forward(np.resize(pixels, (size, *pixels.shape[1:])))[: len(pixels)]

    def shared(pixels: Stored) -> Tensor:
        return torch.cat(list(share_out(part, [pixels[at : at + size] for at in range(0, len(pixels), size)])))

    return shared


def _has_post_operations() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def _folded(row: nn.Sequential) -> nn.Sequential:
    """Fold each batch norm after a convolution into it, w' = w g / sqrt(v + eps), b' = (b - m) g / sqrt(v + eps) + c.

    (Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    eq. 14.)
    """
    parts: list[nn.Module] = []
    for part in row:
        before = parts[-1] if parts else None
        if isinstance(part, _BatchNorm) and isinstance(before, nn.Conv2d) and part.running_var is not None:
            _fold(before, part)
        elif isinstance(part, Branches):
            parts.append(Branches(_row(part.body), _row(part.shortcut)))
        else:
            parts.append(part)
    return nn.Sequential(*parts)


def _row(branch: nn.Module) -> nn.Module:
    return _folded(branch) if isinstance(branch, nn.Sequential) else branch


def _fold(conv: nn.Conv2d, norm: _BatchNorm) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var.double() + norm.eps)
        if norm.affine:
            scale = scale * norm.weight
        bias = -norm.running_mean.double() if conv.bias is None else conv.bias - norm.running_mean.double()
        bias = bias * scale + (norm.bias if norm.affine else 0)
        conv.weight = nn.Parameter((conv.weight * scale.view(-1, 1, 1, 1)).to(conv.weight.dtype), False)
        conv.bias = nn.Parameter(bias.to(conv.weight.dtype), False)


def _steps(row: nn.Sequential, kind: torch.dtype) -> Operation:
    """The row as calls, each convolution with the operations that follow it."""
    steps: list[Operation] = []
    parts = list(row)
    while parts:
        part = parts.pop(0)
        if isinstance(part, Branches):
            steps.append(_branches(part, kind))
        elif _fits(part):
            after = parts.pop(0) if parts and isinstance(parts[0], nn.ReLU | nn.ReLU6) else None
            steps.append(_Convolution(part, kind, after))
        else:
            steps.append(part)
    return _chain(steps)


def _chain(steps: list[Operation]) -> Operation:
    def run(images: Tensor) -> Tensor:
        for step in steps:
            images = step(images)
        return images

    return run


def _branches(part: Branches, kind: torch.dtype) -> Operation:
    """Body and shortcut; if the body ends in a convolution, that includes the addition."""
    shortcut: Operation = _steps(part.shortcut, kind) if isinstance(part.shortcut, nn.Sequential) else part.shortcut
    body = part.body
    if not (isinstance(body, nn.Sequential) and len(body) and _fits(body[-1])):
        whole: Operation = _steps(body, kind) if isinstance(body, nn.Sequential) else body
        return lambda images: whole(images) + shortcut(images)
    before, last = _steps(nn.Sequential(*list(body)[:-1]), kind), _Convolution(body[-1], kind, None)
    return lambda images: last.added(before(images), shortcut(images))


def _fits(part: nn.Module) -> bool:
    return type(part) in (nn.Conv2d, SameConv2d) and part.padding_mode == "zeros" and not isinstance(part.padding, str)


class _Convolution:
    """A convolution with its post-operations: float (n, C, H, W) of `kind` or another -> of `kind`."""

    def __init__(self, conv: Any, kind: torch.dtype, after: nn.Module | None) -> None:
        self.kind, self.same = kind, conv if isinstance(conv, SameConv2d) else None
        self.settings = list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups
        weight = conv.weight.detach().to(kind)
        self.weight = torch._C._nn.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), *self.settings, None)  # type: ignore[attr-defined]
        self.bias = None if conv.bias is None else conv.bias.detach().to(kind)
        self.after: tuple[str, list[float]] = ("none", [])
        if isinstance(after, nn.ReLU6):
            self.after = "hardtanh", [0.0, 6.0]
        elif after is not None:
            self.after = "relu", []

    def __call__(self, images: Tensor) -> Tensor:
        name, numbers = self.after
        return torch.ops.mkldnn._convolution_pointwise(
            self._padded(images), self.weight, self.bias, *self.settings, name, numbers, ""
        )

    def added(self, images: Tensor, other: Tensor) -> Tensor:
        """The convolution's output plus `other`, of the output's shape."""
        other = other.to(self.kind).contiguous(memory_format=torch.channels_last)
        return torch.ops.mkldnn._convolution_pointwise.binary(
            self._padded(images), other, self.weight, self.bias, *self.settings, "add", 1.0, None, [], None
        )

    def _padded(self, images: Tensor) -> Tensor:
        images = images.to(self.kind)
        if self.same is None:
            return images
        size, stride, dilation = self.same.kernel_size, self.same.stride, self.same.dilation
        down, across = (
            same_zeros(images.shape[2 + axis], dilation[axis] * (size[axis] - 1) + 1, stride[axis]) for axis in (0, 1)
        )
        return nn.functional.pad(images, (*across, *down))
