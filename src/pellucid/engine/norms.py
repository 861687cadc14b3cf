"""Batch norm in training on a CPU, with the ReLU behind it: the same function, but for rounding, in fewer passes.

PyTorch goes over the maps at least six times, there and back; these kernels (norms_cpu.py) do it four times. They run
on PyTorch's own threads, so there are none where those are not GNU's, as on macOS and Windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pellucid.engine import norms_cpu
from pellucid.engine.norms_cpu import NONE, RELU, RELU6
from pellucid.network.branches import Branches, Gated
from pellucid.runtime import team
from pellucid.runtime.vectors import LANES

SMALLEST = 1 << 19  # numbers of a map: with fewer, PyTorch takes no longer than our calls
JOB_BYTES = 256 << 10  # of the maps: what a core's own cache holds
DTYPES = (torch.float32, torch.bfloat16)


class Norms:
    """What to call instead of PyTorch's functions while `module` runs forward once."""

    def __init__(self, module: nn.Module, threads: int) -> None:
        self.relus = dict(_followed(module))
        self.threads = threads
        self.rectified: Tensor | None = None  # the last output that a ReLU has no more to do with

    @property
    def ways(self) -> dict[Any, Callable[..., Tensor | None]]:
        return {functional.batch_norm: self.norm, functional.relu: self.relu, functional.hardtanh: self.relu}

    def norm(
        self,
        images: Tensor,
        mean: Any,
        variance: Any,
        weight: Any = None,
        bias: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor | None:
        """torch.nn.functional.batch_norm, rectified where a ReLU comes next; None where PyTorch has to compute it."""
        self.rectified = None
        if not (_takes(images, weight, bias) and all(each is None or _is_plain(each) for each in (mean, variance))):
            return None
        kind, settings = self.relus.get(id(weight), NONE), (training, momentum, eps)
        output: Tensor = _Norm.apply(images, weight, bias, mean, variance, settings, kind, self.threads)
        self.rectified = output if kind != NONE else None
        return output

    def relu(self, images: Tensor, *_: Any, **__: Any) -> Tensor | None:
        """The images themselves if they are rectified already; None where PyTorch has to do it."""
        return images if images is self.rectified else None


def _takes(images: Tensor, weight: Any, bias: Any) -> bool:
    numbers = images.dtype in DTYPES and images.numel() >= SMALLEST
    there = images.ndim == 4 and images.device.type == "cpu"
    if not (numbers and there and isinstance(weight, Tensor) and isinstance(bias, Tensor)):
        return False
    places = images.numel() // images.shape[1]
    return _is_plain(weight) and _is_plain(bias) and places % _together(images.shape[1]) == 0


def _is_plain(numbers: Tensor) -> bool:
    return numbers.dtype == torch.float32 and numbers.is_contiguous()


def _together(channels: int) -> int:
    """How many places fill whole vectors."""
    return LANES // int(np.gcd(channels, LANES))


def _followed(module: nn.Module) -> Iterator[tuple[int, int]]:
    """Which ReLU has each batch norm's output for itself, by the id of the norm's weight: RELU or RELU6.

    Only where all that holds layers is a sequence or joins sequences, and nobody watches: there nothing else gets it.
    """
    places = [module, *(part for each in module.modules() for part in each._modules.values() if part is not None)]
    if any(type(part) not in (nn.Sequential, Branches, Gated) and _holds_layers(part) for part in places):
        return
    often = Counter(id(part.weight) for part in places if type(part) is nn.BatchNorm2d)
    kinds = {nn.ReLU: RELU, nn.ReLU6: RELU6}
    for row in (part for part in places if type(part) is nn.Sequential):
        for norm, relu in pairwise(row):
            alone = type(norm) is nn.BatchNorm2d and often[id(norm.weight)] == 1
            if alone and type(relu) in kinds and not (_is_watched(norm) or _is_watched(relu)):
                yield id(norm.weight), kinds[type(relu)]


def _holds_layers(part: nn.Module) -> bool:
    """Whether it could run batch norms in an order of its own."""
    return bool(part._modules) and any(isinstance(each, nn.BatchNorm2d | nn.Sequential) for each in part.modules())


def _is_watched(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in hooks)


class _Norm(torch.autograd.Function):
    """(n, C, H, W) -> the same shape, float32 or bfloat16. Weight and bias are float32, and so are their gradients.

    `settings`: whether the batch's own mean and variance count, the momentum of the running ones, and eps.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, mean: Any, variance: Any, settings: Any, kind: int,
        threads: int,
    ) -> Tensor:  # fmt: skip
        images = images.contiguous(memory_format=torch.channels_last)
        plan = _plan(images.shape, images.element_size(), kind)
        output, room = torch.empty_like(images), torch.empty(plan.room)
        numbers = plan.numbers.copy()
        numbers[norms_cpu.FIRST_SUMS : norms_cpu.WEIGHTS] += room.data_ptr()
        by_batch, momentum, eps = settings
        running = (0, 0) if mean is None else (mean.data_ptr(), variance.data_ptr())
        told = weight.data_ptr(), bias.data_ptr(), *running, by_batch or mean is None
        numbers[norms_cpu.WEIGHTS : norms_cpu.MOMENTUM] = told
        numbers.view(np.float64)[norms_cpu.MOMENTUM : norms_cpu.WEIGHT_GRADS] = momentum, eps
        numbers[norms_cpu.MAPS], numbers[norms_cpu.RESULTS] = images.data_ptr(), output.data_ptr()
        if numbers[norms_cpu.BY_BATCH]:
            team.run(plan.kernels.moments, numbers, threads)
        team.call(plan.kernels.fit, numbers)
        team.run(plan.kernels.normalise, numbers, threads)
        ctx.save_for_backward(images)
        ctx.plan, ctx.numbers, ctx.room, ctx.threads = plan, numbers, room, threads
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (images,) = ctx.saved_tensors
        kernels, numbers = ctx.plan.kernels, ctx.numbers
        grad = grad.contiguous(memory_format=torch.channels_last)
        images_grad, of_parameters = torch.empty_like(images), torch.empty(2, images.shape[1])
        told = images.data_ptr(), grad.data_ptr(), images_grad.data_ptr()
        numbers[norms_cpu.MAPS : norms_cpu.FIRST_SUMS] = told
        weight_grad, bias_grad = of_parameters
        numbers[norms_cpu.WEIGHT_GRADS :] = weight_grad.data_ptr(), bias_grad.data_ptr()
        team.run(kernels.sums_back, numbers, ctx.threads)
        team.call(kernels.fit_back, numbers)
        team.run(kernels.back, numbers, ctx.threads)
        return images_grad, weight_grad, bias_grad, None, None, None, None, None


class _Plan(NamedTuple):
    """How the maps of a batch norm are divided among jobs, for all steps."""

    kernels: norms_cpu.Kernels
    room: int
    """float32 numbers in memory for the sums of all jobs and for what is found from them."""
    numbers: NDArray[np.int64]
    """What the kernels are told; addresses in that memory count from its beginning, in bytes."""


@lru_cache(256)
def _plan(shape: tuple[int, ...], number_bytes: int, kind: int) -> _Plan:
    count, channels, height, width = shape
    row = channels * _together(channels)
    rows = count * channels * height * width // row
    each = max(norms_cpu.DEEP, JOB_BYTES // (row * number_bytes))
    jobs = -(-rows // each)
    numbers = np.zeros(norms_cpu.NUMBERS, np.int64)
    numbers[: norms_cpu.MAPS] = 0, jobs, each, rows, row // LANES, channels
    ends = np.cumsum([0, jobs * row, jobs * row, *[row] * (norms_cpu.WEIGHTS - norms_cpu.SCALES)])
    numbers[norms_cpu.FIRST_SUMS : norms_cpu.WEIGHTS] = 4 * ends[:-1]
    return _Plan(norms_cpu.kernels(8 * number_bytes, kind), int(ends[-1]), numbers)
