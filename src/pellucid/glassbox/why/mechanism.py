"""From mistake to mechanism: the units and pixels that made the difference between two classes' logits.

A number's contribution is gradient * value, where the gradient is that of the difference. A convolution, ReLU, max
pooling or any other op without constants only passes contributions on: their sum stays. The rest, which an op adds by
itself (a bias, a running mean, the bend of a curved activation), counts as the op's own. So

    difference = sum over pixels + sum over ops of what each adds by itself

exactly, up to rounding, and also at every layer through which everything passes. This is the full-gradient
representation of Srinivas & Fleuret 2019 (eq. 3), with the rest of every op in place of its bias, for any network.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.trace.graph import Call, Graph, Ref
from pellucid.glassbox.trace.naming import INPUT, LOSS
from pellucid.glassbox.trace.running import filled
from pellucid.glassbox.trace.trace import STRONGEST, Node, Trace
from pellucid.steps import result_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Share:
    """One layer's part in the difference."""

    name: str
    kind: str
    units: NDArray[np.float64]
    """Each unit's contribution, in the layer's shape: positive speaks for the first class."""
    own: float
    """What the layer's op adds by itself."""
    passes_all: bool
    """Whether everything that the network sees passes through this layer, which makes the units' sum comparable."""
    after: float
    """If so: what the ops after this layer add by themselves. units.sum() + after is the difference."""

    def strongest(self, count: int = STRONGEST) -> list[tuple[tuple[int, ...], float]]:
        """(index, contribution) of the units that matter most, of either sign."""
        flat = self.units.reshape(-1)
        places = np.argsort(-np.abs(flat), kind="stable")[:count]
        return [(tuple(map(int, np.unravel_index(place, self.units.shape))), float(flat[place])) for place in places]


@dataclass(frozen=True)
class Mechanism:
    """The difference between the logits of two classes, taken apart."""

    first: str
    second: str
    difference: float
    """Logit of `first` minus logit of `second`, as PyTorch computed it."""
    shares: tuple[Share, ...]
    """The network's input first, then every layer to the logits."""
    source: str = ""

    @property
    def pixels(self) -> NDArray[np.float64]:
        """(H, W): each pixel's contribution, channels added. A pixel of the training pictures' mean colour has 0."""
        return self.shares[0].units.sum(axis=0)

    @property
    def own(self) -> float:
        """What all ops add by themselves."""
        return float(sum(share.own for share in self.shares))

    @property
    def remainder(self) -> float:
        """The parts' sum minus the difference: only rounding."""
        return float(self.shares[0].units.sum()) + self.own - self.difference

    def as_json(self) -> dict[str, Any]:
        return {
            "picture": self.source,
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "pixels": {"sum": float(self.pixels.sum()), "map": self.pixels.tolist()},
            "ops": self.own,
            "remainder": self.remainder,
            "layers": [
                {
                    "name": share.name,
                    "kind": share.kind,
                    "units": float(share.units.sum()),
                    "own": share.own,
                    "after": share.after if share.passes_all else None,
                    "strongest": [{"unit": list(i), "contribution": c} for i, c in share.strongest()],
                }
                for share in self.shares
            ],
        }


def mechanism(graph: Graph, trace: Trace, first: int, second: int) -> Mechanism:
    """Take apart the difference of a trace recorded with Loss("difference") for class `first` against `second`."""
    return result_of(taking_apart(graph, trace, first, second))


def taking_apart(graph: Graph, trace: Trace, first: int, second: int) -> Generator[tuple[int, int], None, Mechanism]:
    """As `mechanism`. Yields how many layers are done, and of how many."""
    inside = [
        node
        for node in trace.nodes
        if node.name == graph.roles[INPUT] or any(call.name == node.name for call in graph.calls)
    ]
    calls = {call.name: call for call in graph.calls}
    contributions = {node.name: _contributions(trace, node.name) for node in inside}
    own: dict[str, float] = {}
    for done, node in enumerate(inside):
        yield done, len(inside)
        own[node.name] = _own(calls.get(node.name), node, graph, trace, contributions[node.name])
    shares, after = [], sum(own.values())
    for position, node in enumerate(inside):
        after -= own[node.name]
        units = contributions[node.name].reshape(trace.shape(node.name))
        shares.append(Share(node.name, node.kind, units, own[node.name], _alone(inside, position), after))
    difference = float(trace.values[graph.roles[LOSS]])
    return Mechanism(trace.classes[first], trace.classes[second], difference, tuple(shares), trace.source)


def _contributions(trace: Trace, name: str) -> NDArray[np.float64]:
    values = trace.values[name].astype(np.float64)
    return _product(values, trace.gradients[name]) if name in trace.gradients else np.zeros_like(values)


def _product(values: NDArray[np.float64], gradient: NDArray[Any]) -> NDArray[np.float64]:
    """A number that nothing depends on contributes nothing, even if it is infinite, as in a mask."""
    return np.where(gradient == 0, 0.0, values) * gradient


def _own(call: Call | None, node: Node, graph: Graph, trace: Trace, contributions: NDArray[np.float64]) -> float:
    """An op's own contribution: its output's contributions minus those that came in through it."""
    if call is None or node.name not in trace.gradients:
        return 0.0
    arriving = _through(call, node, graph, trace)
    came = sum(_product(trace.values[name].astype(np.float64), gradient).sum() for name, gradient in arriving)
    return float(contributions.sum()) - float(came)


def _through(call: Call, node: Node, graph: Graph, trace: Trace) -> list[tuple[str, NDArray[np.float64]]]:
    """(input, its gradient through this op alone), for every input that is a layer: run again, alone, in float64."""
    import torch

    fixed = {*trace.parameters, *graph.buffers, *graph.constants}
    tensors: dict[str, Tensor] = {}
    for name in _referred(call, graph):
        values = trace.values[name]
        tensor = torch.from_numpy(np.array(values, np.float64 if values.dtype.kind == "f" else values.dtype))
        tensors[name] = tensor.requires_grad_(name not in fixed and tensor.is_floating_point())
    with torch.enable_grad():
        out = _run(call, graph, tensors)
        wanted = [name for name, tensor in tensors.items() if tensor.requires_grad]
        arriving = torch.from_numpy(np.array(trace.gradients[node.name], np.float64))
        gradients = torch.autograd.grad(out, [tensors[name] for name in wanted], arriving, allow_unused=True)
    return [(name, g.numpy()) for name, g in zip(wanted, gradients, strict=True) if g is not None]


def _referred(call: Call, graph: Graph) -> list[str]:
    """The arrays that a call reads; for one of several results, those that the original call reads."""
    several = {each.name: each for each in graph.calls}
    if call.operator == "getitem":
        return _referred(several[call.args[0].name], graph)
    names: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, Ref):
            names.append(value.name)
        elif isinstance(value, Mapping):
            for each in value.values():
                look(each)
        elif isinstance(value, list | tuple):
            for each in value:
                look(each)

    look((call.args, call.kwargs))
    return names


def _run(call: Call, graph: Graph, tensors: Mapping[str, Tensor]) -> Tensor:
    if call.operator == "getitem":
        maker = next(each for each in graph.calls if each.name == call.args[0].name)
        return maker.run(*filled(maker.args, tensors), **filled(dict(maker.kwargs), tensors))[call.args[1]]
    return call.run(*filled(call.args, tensors), **filled(dict(call.kwargs), tensors))


def _alone(nodes: list[Node], position: int) -> bool:
    """Whether everything after reads nothing from before except this layer."""
    before = {node.name for node in nodes[:position]}
    return not any(source in before for node in nodes[position + 1 :] for source in node.reads.values())
