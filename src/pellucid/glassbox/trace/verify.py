"""Verify that a trace shows what the module does: compare it with the module's own run, forward, backward and step.

A trace uses torch.export's graph, and a module can do something else when it runs. So each trace is compared with one
run of the module itself. A difference beyond rounding is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.trace.borrowed import borrowed
from pellucid.glassbox.trace.stepping import OptimizerStep, step
from pellucid.runtime import quiet
from pellucid.texts import listed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROUNDING = 128
"""Units of rounding, times an array's largest number, by which two runs of the same operators may differ. On one
machine they do not differ; other memory orders add the same terms in another order.
"""


@dataclass(frozen=True)
class Real:
    """One run of the module itself."""

    scores: Tensor
    gradients: Mapping[str, Tensor | None]
    """Those of every parameter, before the optimizer's step."""
    step: OptimizerStep | None


def run(
    module: torch.nn.Module,
    sample: Tensor,
    loss: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    measured: torch.nn.Module | None = None,
) -> Real:
    """Forward, backward, and the optimizer's step if there is one, on copies: see `borrowed`.

    `measured`: the loss, if it is a module with its own numbers. Raises TraceError if the module, the loss or the
    optimizer raises.
    """
    import torch

    # the user sees PyTorch's warnings when training the module
    with quiet.unwarned(), borrowed(module, optimizer), borrowed(measured or torch.nn.Identity()):
        try:
            scores = module(sample)
            if not isinstance(scores, torch.Tensor):
                what = f"a {type(scores).__name__}; it must return one tensor of class scores"
                raise TraceError(f"The module returns {what}.")
            recorded = scores.detach().clone()  # the loss or the step may write into them
            total = loss(scores)
            with _ungathered(total, module):
                if total.requires_grad:
                    total.backward()
        except TraceError:
            raise
        except Exception as error:  # any exception of the module's code, or of a hook
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            raise TraceError(f"The module itself, run on this input, raises {what}") from error
        parameters = dict(module.named_parameters())
        gradients = {name: p.grad.detach().clone() if p.grad is not None else None for name, p in parameters.items()}
        stepped = step(optimizer, parameters) if optimizer is not None else None
        return Real(recorded, gradients, stepped)


@contextmanager
def _ungathered(total: Tensor, module: torch.nn.Module) -> Iterator[None]:
    """Within the context, backward leaves no gradients outside the module, such as at a weight in the user's loss."""
    own, seen, waiting = set(module.parameters()), set(), [total.grad_fn]
    before = {}
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and leaf not in own:
            before[leaf], leaf.grad = leaf.grad, None
        waiting += [each for each, _ in node.next_functions]
    try:
        yield
    finally:
        for leaf, gradient in before.items():
            leaf.grad = gradient


@dataclass(frozen=True)
class Agreement:
    """How the gradients of a trace compare with those of the module's own run."""

    parameters: int
    """Parameters whose gradients were compared; each has one in both runs."""
    numbers: int
    """All numbers of these gradients."""
    largest: float
    """The largest absolute difference between two of them."""
    where: str
    """The parameter with this difference; "" if all are equal, bit for bit."""


def check(
    real: Real, scores: Tensor, gradients: Mapping[str, Tensor], again: Callable[[], Real], module: torch.nn.Module
) -> None:
    """Compare a trace's scores and the gradients of the parameters with the module's own.

    `again`: runs the module again, to see whether it repeats itself. Raises TraceError with the first array that
    differs, both values, and the cause if it is known.
    """
    for what, theirs, ours in _pairs(real, scores, gradients):
        difference = _difference(what, theirs, ours)
        if difference:
            raise TraceError(f"{difference} {_cause(module, real, again)}")


def agreement(real: Real, gradients: Mapping[str, Tensor]) -> Agreement:
    """The largest difference between these gradients, of parameters by name, and those of the module's own run.

    Where both are NaN, or the same infinity, they do not differ. The differences are taken in float64.
    """
    parameters, numbers, largest, where = 0, 0, 0.0, ""
    for name, ours in gradients.items():
        theirs = real.gradients.get(name)
        if theirs is None:
            continue
        parameters, numbers = parameters + 1, numbers + ours.numel()
        apart = (theirs.double() - ours.double()).abs()
        difference = float(apart[apart.isfinite()].max()) if apart.isfinite().any() else 0.0
        if difference > largest:
            largest, where = difference, name
    return Agreement(parameters, numbers, largest, where)


def _pairs(
    real: Real, scores: Tensor, gradients: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor | None, Tensor | None]]:
    yield "the scores", real.scores, scores.detach()
    for name, gradient in real.gradients.items():
        yield f"the gradient of {name}", gradient, gradients.get(name)


def _difference(what: str, theirs: Tensor | None, ours: Tensor | None) -> str:
    """A sentence; "" if the two are the same up to rounding."""
    import torch

    if theirs is None or ours is None:
        if theirs is ours:
            return ""
        there, none = ("the module's own run", "the trace") if ours is None else ("the trace", "the module's own run")
        return f"The trace is not what this module computes: {what} exists in {there}, but not in {none}."
    if theirs.shape != ours.shape:
        shapes = f"{tuple(theirs.shape)} in the module's own run and {tuple(ours.shape)} in the trace"
        return f"The trace is not what this module computes: {what} have the shape {shapes}."
    if torch.equal(theirs, ours):
        return ""
    first, second = theirs.double(), ours.double()
    finite = first[first.isfinite()].abs()
    unit = torch.finfo(ours.dtype).eps / 2 if ours.dtype.is_floating_point else 0.0
    bound = ROUNDING * unit * (float(finite.max()) if finite.numel() else 0.0)
    same = ((first - second).abs() <= bound) | (first == second) | (first.isnan() & second.isnan())
    if same.all():
        return ""
    place = tuple(map(int, (~same).nonzero()[0]))
    at = f" at [{', '.join(map(str, place))}]" if place else ""
    return (
        f"The trace is not what this module computes: of {what}, {int((~same).sum()):,} of {same.numel():,} numbers "
        f"differ. The first{at} is {theirs[place].item()!r} in the module's own run and {ours[place].item()!r} here."
    )


def _cause(module: torch.nn.Module, real: Real, again: Callable[[], Real]) -> str:
    """Why the module's run and its graph may differ, if that is known."""
    second = again()
    if any(_difference(what, first, other) for what, first, other in _pairs_of(real, second)):
        return (
            "The module gives different numbers when it runs again: it keeps state from run to run that is neither a "
            f"parameter nor a buffer.{_hooks(module)}"
        )
    return f"It does something when it runs that torch.export does not record.{_hooks(module)}"


def _pairs_of(first: Real, second: Real) -> Iterator[tuple[str, Tensor | None, Tensor | None]]:
    yield "the scores", first.scores, second.scores
    for name, gradient in first.gradients.items():
        yield name, gradient, second.gradients[name]


def _hooks(module: torch.nn.Module) -> str:
    """Which parts have hooks, in a sentence."""
    kinds: dict[str, Any] = {
        "_forward_pre_hooks": "a forward pre-hook",
        "_forward_hooks": "a forward hook",
        "_backward_pre_hooks": "a backward pre-hook",
        "_backward_hooks": "a backward hook",
    }
    hooks = [
        f"{what} on {name or 'the module itself'}"
        for name, part in module.named_modules()
        for attribute, what in kinds.items()
        if getattr(part, attribute, None)
    ]
    hooks += [f"a hook on {name}" for name, p in module.named_parameters() if p._backward_hooks]
    return f" It has {listed(hooks, 3)}, which may be why." if hooks else ""
