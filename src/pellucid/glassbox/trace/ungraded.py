"""Why a number has no gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Node, Trace


def reason(trace: Trace, name: str) -> str:
    """A sentence about an array of the trace without a gradient."""
    if name in trace.frozen:
        return f"{name} is frozen and has no gradient (requires_grad is False)."
    if trace.values[name].dtype.kind != "f":
        return f"{name} holds no floating-point numbers, so it has no gradient."
    if name not in trace.parameters and all(node.name != name for node in trace.nodes):
        return f"{name} is not a parameter of the module, so its gradient is not recorded."
    made = next((node for node in trace.nodes if node.name == name), None)
    if made is not None and not made.graded:
        return f"{name} was computed under torch.no_grad(), where PyTorch computes no gradient."
    after = _after(trace, name)
    if trace.nodes[-1].name not in {node.name for node in after}:
        return f"The loss does not depend on {name}. It has no gradient."
    barrier = next((node for node in after if _stops(node)), None)
    if barrier is None:
        return f"No gradient of the loss reaches {name}."
    if not barrier.graded:
        return f"No gradient reaches {name}: {barrier.name}, which reads it, was computed under torch.no_grad()."
    return f"No gradient reaches {name}: none goes through {barrier.name} ({barrier.kind})."


def _after(trace: Trace, name: str) -> list[Node]:
    """The nodes that depend on an array, in their order."""
    reached = {name}
    after = []
    for node in trace.nodes:
        if reached & set(node.reads.values()):
            reached.add(node.name)
            after.append(node)
    return after


def _stops(node: Node) -> bool:
    if not node.graded:
        return True
    return node.op is not None and not any(stage.through for stage in node.op.stages)
