"""Run a picture through a network's graph once, forward and backward, and record every number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.declaration import Op
from pellucid.glassbox.arithmetic.loss import CROSS_ENTROPY, Loss, Own, chosen
from pellucid.glassbox.arithmetic.ops import normalisation
from pellucid.glassbox.arithmetic.tensors import to_numpy
from pellucid.glassbox.trace import chance, exporting, frozen_copy, marks, nodes, running, scoring, verify
from pellucid.glassbox.trace import measured as measuring
from pellucid.glassbox.trace.graph import Graph
from pellucid.glassbox.trace.naming import INPUT, LOSS, PICTURE, PROBABILITY
from pellucid.glassbox.trace.subject import Subject
from pellucid.glassbox.trace.trace import Node, Trace
from pellucid.glassbox.trace.update import check as check_optimizer
from pellucid.glassbox.trace.update import updates
from pellucid.network.standardise import Standardise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pellucid.network.network import Network


@dataclass(frozen=True)
class Preparation:
    """The preparation of a picture's pixels before the network, which can be traced too."""

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
        # to_unit's memory order, for the same numbers in every later step
        return standardise(pixels.contiguous(memory_format=torch.channels_last) / 255.0)

    return Preparation(pixels, normalisation.standardise(pixels.shape), arrays, apply)


@frozen_copy.gradients()
def record(
    module: torch.nn.Module,
    graph: Graph,
    sample: Tensor,
    label: int | Sequence[int] | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    loss: Loss | Own = CROSS_ENTROPY,
    temperature: float = 1.0,
    thresholds: tuple[float, ...] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    preparation: Preparation | None = None,
    source: str = "",
    network: Network | None = None,
) -> Trace:
    """Run one input (1, ...) through the module's graph, forward and backward, and compare it with the module itself.

    `label`: the class of the loss, by default the predicted one; for several labels a picture, a sequence of them, and
    `thresholds` has the least probability for each. `optimizer`: its next step is recorded; by default plain gradient
    descent at the rate 0.01 (but none for a difference instead of a loss). The module, the optimizer and the random
    state do not change; no other thread may use them meanwhile.

    Raises TraceError if the label, loss or optimizer does not fit, or if the trace differs from the module's own run
    (verify.py).
    """
    import torch

    parameters = dict(module.named_parameters())
    optimizer = _optimizer(parameters, optimizer, loss)
    with chance.preserved():
        before = chance.state()
        tensors, left = _forward(module, graph, sample, preparation)
        logits = tensors[graph.output]
        measuring.check(logits)
        _check_finite(logits, graph, tensors)
        ends = scoring.ends(graph, tensors, label, classes, loss, temperature, thresholds)
        loss_name, probability = graph.roles[LOSS], graph.roles[PROBABILITY]
        known = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
        wanted = {name: tensor for name, tensor in known.items() if tensor.requires_grad and name != probability}
        gradients = _gradients(tensors[loss_name], wanted)

        def real() -> verify.Real:
            chance.restore(before)
            picture = tensors[graph.roles[INPUT]].detach().clone()  # the module may write into it
            return verify.run(module, picture, ends.loss, optimizer, ends.measured)

        reference = real()
        followed = {name: gradient for name, gradient in (gradients | left).items() if name in parameters}
        gradients = _accumulated(parameters, gradients | left, reference)
        verify.check(
            reference, logits, {name: gradients[name] for name in parameters if name in gradients}, real, module
        )
        # not those that come from the module's own run
        compared = {name: each for name, each in followed.items() if gradients.get(name) is each}

    def unchanged() -> bool:
        return all(torch.equal(tensors[name], parameter) for name, parameter in module.named_parameters())

    def again(label: int, loss: Loss) -> Trace:
        known = {"classes": ends.classes, "temperature": temperature, "preparation": preparation, "source": source}
        known["thresholds"] = thresholds
        with chance.preserved():
            chance.restore(before)
            return record(module, graph.scored(), sample, label, loss=loss, network=network, **known)

    stepped = {}
    if optimizer is not None and reference.step is not None:
        stepped = updates(optimizer, reference.step, parameters, gradients)
    begin, arrays = _begin(module, graph, known, preparation)
    return Trace(
        nodes=(*begin, *nodes.ended(graph, tensors, ends.nodes)),
        parameters=tuple(parameters),
        values=arrays,
        gradients={name: to_numpy(gradient) for name, gradient in gradients.items()},
        updates=stepped,
        classes=ends.classes,
        label=ends.label,
        labels=ends.labels,
        thresholds=thresholds,
        source=source,
        precision={name: rounding for name, t in known.items() if (rounding := _narrow(t)) is not None},
        network=network,
        temperature=temperature,
        roles=graph.roles,
        hooked=dict(_hooked(graph, parameters)),
        frozen=tuple(name for name, parameter in parameters.items() if not parameter.requires_grad),
        output=graph.output,
        training=module.training,
        agreement=verify.agreement(reference, compared),
        subject=Subject(module, graph.scored(), sample.detach().clone(), again, unchanged),
    )


def _optimizer(
    parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer | None, loss: Loss | Own
) -> torch.optim.Optimizer | None:
    """The one whose step is recorded; None where there is no step. Raises TraceError where it is not the module's."""
    import torch

    if optimizer is not None:
        check_optimizer(optimizer, parameters.values())
        return optimizer
    return torch.optim.SGD(parameters.values(), lr=0.01) if parameters and loss.kind != "difference" else None


def _begin(
    module: torch.nn.Module, graph: Graph, known: Mapping[str, Tensor], preparation: Preparation | None
) -> tuple[list[Node], dict[str, NDArray[Any]]]:
    """The nodes before the module's own, and all values by name, buffers as they were before the run."""
    arrays = {n: to_numpy(t) for n, t in known.items()}
    arrays |= {n: to_numpy(b.clone()) for n, b in module.named_buffers() if n in arrays}
    begin = list(nodes.first(graph.roles, preparation.op if preparation is not None else None, set(arrays)))
    if preparation is not None:
        arrays |= {begin[1].reads[name]: array for name, array in preparation.arrays.items()}
    return begin, arrays


def explain(
    module: torch.nn.Module,
    image: Tensor | NDArray[Any],
    label: int | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Loss | Callable[[Tensor], Tensor] = CROSS_ENTROPY,
) -> Trace:
    """Trace one image through any torch.nn.Module, in its current mode (training or evaluation).

    `image`: one input of any rank that the module takes, (C, H, W) or (channels, length), with or without a batch axis
    of 1. The module returns scores (1, classes); one score stands for two classes. `label`: the class (by number) of
    the loss, by default the predicted one. `optimizer`: over the module's parameters; its next step is recorded.
    `loss`: pellucid.Loss, or any function of the scores that returns one number.

    >>> trace = pellucid.explain(module, image, label=3)  # doctest: +SKIP
    >>> print(trace.unit("conv1[3, 10, 12]"))             # doctest: +SKIP

    Raises TraceError if the module cannot be traced (with the line and the reason), if its own run differs from the
    trace, or if a label, loss or optimizer does not fit.
    """
    measured = chosen(loss)
    _check_module(module)
    if optimizer is not None:
        check_optimizer(optimizer, list(module.parameters()))
    own = measured.of if isinstance(measured, Own) else None
    graph, tensor = _captured(module, _tensor(module, image), own)
    return record(module, graph, tensor, label, classes=classes, loss=measured, optimizer=optimizer)


def _check_module(module: Any) -> None:
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TraceError(f"The module is {module!r}; it must be a torch.nn.Module.")
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            what = f"Its part {name}" if name else "The module"
            raise TraceError(f"{what} is a compiled ScriptModule, which cannot be followed. Pass the original module.")


def _tensor(module: torch.nn.Module, image: Any) -> Tensor:
    """The image on the module's device; a picture's numbers have the module's dtype."""
    import torch

    try:
        if isinstance(image, np.ndarray):  # PyTorch does not take negative strides and other byte orders
            image = np.ascontiguousarray(image.astype(image.dtype.newbyteorder("="), copy=False))
        tensor = torch.as_tensor(image)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TraceError(
            f"The image is a {type(image).__name__}; it must be an array of numbers of the shape (C, H, W)."
        ) from error
    if tensor.is_complex() or tensor.is_sparse or tensor.is_meta or tensor.is_nested or tensor.is_quantized:
        raise TraceError("The image must be a plain array of real numbers of the shape (C, H, W).")
    if tensor.ndim == 0 or tensor.numel() == 0:
        raise TraceError(f"The image has the shape {tuple(tensor.shape)}; it must be (C, H, W) or (1, C, H, W).")
    if any(torch.nn.parameter.is_lazy(parameter) or parameter.is_meta for parameter in module.parameters()):
        raise TraceError(
            "The module has parameters without numbers (a lazy layer, or the device meta). Run it once on an input, or "
            "load its weights, then explain it."
        )
    if any(parameter.is_inference() for parameter in module.parameters()):
        raise TraceError(
            "The module was made under torch.inference_mode(), and its weights can have no gradient. Create it outside."
        )
    parameter = next((p for p in module.parameters() if p.is_floating_point()), None)
    if parameter is None:
        return tensor
    indices = not tensor.is_floating_point() and any(isinstance(m, torch.nn.Embedding) for m in module.modules())
    return tensor.to(parameter.device) if indices else tensor.to(parameter.device, parameter.dtype)


def _captured(
    module: torch.nn.Module, image: Tensor, loss: Callable[[Tensor], Tensor] | None = None
) -> tuple[Graph, Tensor]:
    """The module's graph on an input, with that of a loss, and the input with the batch axis that the module takes.

    Only the module knows whether a leading axis of 1 is the batch's: the likelier form is tried first.
    """
    batched = image.ndim >= 4 and image.shape[0] == 1
    forms = [image, image[None]] if batched else [image[None], image]
    if image.shape[0] != 1:
        forms = [image[None]]
    first: TraceError | None = None
    for form in forms:
        try:
            graph = exporting.capture(module, form, loss)
        except TraceError as error:
            first = first or error
            continue
        if len(graph.shape) == 2 and graph.shape[0] == 1:
            return graph, form
        first = first or TraceError(
            f"The module returns {graph.shape}; scores of the classes for one picture are (1, classes)."
        )
    assert first is not None
    if image.ndim == 3 or batched:
        raise first
    raise TraceError(
        f"The image has the shape {tuple(image.shape)}; it must be (C, H, W) or (1, C, H, W), or another shape that "
        f"the module accepts. The module does not accept this one: {first}"
    ) from first


def _forward(
    module: torch.nn.Module, graph: Graph, sample: Tensor, preparation: Preparation | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(every tensor of the run by name, the gradients that its hooks leave: see running.run).

    Parameters and buffers are copies. A call with several results has several tensors under its name.
    """
    import torch

    tensors: dict[str, Any] = {}
    for name, parameter in module.named_parameters():
        tensors[name] = copy = parameter.detach().clone().requires_grad_(parameter.requires_grad)
        for hook in (parameter._backward_hooks or {}).values() if parameter.requires_grad else ():
            copy.register_hook(hook)
    tensors |= {name: b.detach().clone() for name, b in module.named_buffers()}
    tensors |= {name: constant.clone() for name, constant in graph.constants.items()}
    inside = graph.roles[INPUT]
    if preparation is None:
        tensors[inside] = sample.detach().clone().requires_grad_(sample.is_floating_point())
    else:
        pixels = torch.from_numpy(preparation.pixels).to(sample.device, torch.float32).requires_grad_()
        tensors[graph.roles[PICTURE]], tensors[inside] = pixels, preparation.apply(pixels)
    return tensors, running.run(graph.calls, graph.hooks, tensors)


def _gradients(loss: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradients of the loss with respect to each of the tensors that it depends on."""
    import torch

    if not loss.requires_grad:
        return {}
    try:
        gradients = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    except Exception as error:  # PyTorch's exceptions, or those of the module's hooks or its autograd.Function
        raise TraceError(f"PyTorch cannot differentiate this module: {running.first_line(error)}.") from error
    return {name: gradient for name, gradient in zip(tensors, gradients, strict=True) if gradient is not None}


def _accumulated(
    parameters: Mapping[str, Tensor], gradients: dict[str, Tensor], real: verify.Real
) -> dict[str, Tensor]:
    """The gradients, with those that a hook changes after accumulation taken from the module's own run."""
    totals = dict(gradients)
    for name, parameter in parameters.items():
        if getattr(parameter, "_post_accumulate_grad_hooks", None) and name in totals:
            changed = real.gradients[name]
            if changed is None:
                del totals[name]
            else:
                totals[name] = changed
    return totals


def _hooked(graph: Graph, parameters: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """(array, the hook that changes its gradient)"""
    for name, on in graph.hooks.items():
        if any(mark.kind != marks.LAST for mark in on):
            yield name, f"a hook on {name}"
    for name, parameter in parameters.items():
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            yield name, f"a hook on {name}"


def _narrow(tensor: Any) -> tuple[float, float] | None:
    """(unit of rounding, smallest number) of a 16-bit array, which NumPy holds in 32 bits."""
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.dtype not in (torch.bfloat16, torch.float16):
        return None
    limits = torch.finfo(tensor.dtype)
    return limits.eps / 2, limits.smallest_normal * limits.eps


def _check_finite(logits: Tensor, graph: Graph, tensors: Mapping[str, Any]) -> None:
    """Infinite intermediate numbers may be intended (a mask before a softmax); infinite scores are an error."""
    import torch

    if logits.isfinite().all():
        return
    every = [*graph.parameters, *graph.buffers, graph.roles[INPUT], *(call.name for call in graph.calls)]
    arrays = {name: tensors[name] for name in every if isinstance(tensors[name], torch.Tensor)}
    first = next(name for name, tensor in arrays.items() if not tensor.isfinite().all())
    raise TraceError(
        f"The scores are not finite numbers but {logits.flatten()[:5].tolist()}. The first array with NaN or infinity "
        f"is {first}; the arithmetic of such a run cannot be followed."
    )
