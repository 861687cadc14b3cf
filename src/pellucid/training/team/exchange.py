"""The gradients of a step, summed over the processes by PyTorch's DistributedDataParallel.

That is built for a network's usual way: a call of the module. Here the engine gives a function that runs the network's
own parameters, perhaps in fused blocks; so the module that DistributedDataParallel wraps takes this function as input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pellucid.errors import TrainingError
from pellucid.training.team import norms
from pellucid.training.team.team import connected

if TYPE_CHECKING:
    from pellucid.training.forward import Through

UNUSED = "finished reduction in the prior iteration"  # of PyTorch's message


class Exchange:
    """Runs `module` in every process, and adds the gradients of all in the backward pass of a step's last part.

    The constructor runs `trial(through)` twice, a forward and backward pass whose gradients the caller throws away. The
    first shows which parameters have no gradient. After the second, PyTorch orders the gradients as they arrive: this
    order decides the rounding of their sums, so it has to be the same from the first step on, also in a training that
    continues.
    """

    def __init__(self, module: nn.Module, trial: Callable[[Through], Any]) -> None:
        self._module = module
        with norms.together(module):
            trial(lambda call, images: call(images))
        idle = [name for name, each in module.named_parameters() if each.requires_grad and each.grad is None]
        module.zero_grad(set_to_none=True)
        called = _Called(module)
        # batch norm's sums are the same everywhere by themselves (norms.py)
        ignored = [f"network.{name}" for name in (*idle, *dict(module.named_buffers()))]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(called, ignored)
        with connected():
            self._parallel = DistributedDataParallel(called)
        # of kernels that give an axis of length 1 another stride, which changes no number's place
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        trial(self.through(last=True))
        module.zero_grad(set_to_none=True)

    def through(self, last: bool) -> Through:
        """Calls the network for a part of a step. The backward pass of the `last` part exchanges the gradients."""

        def call(network: Callable[[Any], Tensor], images: Any) -> Tensor:
            exchanging = nullcontext() if last else self._parallel.no_sync()
            with norms.together(self._module), exchanging, connected():  # the first call orders the gradients anew
                try:
                    return self._parallel(network, images)
                except RuntimeError as error:
                    if UNUSED not in str(error):
                        raise
                    raise TrainingError(
                        "The module uses other parameters in one step than in another, which a team of processes "
                        "cannot train. Train it with --processes 1."
                    ) from error

        return call


class _Called(nn.Module):
    """A network that runs by a function of its parameters."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, call: Callable[[Any], Tensor], images: Any) -> Tensor:
        return call(images)


def of(module: nn.Module, trial: Callable[[Through], Any]) -> Exchange:
    """The exchange for `module`; the trial leaves its buffers and gradients as they are."""
    before = [buffer.clone() for buffer in module.buffers()]
    exchange = Exchange(module, trial)
    with torch.no_grad():
        for buffer, value in zip(module.buffers(), before, strict=True):
            buffer.copy_(value)
    return exchange
