"""Batch norm over the pictures of all processes, as if one process normalised the whole step.

On a GPU PyTorch's SyncBatchNorm does it. That refuses tensors on a CPU, so there the processes exchange the mean, the
mean square deviation and the count of each channel, and merge them (Chan, Golub & LeVeque 1983, "Algorithms for
computing the sample variance", eq. 2.1). Unequal shares are weighted by their counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from pellucid.training.team.team import connected


@contextmanager
def together(module: nn.Module) -> Iterator[None]:
    """Within the block the batch norms of `module` that are in training mode normalise over all processes."""
    layers = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.training]
    for layer in layers:
        layer.forward = partial(_normalised, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _normalised(layer: _BatchNorm, maps: Tensor) -> Tensor:
    """(n, C, ...) -> the same shape and dtype, and the running sums of all pictures in the layer."""
    if maps.is_cuda:
        plain = {name: value for name, value in vars(layer).items() if name != "forward"}
        copy = type(layer).__new__(type(layer))
        copy.__dict__.update(plain)
        return nn.SyncBatchNorm.convert_sync_batchnorm(copy)(maps)
    with connected():
        result, mean, variance, count = _Normalised.apply(maps, layer.weight, layer.bias, layer.eps)  # type: ignore[misc]
    if layer.running_mean is not None and layer.running_var is not None:
        assert layer.num_batches_tracked is not None
        layer.num_batches_tracked.add_(1)
        factor = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
        unbiased = variance * (count / max(count - 1, 1))
        layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), factor)
        layer.running_var.lerp_(unbiased.to(layer.running_var.dtype), factor)
    return result


class _Normalised(torch.autograd.Function):
    """weight * (x - mean) / sqrt(variance + eps) + bias, with mean and variance over all processes.

    Its gradient for x is weight / sqrt(variance + eps) * (g - sum g / N - x' * sum(g x') / N), where x' is the
    normalised x and both sums run over all N values of the channel in all processes (Ioffe & Szegedy 2015, section 3).
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
        kind = torch.promote_types(maps.dtype, torch.float32)
        scratch = maps.new_zeros(maps.shape[1], dtype=kind)  # running sums of that kind: the results are then, too
        # of PyTorch's own batch norm: torch.var_mean took 35 times as long on channels-last maps
        mean, variance = torch.batch_norm_update_stats(maps, scratch, scratch.clone(), 0.0)
        mean, variance, total = _merged(mean.double(), variance.double(), maps.numel() // maps.shape[1])
        mean, variance = mean.to(kind), variance.to(kind)
        weight = torch.ones_like(mean) if weight is None else weight.to(kind)
        bias = torch.zeros_like(mean) if bias is None else bias.to(kind)
        result = F.batch_norm(maps, mean, variance, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(maps, weight, mean, variance)
        ctx.eps, ctx.total = eps, total
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance, total

    @staticmethod
    def backward(ctx: Any, slope: Tensor, *_: Any) -> Any:  # type: ignore[override]
        maps, weight, mean, variance = ctx.saved_tensors
        wanted = [True, True, True]
        towards, along, total = torch.ops.aten.native_batch_norm_backward(
            slope, maps, weight, mean, variance, None, None, False, ctx.eps, wanted
        )
        sums = torch.stack([total, along]).double()
        with connected():
            dist.all_reduce(sums)
        whole_total, whole_along = (sums / ctx.total).to(mean.dtype)
        factor = weight * (variance + ctx.eps).rsqrt()
        # factor * (sum g / N + x' * sum(g x') / N), by batch norm's own kernel
        less = F.batch_norm(maps, mean, variance, factor * whole_along, factor * whole_total, False, 0.0, ctx.eps)
        of_weight, of_bias = ctx.needs_input_grad[1:3]
        return towards - less, along if of_weight else None, total if of_bias else None, None


def _merged(mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
    """The mean and variance (C,) of all processes' values, float64, and their number in a channel."""
    own = torch.cat([mean, variance, mean.new_tensor([count])])
    every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(every, own)
    whole = torch.stack(every)
    means, variances, counts = whole[:, : len(mean)], whole[:, len(mean) : -1], whole[:, -1:]
    total = counts.sum()
    merged = (means * counts).sum(0) / total
    spread = (counts * (variances + (means - merged).square())).sum(0) / total
    return merged, spread, int(total)
