"""Suggest other strides and paddings that make an unfitting change fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pellucid.errors import NetworkError, TraceError
from pellucid.glassbox.whatif.change import Padding, Setting, Stride, latest, most_padding, places, resized, target
from pellucid.network.layers import Conv
from pellucid.network.network import Network
from pellucid.network.pooling import Pool
from pellucid.network.window import Shape

STRIDES = (1, 2, 3, 4)
TRIES = 400
"""The most combinations to try. A network of five layers has fewer; all of one with fifty would take seconds."""


def instead(
    network: Network, shape: Shape, classes: int, settings: Sequence[Setting], tries: int = TRIES
) -> tuple[Setting, ...]:
    """The fewest further changes with which `settings` fit, those nearest to the changed layers first; () for none.

    `shape`: (C, H, W) of the input. The settings themselves do not change.
    """
    for further in islice(_combinations(network, classes, settings), tries):
        try:
            resized(network, shape, classes, (*settings, *further))
        except (NetworkError, TraceError):
            continue
        return further
    return ()


def _combinations(network: Network, classes: int, settings: Sequence[Setting]) -> Iterator[tuple[Setting, ...]]:
    """One further change, then two, of as many layers as come after the changed ones."""
    singles = list(_singles(network, classes, settings))
    yield from ((single,) for single in singles)
    # along the diagonals: two near ones before one near and one far
    for total in range(1, 2 * len(singles)):
        for first in range(max(0, total - len(singles) + 1), (total + 1) // 2):
            pair = singles[first], singles[total - first]
            if target(pair[0]) != target(pair[1]):
                yield pair


def _singles(network: Network, classes: int, settings: Sequence[Setting]) -> Iterator[Setting]:
    """Other paddings and strides of the changed layers, of those after them, then of those before."""
    layers = [(place, layer) for place, layer in places(network, classes) if isinstance(layer, Conv | Pool)]
    changed = {change.layer for change in settings}
    start = min((at for at, (place, _) in enumerate(layers) if place in changed), default=0)
    targets = {target(change) for change in latest(settings)}
    for place, layer in (*layers[start:], *layers[:start]):
        window = layer.window()
        assert window is not None
        most = min(most_padding(layer))
        paddings = [Padding(place, (zeros, zeros)) for zeros in range(most + 1) if (zeros, zeros) != window.padding]
        strides = [Stride(place, (step, step)) for step in STRIDES if (step, step) != window.stride]
        for change in (*paddings, *strides):
            if target(change) not in targets:
                yield change
