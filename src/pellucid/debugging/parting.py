"""Two runs of one picture, layer by layer: the number that differs most, and the first layer where they part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.debugging.matching import Layer, matched
from pellucid.files import finite
from pellucid.glassbox.trace.verify import ROUNDING

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Node, Trace

UNIT = 2.0**-24
"""The unit of rounding of float32 (IEEE 754)."""


@dataclass(frozen=True)
class Apart:
    """Two arrays of one shape, and the numbers of them that differ most.

    * index: of these numbers, as users write it, without the batch axis
    * first, second: the two numbers, as PyTorch computed them
    * largest: the largest magnitude of a finite number in either array
    * different: how many numbers differ in any bit of their value, of `count`
    * tolerance: the share of `largest` by which two arrays may differ and still agree
    """

    index: tuple[int, ...]
    first: float
    second: float
    largest: float
    different: int
    count: int
    tolerance: float

    @property
    def difference(self) -> float:
        """The second number minus the first one, in float64, which holds the difference of two float32 exactly."""
        return self.second - self.first

    @property
    def parted(self) -> bool:
        """Whether the arrays differ by more than the tolerance allows."""
        if not self.different:
            return False
        return not abs(self.difference) <= self.tolerance * self.largest

    def as_json(self) -> dict[str, Any]:
        """null stands for a number that is not finite."""
        return {
            "index": list(self.index),
            "first": finite(self.first),
            "second": finite(self.second),
            "difference": finite(self.difference),
            "largest": self.largest,
            "different": self.different,
            "count": self.count,
            "tolerance": self.tolerance * self.largest,
            "parted": self.parted,
        }


@dataclass(frozen=True)
class Weights:
    """One array of weights of a layer in both models."""

    first: str
    second: str
    apart: Apart


@dataclass(frozen=True)
class LayerApart:
    """A layer in both runs.

    * first, second: its name in each; None where it has no partner
    * value, gradient: how far apart its numbers, and the gradients of the loss, are; None if their shapes differ or
        there are none
    * weights: those of its weights that differ in any number
    * shapes: of its numbers in each run
    """

    first: str | None
    second: str | None
    kinds: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    value: Apart | None = None
    gradient: Apart | None = None
    weights: tuple[Weights, ...] = ()

    @property
    def name(self) -> str:
        return self.first or self.second or ""

    @property
    def matched(self) -> bool:
        return self.first is not None and self.second is not None

    @property
    def parted(self) -> bool:
        """Whether both models have this layer and its numbers, or their shapes, differ beyond the tolerance."""
        return self.matched and (self.value is None or self.value.parted)

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            "kinds": list(self.kinds),
            "shapes": [list(shape) for shape in self.shapes],
            "value": None if self.value is None else self.value.as_json(),
            "gradient": None if self.gradient is None else self.gradient.as_json(),
            "weights": [{"names": [each.first, each.second], **each.apart.as_json()} for each in self.weights],
            "parted": self.parted,
        }


@dataclass(frozen=True)
class Parting:
    """Two runs of one picture. `first`, `second`: the names of the models. `notes`: sentences about them."""

    first: str
    second: str
    layers: tuple[LayerApart, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def at(self) -> int | None:
        """The position of the first layer where they part; None if they agree in all that both have."""
        return next((at for at, layer in enumerate(self.layers) if layer.parted), None)

    @property
    def where(self) -> LayerApart | None:
        """The first layer where they part."""
        return None if self.at is None else self.layers[self.at]

    @cached_property
    def back_at(self) -> int | None:
        """The position of the first layer where the gradients part, from the loss backward."""
        order = reversed(list(enumerate(self.layers)))
        return next((at for at, layer in order if layer.gradient is not None and layer.gradient.parted), None)

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON. "tolerance" is the share of a layer's largest number."""
        return {
            "first": self.first,
            "second": self.second,
            "tolerance": ROUNDING * UNIT,
            "parts": self.at,
            "parts_backward": self.back_at,
            "layers": [layer.as_json() for layer in self.layers],
            "notes": list(self.notes),
        }


def parting(first: Trace, second: Trace, names: tuple[str, str], notes: tuple[str, ...] = ()) -> Parting:
    """Compare two runs of one picture. `names`: what the output calls the models.

    Layers are matched in order (matching.py). Two arrays part if a number differs by more than ROUNDING units of
    rounding of the larger one's largest magnitude, by which two runs of the same operators may differ
    (glassbox/trace/verify.py). Where one number is not finite, they part unless the other is the same.
    """
    pairs = matched(_layers(first), _layers(second))
    layers = tuple(
        _layer(
            first,
            second,
            None if one is None else first.nodes[one],
            None if other is None else second.nodes[other],
        )
        for one, other in pairs
    )
    if first.classes != second.classes:
        notes = (*notes, "Their classes are not the same, so the last layers are compared by position, not by class.")
    if first.against != second.against:
        notes = (
            *notes,
            f"The loss is against {', '.join(first.against)} in the first and {', '.join(second.against)} in the "
            "second, so the gradients are those of two questions.",
        )
    return Parting(*names, layers, notes)


def _layers(trace: Trace) -> list[Layer]:
    roles = {name: role for role, name in trace.roles.items()}
    return [Layer(node.name, node.kind, trace.shape(node.name), roles.get(node.name, "")) for node in trace.nodes]


def _layer(first: Trace, second: Trace, one: Node | None, other: Node | None) -> LayerApart:
    sides = [(trace, node) for trace, node in ((first, one), (second, other)) if node is not None]
    kinds = tuple(node.kind for _, node in sides)
    shapes = tuple(tuple(trace.shape(node.name)) for trace, node in sides)
    if one is None or other is None:
        return LayerApart(one and one.name, other and other.name, kinds, shapes)
    return LayerApart(
        one.name,
        other.name,
        kinds,
        shapes,
        _apart(first, second, one.name, other.name, first.values.get(one.name), second.values.get(other.name)),
        _apart(first, second, one.name, other.name, first.gradients.get(one.name), second.gradients.get(other.name)),
        tuple(_weights(first, second, one, other)),
    )


def _weights(first: Trace, second: Trace, one: Node, other: Node) -> Iterator[Weights]:
    """The arrays, other than layers, that both nodes read in the same place, if they differ at all."""
    nodes = {node.name for node in (*first.nodes, *second.nodes)}
    for local, name in one.reads.items():
        partner = other.reads.get(local)
        if partner is None or name in nodes or partner in nodes:
            continue
        apart = _apart(first, second, name, partner, first.values.get(name), second.values.get(partner))
        if apart is not None and apart.different:
            yield Weights(name, partner, apart)


def _apart(
    first: Trace, second: Trace, name: str, partner: str, one: NDArray[Any] | None, other: NDArray[Any] | None
) -> Apart | None:
    if one is None or other is None or one.shape != other.shape or not one.size:
        return None
    a, b = one.astype(np.float64).reshape(-1), other.astype(np.float64).reshape(-1)
    unequal = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(invalid="ignore"):
        size = np.where(unequal, np.abs(b - a), 0.0)
    size = np.where(np.isnan(size), np.inf, size)  # one of the two is not finite
    place = int(size.argmax())
    index = tuple(int(each) for each in np.unravel_index(place, one.shape))
    magnitudes = np.abs(np.concatenate([a, b]))
    largest = float(magnitudes[np.isfinite(magnitudes)].max(initial=0.0))
    units = [trace.precision.get(of, (UNIT, 0.0))[0] for trace, of in ((first, name), (second, partner))]
    return Apart(
        first.short_index(name, index),
        float(a[place]),
        float(b[place]),
        largest,
        int(unequal.sum()),
        int(a.size),
        ROUNDING * max(UNIT, *units),
    )
