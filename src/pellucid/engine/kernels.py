"""Replace some of PyTorch's functions by our own kernels, while a module runs forward in training on a CPU.

The calls are intercepted in the thread that runs the module. So its layers do not change, and may be of any class.
depthwise.py describes its kernel and the gain.
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
"""Takes the arguments of PyTorch's function; gives None if PyTorch has to compute the result."""


def described(module: nn.Module) -> tuple[str, ...]:
    """The parts of a module that our kernels compute, in words; empty if there are none."""
    return ("gradients of depthwise convolutions",) if depthwise.applies(module) else ()


def forward(call: Call, threads: int) -> Call:
    """A function to call instead of `call`, which runs a module. Its results are equal up to rounding."""

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
