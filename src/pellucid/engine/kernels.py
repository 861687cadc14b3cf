"""Kernels of ours in place of some of PyTorch's functions, while a module runs forward in training on a CPU.

The calls are intercepted in the thread that runs the module, so its layers stay as they are, and whose class they are
does not matter. depthwise.py says what its kernel computes and gains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pellucid.engine import depthwise

Call = Callable[[Any], Tensor]
Way = Callable[..., Tensor | None]
"""Takes what PyTorch's function is called with; None where PyTorch has to compute it."""


def described(module: nn.Module) -> tuple[str, ...]:
    """What of a module kernels of ours compute, in words; empty where they compute nothing."""
    return ("gradients of depthwise convolutions",) if depthwise.applies(module) else ()


def forward(call: Call, threads: int) -> Call:
    """What to call instead of `call`, which runs a module: the same function but for rounding."""

    def run(images: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return call(images)
        ways: dict[Any, Way] = {torch.conv2d: depthwise.way(threads)}
        with _Replaced(ways):
            return call(images)

    return run


class _Replaced(TorchFunctionMode):
    def __init__(self, ways: Mapping[Any, Way]) -> None:
        super().__init__()
        self.ways = ways

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        way = self.ways.get(function)
        result = way(*args, **kwargs) if way is not None else None
        return function(*args, **kwargs) if result is None else result
