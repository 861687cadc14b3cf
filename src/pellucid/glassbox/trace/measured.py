"""A module and its loss as one module: a loss may read the module's weights and attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.trace.regions import MEASURING
from pellucid.glassbox.trace.running import first_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor, fx

MODULE, LOSS = "module", "loss"
"""The names of the two parts."""


def together(module: torch.nn.Module, loss: Callable[[Tensor], Tensor]) -> torch.nn.Module:
    """A module that returns the scores (1, classes) and the loss, a number without axes."""
    import torch

    class Measured(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module
            self.loss = loss  # a loss that is a module is registered with its weights

        def forward(self, sample: Tensor) -> tuple[Tensor, Tensor]:
            scores = self.module(sample)
            check(scores)
            value: Any = self.loss(scores)
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
                raise TraceError(f"The loss returns {shape}; it must return one number, a tensor without axes.")
            return scores, value.reshape(()) if value.ndim else value

    return Measured()


def check(scores: Any) -> None:
    """Raises TraceError unless these are the scores of the classes for one picture."""
    import torch

    if not isinstance(scores, torch.Tensor) or scores.ndim != 2 or scores.shape[0] != 1:
        shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise TraceError(f"The module returns {shape}; it must return the class scores of one picture, (1, classes).")


def refusal(both: torch.nn.Module, sample: Tensor) -> str:
    """The error of the loss alone on the module's real scores, in words; "" if the loss is not the cause."""
    try:
        scores: Any = both.get_submodule(MODULE)(sample.clone())
    except Exception:  # the module's own code: then the loss is not the cause
        return ""
    try:
        getattr(both, LOSS)(scores)
    except Exception as error:  # whatever the user's function raises
        return (
            f"The loss, called with the scores {tuple(scores.shape)} alone, raises {type(error).__name__}: "
            f"{first_line(error)}. It must be a function of the scores, such as lambda scores: "
            "torch.nn.functional.cross_entropy(scores, torch.tensor([3]))."
        )
    return ""


def separate(graph: fx.Graph) -> None:
    """Give the module's calls their original paths, and mark the loss's calls.

    The loss becomes a separate call, even if it is an array that the module has made.
    """
    import torch

    for node in graph.nodes:
        stack: Any = node.meta.get("nn_module_stack") or {"": ("", "")}
        path, kind = list(stack.values())[-1]
        path = path.split("@")[0]
        inside = path == MODULE or path.startswith(f"{MODULE}.")
        node.meta[MEASURING] = not inside
        node.meta["nn_module_stack"] = {"": (path[len(MODULE) + 1 :] if inside else path or LOSS, kind)}
    output = next(node for node in graph.nodes if node.op == "output")
    scores, loss = output.args[0]  # type: ignore[misc]
    if loss.op != "call_function" or not loss.meta[MEASURING] or loss is scores:  # type: ignore[union-attr]
        with graph.inserting_before(output):
            made = graph.call_function(torch.ops.aten.clone.default, (loss,))
        made.meta = {**loss.meta, MEASURING: True, "nn_module_stack": {"": (LOSS, "")}}  # type: ignore[union-attr]
        output.args = ((scores, made),)
