"""Report missing units and weights before a picture is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pellucid.glassbox.arithmetic.declaration import Shape
from pellucid.glassbox.trace import units as places
from pellucid.glassbox.trace.naming import INPUT, LOSS, PICTURE, PROBABILITY, free
from pellucid.network.plan import plan

if TYPE_CHECKING:
    from torch import nn

    from pellucid.glassbox.trace.graph import Graph
    from pellucid.network.network import Network


def check(
    module: nn.Module,
    layers: Mapping[str, Shape],
    names: Callable[[], Sequence[str]],
    units: Iterable[str],
    weights: Iterable[str],
) -> None:
    """Raises TraceError if a unit or a weight, "conv1[3, 10, 12]", cannot be in a trace.

    `layers`: their known shapes, without a batch axis. `names`: everything that a trace has numbers of, layers first;
    it is called only if a unit is in none of the layers and parameters.
    """
    parameters = {name: tuple(each.shape) for name, each in module.named_parameters()}
    for weight in weights:
        places.check(weight, parameters, list(parameters), list(parameters), weights=True)
    known = {**parameters, **layers}
    for unit in units:
        every = list(known) if places.named(unit) in known else names()
        places.check(unit, known, every, [name for name in every if name not in parameters])


def shapes(network: Network | None, shape: Shape, classes: int, called: Mapping[str, str]) -> dict[str, Shape]:
    """The shapes of the layers in a network's text, by their names in a trace. `shape`: (C, H, W) of the input."""
    if network is None:
        return {}
    return {called.get(row.name, row.name): row.output for row in plan(network, shape, classes).rows}


def names(graph: Graph, preparation: Iterable[str]) -> list[str]:
    """Everything that a trace has numbers of, layers first. `preparation`: the arrays that prepare the pixels."""
    roles = graph.roles
    calls = [call.name for call in graph.calls if not call.name.endswith(" (all)")]
    all_names = [roles[PICTURE], roles[INPUT], *calls, roles[PROBABILITY], roles[LOSS]]
    all_names += [*graph.parameters, *graph.buffers, *graph.constants]
    used = set(all_names)
    return [*all_names, *(free(name, used) for name in preparation)]
