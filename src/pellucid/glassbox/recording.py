"""Running a picture through a network's graph once, forward and backward, and keeping every number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox import graph as graphs
from pellucid.glassbox import nodes, still
from pellucid.glassbox.declaration import Op
from pellucid.glassbox.graph import INPUT, Call, Graph, Ref
from pellucid.glassbox.loss import CROSS_ENTROPY, Loss
from pellucid.glassbox.ops import losses, normalisation
from pellucid.glassbox.trace import LOSS, PICTURE, PROBABILITY, Node, Trace
from pellucid.glassbox.update import to_numpy, updates
from pellucid.network.standardise import Standardise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pellucid.network.network import Network


@dataclass(frozen=True)
class Preparation:
    """What happens to a picture's pixels before the network sees them, so that they too can be followed."""

    pixels: NDArray[np.uint8]  # (1, C, H, W)
    op: Op
    """From "picture" and `arrays` to the network's input."""
    arrays: Mapping[str, NDArray[Any]]
    apply: Callable[[Tensor], Tensor]
    """float32 (1, C, H, W) in 0..255 -> the network's input."""


def standardising(image: NDArray[np.uint8], standardise: Standardise) -> Preparation:
    """From the pixels of an image uint8 (H, W, C) to the network's input, as in training and prediction."""
    import torch

    pixels = np.ascontiguousarray(image.transpose(2, 0, 1))[None]
    arrays = {"mean": np.array(standardise.mean, np.float32), "deviation": np.array(standardise.deviation, np.float32)}

    def apply(pixels: Tensor) -> Tensor:
        # the memory order in which to_unit hands them over, so that every later number is the same
        return standardise(pixels.contiguous(memory_format=torch.channels_last) / 255.0)

    return Preparation(pixels, normalisation.standardise(pixels.shape), arrays, apply)


@still.gradients()
def record(
    module: torch.nn.Module,
    graph: Graph,
    input: Tensor,
    label: int | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    loss: Loss = CROSS_ENTROPY,
    temperature: float = 1.0,
    optimizer: torch.optim.Optimizer | None = None,
    preparation: Preparation | None = None,
    source: str = "",
    network: Network | None = None,
) -> Trace:
    """Run one input (1, ...) through the module's graph, forward and backward. The module is left as it is.

    `label`: the class of the loss, by default the predicted one. `optimizer`: whose next step is recorded; by default
    plain gradient descent at the rate 0.01 (and none where no loss is asked for but a difference). Raises TraceError.
    """
    import torch

    tensors = _forward(module, graph, input, preparation)
    logits = tensors[graph.output]
    _check_scores(logits)
    _check_finite(logits, graph, tensors)
    names = classes or tuple(map(str, range(logits.shape[1])))
    if len(names) != logits.shape[1]:
        raise TraceError(f"There are {len(names):,} class names, and the module gives {logits.shape[1]:,} scores.")
    target = int(logits.argmax()) if label is None else _class(label, names)
    loss.check(len(names), target)
    scores = logits if logits.dtype == torch.float64 else logits.float()
    tensors[PROBABILITY] = (logits.double() / temperature).softmax(1)
    tensors[LOSS] = loss.of(scores, torch.tensor([target], device=logits.device))

    known = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
    wanted = {name: tensor for name, tensor in known.items() if tensor.requires_grad and name != PROBABILITY}
    gradients = _gradients(tensors[LOSS], wanted)
    parameters = dict(module.named_parameters())
    if optimizer is None and parameters and loss.kind != "difference":
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    ids = {id(parameter): name for name, parameter in parameters.items()}
    stepped = updates(optimizer, ids, {name: tensors[name] for name in parameters}, gradients) if optimizer else {}

    shape = tuple(logits.shape)
    ends = {PROBABILITY: losses.softmax(shape, 1, temperature), LOSS: loss.declaration(shape, [target])}
    return Trace(
        nodes=(
            *nodes.first(preparation.op if preparation is not None else None),
            *nodes.of(graph, tensors),
            *(Node(name, op.kind, op, {"input": graph.output}) for name, op in ends.items()),
        ),
        parameters=tuple(parameters),
        values={n: to_numpy(t) for n, t in known.items()} | dict(preparation.arrays if preparation is not None else {}),
        gradients={name: to_numpy(gradient) for name, gradient in gradients.items()},
        updates=stepped,
        classes=names,
        label=target,
        source=source,
        precision={name: rounding for name, t in known.items() if (rounding := _narrow(t)) is not None},
        network=network,
        temperature=temperature,
    )


def explain(
    module: torch.nn.Module,
    image: Tensor | NDArray[Any],
    label: int | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Loss = CROSS_ENTROPY,
) -> Trace:
    """Follow one image through any torch.nn.Module, in the mode (training or evaluation) in which it stands.

    `image`: what the module takes, (C, H, W) or with a batch axis of 1. `label`: the class (by number) of the loss, by
    default the predicted one. `optimizer`: whose next step is recorded, made from the module's parameters.

    >>> trace = pellucid.explain(module, image, label=3)  # doctest: +SKIP
    >>> print(trace.unit("conv1[3, 10, 12]"))             # doctest: +SKIP

    Raises TraceError: the module cannot be followed (which line, why), or a label or loss that it has no class for.
    """
    import torch

    try:
        tensor = torch.as_tensor(image)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TraceError(
            f"The image is a {type(image).__name__}; one image is numbers of the shape (C, H, W)."
        ) from error
    tensor = tensor[None] if tensor.ndim == 3 else tensor
    if tensor.ndim == 0 or tensor.shape[0] != 1:
        raise TraceError(f"The image has the shape {tuple(tensor.shape)}; one image is (C, H, W) or (1, C, H, W).")
    parameter = next(module.parameters(), None)
    if parameter is not None:
        tensor = tensor.to(parameter.device, parameter.dtype)
    graph = graphs.capture(module, tensor)
    return record(module, graph, tensor, label, classes=classes, loss=loss, optimizer=optimizer)


def _forward(module: torch.nn.Module, graph: Graph, input: Tensor, preparation: Preparation | None) -> dict[str, Any]:
    """Every tensor of the run by name, parameters and buffers as copies; several, where a call returns several."""
    import torch

    weights = {name: p.detach().clone() for name, p in module.named_parameters()}
    tensors: dict[str, Any] = {name: w.requires_grad_(w.is_floating_point()) for name, w in weights.items()}
    tensors |= {name: b.detach().clone() for name, b in module.named_buffers()}
    tensors |= {name: constant.clone() for name, constant in graph.constants.items()}
    if preparation is None:
        tensors[INPUT] = input.detach().clone().requires_grad_(input.is_floating_point())
    else:
        pixels = torch.from_numpy(preparation.pixels).to(input.device, torch.float32).requires_grad_()
        tensors[PICTURE], tensors[INPUT] = pixels, preparation.apply(pixels)
    for call in graph.calls:
        tensors[call.name] = _result(call, tensors)
        _check_numbers(call, tensors[call.name])
    return tensors


def _result(call: Call, tensors: Mapping[str, Any]) -> Any:
    """What a call returns; a view of what is another call's already, so that each of the two has its own gradient."""
    import torch

    try:
        result = call.run(*filled(call.args, tensors), **filled(dict(call.kwargs), tensors))
    except RuntimeError as error:  # torch.export ran it too, but without gradients
        raise TraceError(f"{call.name}{_where(call)} cannot be followed: {_first_line(error)}.") from error
    known = {id(tensor) for tensor in tensors.values()}

    def own(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(map(own, value))
        return value.view_as(value) if isinstance(value, torch.Tensor) and id(value) in known else value

    return own(result)


def _gradients(loss: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the loss, with respect to each of the tensors that it depends on."""
    import torch

    if not loss.requires_grad:
        return {}
    try:
        found = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    except RuntimeError as error:
        raise TraceError(f"PyTorch cannot differentiate this module: {_first_line(error)}.") from error
    return {name: gradient for name, gradient in zip(tensors, found, strict=True) if gradient is not None}


def _where(call: Call) -> str:
    return f" ({call.source})" if call.source else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _check_scores(logits: Any) -> None:
    import torch

    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[0] != 1:
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise TraceError(f"The module returns {shape}; scores of the classes for one picture are (1, classes).")


def _check_numbers(call: Call, value: Any) -> None:
    import torch

    if not isinstance(value, torch.Tensor | list | tuple):
        raise TraceError(
            f"{call.name}{_where(call)} takes a number out of an array and computes with it outside of PyTorch, "
            "which cannot be followed. Compute with the array instead."
        )
    if isinstance(value, torch.Tensor) and value.is_complex():
        raise TraceError(f"{call.name}{_where(call)} computes complex numbers; only real ones can be followed.")


def _class(label: Any, names: tuple[str, ...]) -> int:
    try:
        number = operator.index(label)
    except TypeError:
        number = -1
    if isinstance(label, bool) or not 0 <= number < len(names):
        raise TraceError(f"The label is {label!r}; the {len(names):,} classes are 0 to {len(names) - 1}.")
    return number


def _narrow(tensor: Any) -> tuple[float, float] | None:
    """(unit of rounding, smallest number) of an array of 16 bits, which NumPy holds in 32."""
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.dtype not in (torch.bfloat16, torch.float16):
        return None
    limits = torch.finfo(tensor.dtype)
    return limits.eps / 2, limits.smallest_normal * limits.eps


def _check_finite(logits: Tensor, graph: Graph, tensors: Mapping[str, Any]) -> None:
    """Infinite numbers on the way may be meant (a mask before a softmax); scores may not."""
    import torch

    if logits.isfinite().all():
        return
    given = [*graph.parameters, *graph.buffers, INPUT, *(call.name for call in graph.calls)]
    arrays = {name: tensors[name] for name in given if isinstance(tensors[name], torch.Tensor)}
    first = next(name for name, tensor in arrays.items() if not tensor.isfinite().all())
    raise TraceError(
        f"The scores are not finite numbers but {logits.flatten()[:5].tolist()}. The first array with NaN or infinity "
        f"is {first}; the arithmetic of such a run cannot be followed."
    )


def filled(value: Any, tensors: Mapping[str, Any]) -> Any:
    """Arguments with the tensors that their Refs stand for."""
    if isinstance(value, Ref):
        return tensors[value.name]
    if isinstance(value, dict):
        return {name: filled(each, tensors) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(each, tensors) for each in value)
    return value
