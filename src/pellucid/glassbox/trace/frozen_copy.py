"""Inspect a module without changing it: a frozen copy, the outputs of its layers, and the choice of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING

from pellucid.errors import TraceError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn


def still(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose parameters require no gradient and whose layers do not write into their inputs.

    Whatever is done with it, including hooks and gradients, the original keeps its flags, its gradients and its
    parameters; several copies may be in use at the same time. It must be made outside inference mode.
    """
    copy = deepcopy(module)
    for part in copy.modules():
        part.training = False  # a module read from torch.export refuses eval()
        if getattr(part, "inplace", False) is True:
            setattr(part, "inplace", False)  # noqa: B010 (nn.Module declares no such flag)
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return copy


@contextmanager
def gradients() -> Iterator[None]:
    """Enable gradients in any mode of the caller, and switch the caller's autocast off."""
    import torch

    casting = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
        for device in casting:
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


def shapes(copy: nn.Module, sample: Tensor) -> dict[str, tuple[int, ...]]:
    """Name -> output shape of every layer that returns one tensor, in the order of completion."""
    import torch

    shapes_by_name: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, torch.Tensor):
            shapes_by_name[name] = tuple(output.shape)

    handles = [
        part.register_forward_hook(lambda _part, _input, output, name=name: note(name, output))
        for name, part in copy.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            copy(sample.clone())
    finally:
        for handle in handles:
            handle.remove()
    return shapes_by_name


def unknown(name: str, names: Sequence[str], what: str) -> TraceError:
    """The error for a layer that is not among `names`: the nearest names, then all."""
    hint = did_you_mean(name, names, most=3)
    return TraceError(f"There is no {what} {name!r}.{hint} There are: {', '.join(names)}.")
